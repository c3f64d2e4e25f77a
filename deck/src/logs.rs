//! Where a run's log is, and how it becomes text or HTML.
//!
//! [`LogOrigin`] says who has it: the pod, the run's folder in storage, or, while a run lasts that
//! censors its secrets, the pieces that its sidecar lets out. Nothing here holds a whole log.

mod batch;
mod excerpt;
mod follow;
mod look;
mod lookout;
mod markup;
mod origin;
mod overlap;
mod pieces;
mod pod;
mod rows;
mod scans;
mod stored;
mod window;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use tokio::time::timeout;

pub(crate) use batch::Batch;
pub(crate) use excerpt::Excerpt;
pub(crate) use follow::follow;
pub(crate) use look::Look;
pub(crate) use lookout::Lookouts;
pub(crate) use markup::Markup;
pub(crate) use origin::LogOrigin;
pub(crate) use scans::Scans;
pub(crate) use stored::StoredLog;

use crate::app::App;
use crate::index::Job;
use pieces::LogPieces;

/// How long one request for a log may be without an answer before it is sent again.
const ANSWER: Duration = Duration::from_secs(5);

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
    /// The run's sidecar lets out what it has masked, and has not yet, or never does.
    #[error("the run's sidecar has let out nothing of the log")]
    NotLetOut,
    /// The pod would be in a cluster that no kubeconfig context names.
    #[error(
        "There is no log: no context of the kubeconfig is named {0}, so nothing runs in a build cluster of that name. Mend the job\u{2019}s \u{201c}cluster\u{201d}, or add a context of this name to the kubeconfig of Prow\u{2019}s services"
    )]
    NoSuchCluster(Arc<str>),
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

impl Error {
    /// It could not be had in the time that a reader waits.
    pub(crate) fn late() -> Self {
        Self::Other(anyhow::anyhow!("it did not come in time"))
    }
}

impl From<common::storage::Error> for Error {
    fn from(error: common::storage::Error) -> Self {
        match error {
            common::storage::Error::NotFound(_) => Self::Absent,
            other => Self::Other(other.into()),
        }
    }
}

/// The log as it is now.
pub(crate) async fn now(app: &App, job: &Job, container: &str) -> Result<LogStream, Error> {
    match LogOrigin::of(job) {
        LogOrigin::Nowhere => Err(Error::NotStarted),
        LogOrigin::Pod => pod::open(app, job, container, false).await,
        LogOrigin::Storage => StoredLog::of(app, job, container)?.finished().await,
        LogOrigin::StorageElsePod => match StoredLog::of(app, job, container)?.finished().await {
            Err(Error::Absent) => pod::open(app, job, container, false).await,
            stored => stored,
        },
        LogOrigin::Sidecar => {
            let log = StoredLog::of(app, job, container)?;
            let so_far = LogPieces::new(log).into_stream().await;
            so_far.map_err(|error| match error {
                Error::Absent => Error::NotLetOut,
                error => error,
            })
        }
    }
}

/// An answer of the storage, if it comes in time.
async fn bounded<T>(
    answer: impl Future<Output = Result<T, common::storage::Error>>,
) -> Result<T, Error> {
    let Ok(answer) = timeout(ANSWER, answer).await else {
        return Err(Error::Other(anyhow::anyhow!(
            "the storage gave no answer for {ANSWER:?}"
        )));
    };
    Ok(answer?)
}
