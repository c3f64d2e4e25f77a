//! Uploads: what goes where, masked on the way, tried again when it fails.
//!
//! `plan → Upload { key, source } → read in pieces → mask → compress → Storage`. Memory is
//! bounded by the number of uploads at once, never by the size of a file.

mod failures;
mod latest;
mod patience;
mod source;
mod target;
mod walk;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use common::storage::{Attributes, Storage};
use futures::stream::{self, Stream, StreamExt};
use tokio::sync::{Semaphore, mpsc};
use tracing::info;

use crate::archive::Space;
use crate::censor::Censor;

pub(crate) use failures::{Failure, Failures};
use patience::{Attempts, Importance, Limits, Patience};
pub(crate) use source::{Error as SourceError, Source, open_below};
pub(crate) use target::Target;
pub(crate) use walk::{Filter, PassedOver, Plan, Walk};

/// Uploads at once.
const CONCURRENCY: usize = 4;
/// Uploads that are planned before their turn comes.
const AHEAD: usize = 16;

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

/// Where archives are looked into, and how many at once.
#[derive(Debug, Clone)]
pub(crate) struct Archives {
    space: Space,
    turns: Arc<Semaphore>,
    at_once: u32,
}

impl Archives {
    fn new(space: Space, at_once: usize) -> Self {
        let at_once = u32::try_from(at_once.max(1)).unwrap_or(u32::MAX);
        Self {
            space,
            turns: Arc::new(Semaphore::new(at_once as usize)),
            at_once,
        }
    }
}

/// How to upload.
#[derive(Debug, Clone)]
pub(crate) struct Uploader {
    pub(crate) storage: Storage,
    pub(crate) censor: Censor,
    archives: Archives,
    pub(crate) dry_run: bool,
    patience: Arc<Patience>,
}

impl Uploader {
    /// Hides nothing, for what is known to hold no secret.
    pub(crate) fn new(storage: Storage, dry_run: bool) -> Self {
        Self {
            storage,
            censor: Censor::default(),
            archives: Archives::new(Space::in_folder(&std::env::temp_dir()), 1),
            dry_run,
            patience: Arc::new(Patience::new(Limits::DEFAULT)),
        }
    }

    /// Hides what `censor` hides, looking into `concurrency` archives at once in the folder
    /// `temp`.
    pub(crate) fn censored(self, censor: Censor, temp: &Path, concurrency: usize) -> Self {
        Self {
            censor,
            archives: Archives::new(Space::in_folder(temp), concurrency),
            ..self
        }
    }

    /// Uploads the run's own files, some at a time; one that fails does not stop the others.
    pub(crate) async fn upload(&self, uploads: Vec<Upload>) -> Failures {
        let uploads = stream::iter(uploads.into_iter().map(Ok));
        self.upload_stream(uploads, Importance::Own).await
    }

    /// Uploads what a walk finds, while it walks.
    pub(crate) async fn upload_artifacts(
        &self,
        found: impl Iterator<Item = Result<Upload, Failure>> + Send + 'static,
    ) -> Failures {
        self.upload_stream(ahead(found), Importance::Artifact).await
    }

    async fn upload_stream(
        &self,
        uploads: impl Stream<Item = Result<Upload, Failure>>,
        importance: Importance,
    ) -> Failures {
        let failures = uploads
            .map(|upload| async move {
                match upload {
                    Ok(upload) => self.upload_one(&upload, importance).await.err(),
                    Err(failure) => Some(failure),
                }
            })
            .buffer_unordered(CONCURRENCY)
            .filter_map(|failure| async { failure });
        let all = failures.fold(Failures::default(), |mut all, failure| async {
            all.push(failure);
            all
        });
        all.await
    }

    async fn upload_one(&self, upload: &Upload, importance: Importance) -> Result<(), Failure> {
        let failure = |reason: String, uncensored| Failure {
            key: upload.key.clone(),
            reason,
            uncensored,
        };
        if self.dry_run {
            info!(key = upload.key, "would upload");
            return Ok(());
        }
        if !self.patience.is_left(importance, Instant::now()) {
            let reason = "the storage has not answered for minutes, so it was not tried";
            return Err(failure(reason.to_owned(), false));
        }
        let mut attempts = Attempts::new(importance, Instant::now());
        loop {
            let opened = source::open(upload, self).await;
            let opened = opened.map_err(|e| failure(e.to_string(), e.is_uncensored()))?;
            let own_encoding = || upload.attributes.content_encoding.clone();
            let attributes = Attributes {
                content_encoding: opened.encoding.or_else(own_encoding),
                ..upload.attributes.clone()
            };
            let put = self.storage.put(&upload.key, opened.body, &attributes);
            let Err(error) = put.await else {
                self.patience.answered(&attempts, Instant::now());
                return Ok(());
            };
            if let Some(reason) = opened.broken.get() {
                return Err(failure(reason.clone(), false));
            }
            if !error.is_transient() {
                self.patience.answered(&attempts, Instant::now());
                return Err(failure(error.to_string(), false));
            }
            let Some(wait) = self.patience.failed(&mut attempts, Instant::now()) else {
                let reason = format!("{error}; tried {} times", attempts.failed);
                return Err(failure(reason, false));
            };
            info!(key = upload.key, error = %error, "upload failed, trying again");
            tokio::time::sleep(wait).await;
        }
    }
}

/// What an iterator gives that reads a file system, from a thread of its own: never more of it
/// than [`AHEAD`].
fn ahead<T: Send + 'static>(
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
