//! Uploads a run's files: plans their keys, masks them on the way, and retries what fails.
//!
//! `ArtifactWalk → ObjectUpload { key, source } → open_upload (read, mask, compress) →
//! ObjectStorage`. Memory is bounded by the number of uploads at once, never by a file's size.

mod failures;
mod latest;
mod retry_budget;
mod source;
mod target;
mod walk;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use common::storage::{ObjectAttributes, ObjectStorage};
use futures::stream::{self, Stream, StreamExt};
use tokio::sync::{Semaphore, mpsc};
use tracing::info;

use crate::archive::TempSpace;
use crate::censor::Censor;

pub(crate) use failures::{UploadFailure, UploadFailures};
use retry_budget::{RetryBudget, RetryLimits, UploadAttempts, UploadImportance};
pub(crate) use source::{UploadSource, UploadSourceError, open_below};
pub(crate) use target::UploadTarget;
pub(crate) use walk::{ArtifactPlan, ArtifactWalk, CensorFilter, UncensoredFiles};

/// Uploads at once.
const CONCURRENCY: usize = 4;
/// Uploads that are planned ahead of those that run.
const AHEAD: usize = 16;

/// One object to upload.
#[derive(Debug, Clone)]
pub(crate) struct ObjectUpload {
    pub(crate) key: String,
    pub(crate) source: UploadSource,
    pub(crate) attributes: ObjectAttributes,
}

impl ObjectUpload {
    /// A small object whose content we made ourselves.
    pub(crate) fn from_text(key: String, content: impl Into<Bytes>) -> Self {
        let attributes = ObjectAttributes {
            content_type: common::storage::content_type(&key, &std::collections::BTreeMap::new()),
            ..ObjectAttributes::default()
        };
        Self {
            key,
            source: UploadSource::Bytes(content.into()),
            attributes,
        }
    }
}

/// Where archives are unpacked, and how many at once.
#[derive(Debug, Clone)]
pub(crate) struct ArchiveSlots {
    space: TempSpace,
    turns: Arc<Semaphore>,
    at_once: u32,
}

impl ArchiveSlots {
    fn new(space: TempSpace, at_once: usize) -> Self {
        let at_once = u32::try_from(at_once.max(1)).unwrap_or(u32::MAX);
        Self {
            space,
            turns: Arc::new(Semaphore::new(at_once as usize)),
            at_once,
        }
    }
}

/// Uploads objects to one storage, masked, with one retry budget for all.
#[derive(Debug, Clone)]
pub(crate) struct Uploader {
    pub(crate) storage: ObjectStorage,
    pub(crate) censor: Censor,
    archives: ArchiveSlots,
    pub(crate) dry_run: bool,
    patience: Arc<RetryBudget>,
}

impl Uploader {
    /// Masks nothing, for content that is known to have no secret.
    pub(crate) fn new(storage: ObjectStorage, dry_run: bool) -> Self {
        Self {
            storage,
            censor: Censor::default(),
            archives: ArchiveSlots::new(TempSpace::in_folder(&std::env::temp_dir()), 1),
            dry_run,
            patience: Arc::new(RetryBudget::new(RetryLimits::DEFAULT)),
        }
    }

    /// Masks what `censor` masks, and unpacks up to `concurrency` archives at once in the folder
    /// `temp`.
    pub(crate) fn with_censor(self, censor: Censor, temp: &Path, concurrency: usize) -> Self {
        Self {
            censor,
            archives: ArchiveSlots::new(TempSpace::in_folder(temp), concurrency),
            ..self
        }
    }

    /// Uploads the run's own files, some at a time; one that fails does not stop the others.
    pub(crate) async fn upload_objects(&self, uploads: Vec<ObjectUpload>) -> UploadFailures {
        let uploads = stream::iter(uploads.into_iter().map(Ok));
        self.upload_stream(uploads, UploadImportance::Own).await
    }

    /// Uploads what a walk finds, while it walks.
    pub(crate) async fn upload_artifacts(
        &self,
        found: impl Iterator<Item = Result<ObjectUpload, UploadFailure>> + Send + 'static,
    ) -> UploadFailures {
        self.upload_stream(read_ahead(found), UploadImportance::Artifact)
            .await
    }

    async fn upload_stream(
        &self,
        uploads: impl Stream<Item = Result<ObjectUpload, UploadFailure>>,
        importance: UploadImportance,
    ) -> UploadFailures {
        let failures = uploads
            .map(|upload| async move {
                match upload {
                    Ok(upload) => self.upload_one(&upload, importance).await.err(),
                    Err(failure) => Some(failure),
                }
            })
            .buffer_unordered(CONCURRENCY)
            .filter_map(|failure| async { failure });
        let all = failures.fold(UploadFailures::default(), |mut all, failure| async {
            all.push(failure);
            all
        });
        all.await
    }

    async fn upload_one(
        &self,
        upload: &ObjectUpload,
        importance: UploadImportance,
    ) -> Result<(), UploadFailure> {
        let failure = |reason: String, uncensored| UploadFailure {
            key: upload.key.clone(),
            reason,
            uncensored,
        };
        if self.dry_run {
            info!(key = upload.key, "would upload");
            return Ok(());
        }
        if !self
            .patience
            .allows_first_attempt(importance, Instant::now())
        {
            let reason = "the storage has not answered for minutes, so it was not tried";
            return Err(failure(reason.to_owned(), false));
        }
        let mut attempts = UploadAttempts::new(importance, Instant::now());
        loop {
            let opened = source::open_upload(upload, self).await;
            let opened = opened.map_err(|e| failure(e.to_string(), e.is_uncensored()))?;
            let own_encoding = || upload.attributes.content_encoding.clone();
            let attributes = ObjectAttributes {
                content_encoding: opened.encoding.or_else(own_encoding),
                ..upload.attributes.clone()
            };
            let put = self
                .storage
                .put_object(&upload.key, opened.body, &attributes);
            let Err(error) = put.await else {
                self.patience.record_answer(&attempts, Instant::now());
                return Ok(());
            };
            if let Some(reason) = opened.broken.get() {
                return Err(failure(reason.clone(), false));
            }
            if !error.is_transient() {
                self.patience.record_answer(&attempts, Instant::now());
                return Err(failure(error.to_string(), false));
            }
            let Some(wait) = self.patience.record_failure(&mut attempts, Instant::now()) else {
                let reason = format!("{error}; tried {} times", attempts.failed);
                return Err(failure(reason, false));
            };
            info!(key = upload.key, error = %error, "upload failed, trying again");
            tokio::time::sleep(wait).await;
        }
    }
}

/// Streams the items of an iterator that reads a file system, on a thread of its own. It is at most
/// [`AHEAD`] items ahead.
fn read_ahead<T: Send + 'static>(
    items: impl Iterator<Item = T> + Send + 'static,
) -> impl Stream<Item = T> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    tokio::task::spawn_blocking(move || {
        for item in items {
            if sender.blocking_send(item).is_err() {
                return;
            }
        }
    });
    stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|item| (item, receiver))
    })
}

#[cfg(test)]
mod tests;
