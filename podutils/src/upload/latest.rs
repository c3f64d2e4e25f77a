//! `latest-build.txt`: the newest build id of a job, which all its runs write.

use common::build_id::is_newer;
use common::storage::{Attributes, Error, Version};
use jiff::Timestamp;
use tracing::info;

use super::{Failures, Upload, Uploader};

/// More than any build id has.
const LIMIT: usize = 256;
/// Runs of one job that may write at the same time before one writes whatever is there.
const RACES: usize = 10;

impl Uploader {
    /// Records that this build is the newest of its job, unless a newer one already has: an old
    /// run that ends late does not rewind it, nor one that writes at the same moment.
    pub(crate) async fn upload_latest(
        &self,
        key: &str,
        build_id: &str,
        now: Timestamp,
    ) -> Failures {
        for _ in 0..RACES {
            let recorded = match self.recorded(key).await {
                Ok(recorded) => recorded,
                // Not ours to read, or away: what we know is the best that can be known.
                Err(_) => break,
            };
            let attributes = Upload::text(key.to_owned(), "").attributes;
            let written = match &recorded {
                Some((text, _)) if is_newer(text, build_id, now) => {
                    info!(key, build_id, "a newer build is recorded already");
                    return Failures::default();
                }
                Some((_, version)) => self.replace(key, build_id, &attributes, version).await,
                None => {
                    let put = self
                        .storage
                        .put_if_absent(key, build_id.to_owned(), &attributes);
                    put.await
                }
            };
            match written {
                Ok(true) => return Failures::default(),
                Ok(false) => {}
                Err(_) => break,
            }
        }
        self.upload(vec![Upload::text(key.to_owned(), build_id.to_owned())])
            .await
    }

    async fn replace(
        &self,
        key: &str,
        build_id: &str,
        attributes: &Attributes,
        version: &Version,
    ) -> Result<bool, Error> {
        let build_id = build_id.to_owned();
        self.storage
            .put_if_unchanged(key, build_id, attributes, version)
            .await
    }

    /// What is recorded there, if anything is.
    async fn recorded(&self, key: &str) -> Result<Option<(String, Version)>, Error> {
        let object = match self.storage.get(key).await {
            Ok(object) => object,
            Err(Error::NotFound(_)) => return Ok(None),
            Err(e) => return Err(e),
        };
        let version = object.version.clone();
        // What is too long is nothing to go by.
        let text = object.bytes(LIMIT).await.unwrap_or_default();
        Ok(Some((String::from_utf8_lossy(&text).into_owned(), version)))
    }
}
