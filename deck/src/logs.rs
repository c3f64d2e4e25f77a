//! Finds a run's log and turns it into text or HTML.
//!
//! [`LogOrigin`] says where it is: in the pod, in the run's folder in storage, or, while a run that
//! censors secrets lasts, in pieces that its sidecar uploads. Nothing here holds a whole log.

mod batch;
mod excerpt;
mod excerpt_reader;
mod follow;
mod markup;
mod origin;
mod overlap;
mod piece_watcher;
mod pieces;
mod pod;
mod rows;
mod scan_cache;
mod stored_log;
mod window;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use tokio::time::timeout;

pub(crate) use batch::LogBatch;
pub(crate) use excerpt::LogExcerpt;
pub(crate) use excerpt_reader::ExcerptReader;
pub(crate) use follow::follow_log;
pub(crate) use markup::LogMarkup;
pub(crate) use origin::LogOrigin;
pub(crate) use piece_watcher::PieceWatchers;
pub(crate) use scan_cache::ScanCache;
pub(crate) use stored_log::StoredLog;

use crate::app::DeckState;
use crate::index::IndexedJob;
use pieces::LogPieces;

/// Timeout of one request to the storage for a log. The request is sent again later.
const ANSWER: Duration = Duration::from_secs(5);

/// The bytes of a log as a stream, decompressed.
pub(crate) type LogStream = BoxStream<'static, anyhow::Result<Bytes>>;

/// Why there is no log to show.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    /// Neither a pod nor an object in storage has the log, or not yet.
    #[error("there is no log")]
    Absent,
    /// The container has not started yet.
    #[error("the container has not started")]
    NotStarted,
    /// The log has to come from the run's sidecar, which has not uploaded any yet, or never does.
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

impl LogError {
    /// The log did not arrive in the time that a reader waits.
    pub(crate) fn timeout_error() -> Self {
        Self::Other(anyhow::anyhow!("it did not come in time"))
    }
}

impl From<common::storage::StorageError> for LogError {
    fn from(error: common::storage::StorageError) -> Self {
        match error {
            common::storage::StorageError::NotFound(_) => Self::Absent,
            other => Self::Other(other.into()),
        }
    }
}

/// Opens the log as it is now.
pub(crate) async fn open_log(
    app: &DeckState,
    job: &IndexedJob,
    container: &str,
) -> Result<LogStream, LogError> {
    match LogOrigin::from_job(job) {
        LogOrigin::Nowhere => Err(LogError::NotStarted),
        LogOrigin::Pod => pod::open_pod_log(app, job, container, false).await,
        LogOrigin::Storage => {
            StoredLog::from_job(app, job, container)?
                .open_finished()
                .await
        }
        LogOrigin::StorageElsePod => match StoredLog::from_job(app, job, container)?
            .open_finished()
            .await
        {
            Err(LogError::Absent) => pod::open_pod_log(app, job, container, false).await,
            stored => stored,
        },
        LogOrigin::Sidecar => {
            let log = StoredLog::from_job(app, job, container)?;
            let so_far = LogPieces::new(log).into_stream().await;
            so_far.map_err(|error| match error {
                LogError::Absent => LogError::NotLetOut,
                error => error,
            })
        }
    }
}

/// Waits for an answer of the storage, for at most [`ANSWER`].
async fn within_timeout<T>(
    answer: impl Future<Output = Result<T, common::storage::StorageError>>,
) -> Result<T, LogError> {
    let Ok(answer) = timeout(ANSWER, answer).await else {
        return Err(LogError::Other(anyhow::anyhow!(
            "the storage gave no answer for {ANSWER:?}"
        )));
    };
    Ok(answer?)
}
