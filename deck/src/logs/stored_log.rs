//! A log in storage; the sidecar may have compressed it.

use bytes::Bytes;
use common::storage::{BucketObject, live, paths};
use futures::{StreamExt, TryStreamExt, future};
use jiff::Timestamp;

use super::excerpt_reader::read_first_bytes;
use super::pieces::LogPieces;
use super::window::{HEAD, LogWindow, TAIL};
use super::{LogError, LogStream, within_timeout};
use crate::app::DeckState;
use crate::buckets::StorageLocation;
use crate::index::IndexedJob;

/// Identifies the present version of a log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct LogVersion {
    key: String,
    /// Bytes as stored.
    pub(super) size: u64,
    modified: Option<Timestamp>,
    /// The object is not compressed, so parts of it can be read.
    pub(super) plain: bool,
}

/// A container's log in its run's folder: whole, or in the pieces that its sidecar has uploaded.
#[derive(Clone, Debug)]
pub(crate) struct StoredLog {
    place: StorageLocation,
    /// The name of the log in the folder.
    name: String,
}

impl StoredLog {
    /// The log of one of the containers of a run; `containers` is their number.
    pub(crate) fn new(place: &StorageLocation, container: &str, containers: usize) -> Self {
        Self {
            place: place.clone(),
            name: paths::build_log(container, containers),
        }
    }

    /// The same for a run whose `ProwJob` exists.
    pub(super) fn from_job(
        app: &DeckState,
        job: &IndexedJob,
        container: &str,
    ) -> Result<Self, LogError> {
        let place = app
            .locate_run_folder(job)
            .map_err(LogError::Other)?
            .ok_or(LogError::Absent)?;
        Ok(Self::new(&place, container, job.containers.len()))
    }

    /// All that a finished run stored of its log.
    ///
    /// If the run ended before it could store its log, that is what its sidecar had uploaded. If
    /// the clone failed, none of several containers has a log, and the run's only log is that of
    /// the clone.
    pub(crate) async fn open_finished(self) -> Result<LogStream, LogError> {
        let clones = Self {
            name: paths::BUILD_LOG.to_owned(),
            ..self.clone()
        };
        let is_only = self.name == clones.name;
        match LogPieces::new(self).into_stream().await {
            Err(LogError::Absent) if !is_only => clones.open_whole_from(0).await,
            result => result,
        }
    }

    /// The whole log without its first `skip` bytes, if it is stored.
    pub(super) async fn open_whole_from(&self, skip: u64) -> Result<LogStream, LogError> {
        self.open_object(&self.name, skip).await
    }

    /// A piece that the sidecar has uploaded, without its first `skip` bytes.
    pub(super) async fn open_piece_from(
        &self,
        number: u64,
        skip: u64,
    ) -> Result<LogStream, LogError> {
        self.open_object(&live::piece_name(&self.name, number), skip)
            .await
    }

    /// The present version of the whole log.
    pub(super) async fn read_version(&self) -> Result<LogVersion, LogError> {
        let head = self.head_object(&self.name).await?;
        Ok(LogVersion {
            key: format!("{}/{}", self.place.bucket, self.object_key(&self.name)),
            size: head.size,
            modified: head.modified,
            plain: head.attributes.content_encoding.is_none(),
        })
    }

    /// Both ends, without what is between them; of a compressed log only the head.
    pub(super) async fn read_ends(&self, version: &LogVersion) -> Result<LogWindow, LogError> {
        let head = async {
            Ok::<_, LogError>(read_first_bytes(self.open_whole_from(0).await?, HEAD).await?)
        };
        if !version.plain {
            return Ok(LogWindow::of_ends(head.await?, Vec::new(), version.size));
        }
        let tail = async {
            let key = self.object_key(&self.name);
            let tail = within_timeout(self.place.storage.get_tail(&key, TAIL as u64)).await?;
            Ok::<_, LogError>(tail.read_bytes(TAIL).await?.to_vec())
        };
        let (head, tail) = tokio::try_join!(head, tail)?;
        Ok(LogWindow::of_ends(head, tail, version.size))
    }

    pub(super) async fn has_whole_log(&self) -> Result<bool, LogError> {
        self.has_object(&self.name).await
    }

    pub(super) async fn has_piece(&self, number: u64) -> Result<bool, LogError> {
        self.has_object(&live::piece_name(&self.name, number)).await
    }

    async fn has_object(&self, name: &str) -> Result<bool, LogError> {
        match self.head_object(name).await {
            Ok(_) => Ok(true),
            Err(LogError::Absent) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn object_key(&self, name: &str) -> String {
        format!("{}/{name}", self.place.key)
    }

    async fn head_object(&self, name: &str) -> Result<BucketObject, LogError> {
        within_timeout(self.place.storage.head_object(&self.object_key(name))).await
    }

    async fn open_object(&self, name: &str, skip: u64) -> Result<LogStream, LogError> {
        let (storage, key) = (&self.place.storage, self.object_key(name));
        if skip == 0 {
            return Ok(plain_stream(
                within_timeout(storage.get_object(&key)).await?,
            ));
        }
        let head = self.head_object(name).await?;
        if head.attributes.content_encoding.is_none() {
            let rest = skip..head.size.max(skip);
            return Ok(plain_stream(
                within_timeout(storage.get_range(&key, rest)).await?,
            ));
        }
        let all = plain_stream(within_timeout(storage.get_object(&key)).await?);
        Ok(skip_bytes(all, skip))
    }
}

fn plain_stream(object: BucketObject) -> LogStream {
    object
        .into_plain_stream()
        .map_err(anyhow::Error::from)
        .boxed()
}

/// The log without its first `skip` bytes.
pub(super) fn skip_bytes(log: LogStream, mut skip: u64) -> LogStream {
    let rest = log.try_filter_map(move |mut chunk: Bytes| {
        let known = skip.min(chunk.len() as u64);
        skip -= known;
        // At most the length of the chunk.
        let fresh = chunk.split_off(usize::try_from(known).unwrap_or(usize::MAX));
        future::ok((!fresh.is_empty()).then_some(fresh))
    });
    rest.boxed()
}
