//! Uploads: what goes where, masked on the way, tried again when it fails.
//!
//! `plan → Upload { key, source } → read in pieces → mask → compress → Storage`. Memory is
//! bounded by the number of uploads at once, never by the size of a file.

mod source;
mod target;
mod walk;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::storage::{Attributes, Storage};
use futures::stream::{self, StreamExt};
use tokio::sync::Semaphore;
use tracing::{info, warn};

use crate::censor::Censor;

pub(crate) use source::{Source, open_below};
pub(crate) use target::Target;
pub(crate) use walk::{Filter, walk};

/// Uploads at once.
const CONCURRENCY: usize = 4;
/// Waits before the second, third and fourth attempt.
const RETRY_AFTER: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(4),
    Duration::from_secs(9),
];

/// One object to be.
#[derive(Debug, Clone)]
pub(crate) struct Upload {
    pub(crate) key: String,
    pub(crate) source: Source,
    pub(crate) attributes: Attributes,
}

impl Upload {
    /// Something small that we wrote ourselves.
    pub(crate) fn text(key: String, content: impl Into<Bytes>) -> Self {
        let attributes = Attributes {
            content_type: common::storage::content_type(&key, &std::collections::BTreeMap::new()),
            ..Attributes::default()
        };
        Self {
            key,
            source: Source::Bytes(content.into()),
            attributes,
        }
    }
}

/// Something that was not uploaded, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) key: String,
    pub(crate) reason: String,
    /// It was left out because it could not be censored.
    pub(crate) uncensored: bool,
}

/// How to upload.
#[derive(Debug, Clone)]
pub(crate) struct Uploader {
    pub(crate) storage: Storage,
    pub(crate) censor: Censor,
    /// Where temporary copies of archives go.
    pub(crate) temp: PathBuf,
    /// Archives that are looked into at once.
    pub(crate) archives: Arc<Semaphore>,
    pub(crate) dry_run: bool,
    pub(crate) retry_after: Vec<Duration>,
}

impl Uploader {
    /// Hides nothing, for what is known to hold no secret.
    pub(crate) fn new(storage: Storage, dry_run: bool) -> Self {
        Self {
            storage,
            censor: Censor::default(),
            temp: std::env::temp_dir(),
            archives: Arc::new(Semaphore::new(1)),
            dry_run,
            retry_after: RETRY_AFTER.to_vec(),
        }
    }

    /// Hides what `censor` hides, looking into `concurrency` archives at once.
    pub(crate) fn censored(self, censor: Censor, temp: &Path, concurrency: usize) -> Self {
        Self {
            censor,
            temp: temp.to_owned(),
            archives: Arc::new(Semaphore::new(concurrency.max(1))),
            ..self
        }
    }

    /// Uploads all of it, some at a time; one that fails does not stop the others.
    pub(crate) async fn upload(&self, uploads: Vec<Upload>) -> Vec<Failure> {
        let failures = stream::iter(uploads)
            .map(|upload| async move { self.upload_one(&upload).await.err() })
            .buffer_unordered(CONCURRENCY)
            .filter_map(|failure| async { failure });
        let mut failures: Vec<Failure> = failures.collect().await;
        failures.sort_by(|a, b| a.key.cmp(&b.key));
        failures
    }

    async fn upload_one(&self, upload: &Upload) -> Result<(), Failure> {
        let failure = |reason: String, uncensored| {
            warn!(key = upload.key, reason, "not uploaded");
            Failure {
                key: upload.key.clone(),
                reason,
                uncensored,
            }
        };
        if self.dry_run {
            info!(key = upload.key, "would upload");
            return Ok(());
        }
        let mut waits = self.retry_after.iter();
        loop {
            let opened = source::open(upload, self).await;
            let (body, encoding) = opened.map_err(|e| failure(e.to_string(), e.is_uncensored()))?;
            let attributes = Attributes {
                content_encoding: encoding.or_else(|| upload.attributes.content_encoding.clone()),
                ..upload.attributes.clone()
            };
            match self.storage.put(&upload.key, body, &attributes).await {
                Ok(()) => return Ok(()),
                Err(e) => match waits.next().filter(|_| e.is_transient()) {
                    Some(wait) => {
                        info!(key = upload.key, error = %e, "upload failed, trying again");
                        tokio::time::sleep(*wait).await;
                    }
                    None => return Err(failure(e.to_string(), false)),
                },
            }
        }
    }

