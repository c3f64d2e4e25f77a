//! `latest-build.txt`: the newest build id of a job. All runs of the job write it.

use common::build_id::is_newer_build;
use common::storage::{ObjectAttributes, ObjectVersion, StorageError};
use jiff::Timestamp;
use tracing::info;

use super::{ObjectUpload, UploadFailures, Uploader};

/// Bytes that are read: more than any build id has.
const LIMIT: usize = 256;
/// After this many lost races with other runs of the job, a run writes unconditionally.
const RACES: usize = 10;

impl Uploader {
    /// Records that this build is the newest of its job, unless a newer one is recorded. So neither
    /// an old run that ends late nor one that writes at the same moment rewinds it.
    pub(crate) async fn upload_latest_build(
        &self,
        key: &str,
        build_id: &str,
        now: Timestamp,
    ) -> UploadFailures {
        for _ in 0..RACES {
            let recorded = match self.read_build_id(key).await {
                Ok(recorded) => recorded,
                // No permission, or the storage is unavailable: our own id is the best we know.
                Err(_) => break,
            };
            let attributes = ObjectUpload::from_text(key.to_owned(), "").attributes;
            let written = match &recorded {
                Some((text, _)) if is_newer_build(text, build_id, now) => {
                    info!(key, build_id, "a newer build is recorded already");
                    return UploadFailures::default();
                }
                Some((_, version)) => {
                    self.replace_build_id(key, build_id, &attributes, version)
                        .await
                }
                None => {
                    let put = self
                        .storage
                        .put_if_absent(key, build_id.to_owned(), &attributes);
                    put.await
                }
            };
            match written {
                Ok(true) => return UploadFailures::default(),
                Ok(false) => {}
                Err(_) => break,
            }
        }
        self.upload_objects(vec![ObjectUpload::from_text(
            key.to_owned(),
            build_id.to_owned(),
        )])
        .await
    }

    async fn replace_build_id(
        &self,
        key: &str,
        build_id: &str,
        attributes: &ObjectAttributes,
        version: &ObjectVersion,
    ) -> Result<bool, StorageError> {
        let build_id = build_id.to_owned();
        self.storage
            .put_if_unchanged(key, build_id, attributes, version)
            .await
    }

    /// The recorded build id and the object's version, if there is one.
    async fn read_build_id(
        &self,
        key: &str,
    ) -> Result<Option<(String, ObjectVersion)>, StorageError> {
        let object = match self.storage.get_object(key).await {
            Ok(object) => object,
            Err(StorageError::NotFound(_)) => return Ok(None),
            Err(e) => return Err(e),
        };
        let version = object.version.clone();
        // A text that is too long is no build id.
        let text = object.read_bytes(LIMIT).await.unwrap_or_default();
        Ok(Some((String::from_utf8_lossy(&text).into_owned(), version)))
    }
}
