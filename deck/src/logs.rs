//! Where a run's log is, and how it becomes text or HTML.
//!
//! While the run lasts the log is its pod's, afterwards it is in storage; a pod that is still
//! there serves when storage has nothing. Nothing here holds a whole log.

mod follow;
mod markup;
mod pod;
mod stored;
mod window;

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::BoxStream;

pub(crate) use follow::follow;
pub(crate) use markup::{push_gap, push_line};
pub(crate) use stored::stored;
pub(crate) use window::Excerpt;

use crate::app::App;
use crate::index::Job;

/// A log on its way, decompressed.
pub(crate) type LogStream = BoxStream<'static, anyhow::Result<Bytes>>;

/// Why there is no log to show.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Neither a pod nor an object holds one, or not yet.
    #[error("there is no log")]
    Absent,
    /// The container is about to start.
    #[error("the container has not started")]
    NotStarted,
    /// The pod would be in a cluster that no kubeconfig context names.
    #[error(
        "There is no log: no context of the kubeconfig is named {0}, so nothing runs in a build cluster of that name"
    )]
    NoSuchCluster(Arc<str>),
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

impl From<common::storage::Error> for Error {
    fn from(error: common::storage::Error) -> Self {
        match error {
            common::storage::Error::NotFound(_) => Self::Absent,
            other => Self::Other(other.into()),
        }
    }
}

/// The log as it is now: of a finished run from storage, else from the pod.
pub(crate) async fn now(app: &App, job: &Job, container: &str) -> Result<LogStream, Error> {
    if !job.is_complete() {
        return pod::open(app, job, container, false).await;
    }
    match stored_of(app, job, container).await {
        Err(Error::Absent) => pod::open(app, job, container, false).await,
        result => result,
    }
}

/// The log that the run's pod uploaded.
async fn stored_of(app: &App, job: &Job, container: &str) -> Result<LogStream, Error> {
    let place = app
        .place_of(job)
        .map_err(Error::Other)?
        .ok_or(Error::Absent)?;
    stored(&place, container, job.containers.len()).await
}
