//! A log in storage; the sidecar may have compressed it.

use bytes::Bytes;
use common::storage::{Object, live, paths};
use futures::{StreamExt, TryStreamExt, future};
use jiff::Timestamp;

use super::look::first_bytes;
use super::pieces::LogPieces;
use super::window::{HEAD, TAIL, Window};
use super::{Error, LogStream, bounded};
use crate::app::App;
use crate::buckets::Place;
use crate::index::Job;

/// Which object a log is, as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Version {
    key: String,
    /// As stored.
    pub(super) size: u64,
    modified: Option<Timestamp>,
    /// It is not compressed, so parts of it can be read.
    pub(super) plain: bool,
}

/// A container's log in its run's folder: whole, or what its sidecar has let out of it.
#[derive(Clone, Debug)]
pub(crate) struct StoredLog {
    place: Place,
    /// What it is called in the folder.
    name: String,
}

impl StoredLog {
    /// The log of a container, of a run that has so many, in the run's folder.
    pub(crate) fn new(place: &Place, container: &str, containers: usize) -> Self {
        Self {
            place: place.clone(),
            name: paths::build_log(container, containers),
        }
    }

    /// The same of a run in the cluster.
    pub(super) fn of(app: &App, job: &Job, container: &str) -> Result<Self, Error> {
        let place = app
            .place_of(job)
            .map_err(Error::Other)?
            .ok_or(Error::Absent)?;
        Ok(Self::new(&place, container, job.containers.len()))
    }

    /// All that a finished run stored of it.
    ///
    /// Of a run that ended before it could store its log there is what its sidecar had let out.
    /// Where the clone failed, none of several containers has a log, and the run's only one is the
    /// clone's.
    pub(crate) async fn finished(self) -> Result<LogStream, Error> {
        let clones = Self {
            name: paths::BUILD_LOG.to_owned(),
            ..self.clone()
        };
        let is_only = self.name == clones.name;
        match LogPieces::new(self).into_stream().await {
            Err(Error::Absent) if !is_only => clones.whole_from(0).await,
            result => result,
        }
    }

    /// The whole log, if it is there, without its first bytes.
    pub(super) async fn whole_from(&self, skip: u64) -> Result<LogStream, Error> {
        self.open(&self.name, skip).await
    }

    /// A piece that its sidecar has let out, without its first bytes.
    pub(super) async fn piece_from(&self, number: u64, skip: u64) -> Result<LogStream, Error> {
        self.open(&live::piece_name(&self.name, number), skip).await
    }

    /// What there is of the whole log.
    pub(super) async fn version(&self) -> Result<Version, Error> {
        let head = self.head(&self.name).await?;
        Ok(Version {
            key: format!("{}/{}", self.place.bucket, self.key(&self.name)),
            size: head.size,
            modified: head.modified,
            plain: head.attributes.content_encoding.is_none(),
        })
    }

    /// Its two ends, whatever is between them; of a compressed one the first alone.
    pub(super) async fn ends(&self, version: &Version) -> Result<Window, Error> {
        let head = async { Ok::<_, Error>(first_bytes(self.whole_from(0).await?, HEAD).await?) };
        if !version.plain {
            return Ok(Window::of_ends(head.await?, Vec::new(), version.size));
        }
        let tail = async {
            let key = self.key(&self.name);
            let tail = bounded(self.place.storage.tail(&key, TAIL as u64)).await?;
            Ok::<_, Error>(tail.bytes(TAIL).await?.to_vec())
        };
        let (head, tail) = tokio::try_join!(head, tail)?;
        Ok(Window::of_ends(head, tail, version.size))
    }

    pub(super) async fn is_whole(&self) -> Result<bool, Error> {
        self.has(&self.name).await
    }

    pub(super) async fn has_piece(&self, number: u64) -> Result<bool, Error> {
        self.has(&live::piece_name(&self.name, number)).await
    }

    async fn has(&self, name: &str) -> Result<bool, Error> {
        match self.head(name).await {
            Ok(_) => Ok(true),
            Err(Error::Absent) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn key(&self, name: &str) -> String {
        format!("{}/{name}", self.place.key)
    }

    async fn head(&self, name: &str) -> Result<Object, Error> {
        bounded(self.place.storage.head(&self.key(name))).await
    }

    async fn open(&self, name: &str, skip: u64) -> Result<LogStream, Error> {
        let (storage, key) = (&self.place.storage, self.key(name));
        if skip == 0 {
            return Ok(plain(bounded(storage.get(&key)).await?));
        }
        let head = self.head(name).await?;
        if head.attributes.content_encoding.is_none() {
            let rest = skip..head.size.max(skip);
            return Ok(plain(bounded(storage.get_range(&key, rest)).await?));
        }
        let all = plain(bounded(storage.get(&key)).await?);
        Ok(without(all, skip))
    }
}

fn plain(object: Object) -> LogStream {
    object
        .into_plain_stream()
        .map_err(anyhow::Error::from)
        .boxed()
}

/// The log without its first bytes.
pub(super) fn without(log: LogStream, mut skip: u64) -> LogStream {
    let rest = log.try_filter_map(move |mut chunk: Bytes| {
        let known = skip.min(chunk.len() as u64);
        skip -= known;
        // At most the chunk's own length.
        let fresh = chunk.split_off(usize::try_from(known).unwrap_or(usize::MAX));
        future::ok((!fresh.is_empty()).then_some(fresh))
    });
    rest.boxed()
}