    /// Records that this build is the newest of its job, unless a newer one already has.
    pub(crate) async fn upload_latest(&self, key: &str, build_id: &str) -> Option<Failure> {
        /// More than any build id has.
        const LIMIT: usize = 256;
        let current = match self.storage.get(key).await {
            Ok(object) => object.bytes(LIMIT).await.ok(),
            // Not there, or not ours to read: what we know is the best that can be known.
            Err(_) => None,
        };
        if current.is_some_and(|current| is_newer(&String::from_utf8_lossy(&current), build_id)) {
            info!(key, build_id, "a newer build is recorded already");
            return None;
        }
        self.upload(vec![Upload::text(key.to_owned(), build_id.to_owned())])
            .await
            .pop()
    }
}

/// Whether the recorded build is newer. Only numbers can tell.
fn is_newer(recorded: &str, ours: &str) -> bool {
    match (recorded.trim().parse::<u128>(), ours.parse::<u128>()) {
        (Ok(recorded), Ok(ours)) => recorded > ours,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use common::storage::Credentials;

    use super::*;

    fn bucket() -> (tempfile::TempDir, Uploader) {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("file://{}", dir.path().join("bucket").display());
        let storage = Storage::open(&url, &Credentials::default()).unwrap();
        (
            dir,
            Uploader {
                retry_after: Vec::new(),
                ..Uploader::new(storage, false)
            },
        )
    }

    async fn read(uploader: &Uploader, key: &str) -> Vec<u8> {
        uploader
            .storage
            .get(key)
            .await
            .unwrap()
            .bytes(10 << 20)
            .await
            .unwrap()
            .to_vec()
    }

    #[test]
    fn newer_is_the_greater_number() {
        for (recorded, ours, expected) in [
            ("10", "9", true),
            ("9", "10", false),
            ("1970000000000000000", "1969999999999999999", true),
            ("7\n", "7", false),
            ("abc", "7", false),
            ("8", "abc", false),
            ("", "1", false),
        ] {
            assert_eq!(is_newer(recorded, ours), expected, "{recorded} {ours}");
        }
    }

    #[tokio::test]
    async fn an_old_run_that_ends_late_does_not_rewind_the_latest_build() {
        let (_dir, uploader) = bucket();
        for (build_id, expected) in [("5", "5"), ("12", "12"), ("9", "12")] {
            assert_eq!(
                uploader
                    .upload_latest("logs/j/latest-build.txt", build_id)
                    .await,
                None
            );
            assert_eq!(
                read(&uploader, "logs/j/latest-build.txt").await,
                expected.as_bytes()
            );
        }
    }

    #[tokio::test]
    async fn one_bad_upload_does_not_stop_the_others() {
        let (dir, uploader) = bucket();
        let file = |name: &str| Source::Log(dir.path().join(name));
        std::fs::write(dir.path().join("good"), "content").unwrap();
        let upload = |key: &str, source| Upload {
            key: key.into(),
            source,
            attributes: Attributes::default(),
        };
        let failures = uploader
            .upload(vec![
                upload("a/good", file("good")),
                upload("a/gone", file("gone")),
                upload("../b", file("good")),
            ])
            .await;
        assert_eq!(
            failures.iter().map(|f| f.key.as_str()).collect::<Vec<_>>(),
            ["../b", "a/gone"]
        );
        assert_eq!(read(&uploader, "a/good").await, b"content");
    }

    #[tokio::test]
    async fn a_dry_run_uploads_nothing() {
        let (_dir, uploader) = bucket();
        let uploader = Uploader {
            dry_run: true,
            ..uploader
        };
        assert!(
            uploader
                .upload(vec![Upload::text("k".into(), "v")])
                .await
                .is_empty()
        );
        assert!(uploader.storage.get("k").await.is_err());
    }
}
