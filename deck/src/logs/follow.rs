//! Follows a log while it grows: waits for the run to start, and continues after a break.

mod pod;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tokio_stream::wrappers::ReceiverStream;

use super::overlap::DeliveredTail;
use super::piece_watcher::{PieceProgress, PieceWatchers};
use super::pieces::LogPieces;
use super::stored_log::StoredLog;
use super::{LogError, LogOrigin, LogStream};
use crate::app::DeckState;
use crate::index::IndexedJob;

/// First pause between two tries for a log that is not there; each failed try doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Interval of reading a run from the index again, in case a change of it was missed.
const RECHECK_INTERVAL: Duration = Duration::from_secs(60);
/// The longest pause between two tries, unless the job changes.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// How long a finished run's log may take to appear.
pub(super) const FINISHED_LOG_WAIT: Duration = Duration::from_secs(10);

/// The log from its first byte until the run is over. A log that never comes is empty.
pub(crate) fn follow_log(
    app: Arc<DeckState>,
    job: Arc<IndexedJob>,
    container: String,
) -> LogStream {
    let (sender, receiver) = mpsc::channel(16);
    tokio::spawn(async move {
        let shutdown = app.shutdown.clone();
        let mut follower = RunLogFollower {
            app,
            job,
            container,
            sender: sender.clone(),
            delivered: DeliveredTail::default(),
            pause: FIRST_PAUSE,
            failed: false,
            complete_since: None,
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = sender.closed() => {}
            result = follower.follow_run() => {
                if let Err(error) = result {
                    // A closed receiver is no error.
                    let _ = sender.send(Err(error)).await;
                }
            }
        }
    });
    ReceiverStream::new(receiver).boxed()
}

struct RunLogFollower {
    app: Arc<DeckState>,
    job: Arc<IndexedJob>,
    container: String,
    sender: mpsc::Sender<anyhow::Result<Bytes>>,
    delivered: DeliveredTail,
    pause: Duration,
    /// The last try failed, and the failure was logged.
    failed: bool,
    complete_since: Option<Instant>,
}

impl RunLogFollower {
    async fn follow_run(&mut self) -> anyhow::Result<()> {
        loop {
            let complete = self.refresh_job();
            if !self.app.may_view(&self.job) {
                return Ok(());
            }
            if complete {
                self.complete_since.get_or_insert_with(Instant::now);
            }
            let tried = match LogOrigin::from_job(&self.job) {
                LogOrigin::Nowhere if complete => return Ok(()),
                LogOrigin::Nowhere => Err(LogError::NotStarted),
                LogOrigin::Sidecar => self.follow_pieces().await.map(|()| true),
                LogOrigin::Storage => self.send_stored().await.map(|()| true),
                LogOrigin::StorageElsePod => match self.send_stored().await {
                    Err(LogError::Absent) => self.follow_pod(complete).await,
                    stored => stored.map(|()| true),
                },
                LogOrigin::Pod => self.follow_pod(complete).await,
            };
            match tried {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) if self.complete_since.is_some_and(is_long_ago) => {
                    return match error {
                        LogError::Other(error) => Err(error),
                        _ => Ok(()),
                    };
                }
                Err(error) => self.warn_once(&error),
            }
            self.pause_until_change().await;
        }
    }

    /// Reads the job's newest version from the index; whether it is complete or gone.
    fn refresh_job(&mut self) -> bool {
        match self.app.index.find_by_name(&self.job.name) {
            Some(job) => self.job = job,
            None => return true,
        }
        self.job.is_complete()
    }

    /// Whether the run has been complete for so long that no more of its log will come.
    fn is_long_over(&mut self) -> bool {
        self.refresh_job() && is_long_ago(*self.complete_since.get_or_insert_with(Instant::now))
    }

    /// Waits until the next try. A queued job is not polled: it changes when it starts.
    async fn pause_until_change(&mut self) {
        let queued = LogOrigin::from_job(&self.job) == LogOrigin::Nowhere;
        let pause = if queued { RECHECK_INTERVAL } else { self.pause };
        wait_for_change(&self.app, &self.job.name, pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        if queued {
            self.pause = FIRST_PAUSE;
        }
    }

    /// Logs one line for the operator, however often a log is tried.
    fn warn_once(&mut self, error: &LogError) {
        if let LogError::Other(error) = error
            && !std::mem::replace(&mut self.failed, true)
        {
            let (prowjob, job) = (self.job.name.as_ref(), self.job.job.as_ref());
            let error = format!("{error:#}");
            tracing::warn!(
                prowjob,
                job,
                error,
                "a log is not to be had; it is tried again"
            );
        }
    }

    /// Sends a chunk, unless the run was hidden while it is followed.
    async fn send_chunk(&mut self, chunk: Bytes) -> Result<(), LogError> {
        self.refresh_job();
        if !self.app.may_view(&self.job) {
            return Err(LogError::Absent);
        }
        self.delivered.push_chunk(&chunk);
        (self.pause, self.failed) = (FIRST_PAUSE, false);
        let sent = self.sender.send(Ok(chunk)).await;
        sent.map_err(|_| LogError::Other(anyhow::anyhow!("nobody listens any more")))
    }

    /// Sends the pieces that the sidecar uploads, to the end of the run.
    async fn follow_pieces(&mut self) -> Result<(), LogError> {
        let log = StoredLog::from_job(&self.app, &self.job, &self.container)?;
        let mut pieces = LogPieces::new(log.clone());
        let mut news = None;
        let mut told_of = 0;
        loop {
            match pieces.next_chunk().await {
                Ok(Some(chunk)) => self.send_chunk(chunk).await?,
                Ok(None) if pieces.ended() => return Ok(()),
                Ok(None) => {
                    let news = news.get_or_insert_with(|| {
                        let (run, read) = (&self.job.name, pieces.number() - 1);
                        PieceWatchers::subscribe_progress(
                            &self.app,
                            run,
                            &self.container,
                            &log,
                            read,
                        )
                    });
                    let number = pieces.number();
                    let more =
                        |news: &PieceProgress| news.pieces >= number || news.stored || news.over;
                    let Ok(told) = news.wait_for(more).await.map(|news| *news) else {
                        return Ok(());
                    };
                    if told.over && told.pieces < number && !told.stored {
                        return Ok(());
                    }
                    if std::mem::replace(&mut told_of, number) == number {
                        // The announced piece is gone, and the whole log is not stored.
                        if self.is_long_over() {
                            return Ok(());
                        }
                        self.pause_until_change().await;
                    }
                }
                Err(error) => {
                    if self.is_long_over() {
                        return Err(error);
                    }
                    self.warn_once(&error);
                    self.pause_until_change().await;
                }
            }
        }
    }

    /// Sends the stored log from where the delivered bytes end. If the pod printed something else
    /// than was stored, nothing more is sent: the stored log has everything.
    async fn send_stored(&mut self) -> Result<(), LogError> {
        let log = StoredLog::from_job(&self.app, &self.job, &self.container)?;
        let end = self.delivered.bytes();
        if end.is_empty() {
            let mut all = log.open_finished().await?;
            while let Some(chunk) = all.try_next().await? {
                self.send_chunk(chunk).await?;
            }
            return Ok(());
        }
        let before = self.delivered.total() - end.len() as u64;
        let mut rest = log.open_whole_from(before).await?;
        let mut known = end.as_slice();
        while let Some(mut chunk) = rest.try_next().await? {
            let (same, more) = known.split_at(known.len().min(chunk.len()));
            if !chunk.starts_with(same) {
                return Ok(());
            }
            let fresh = chunk.split_off(same.len());
            known = more;
            if !fresh.is_empty() {
                self.send_chunk(fresh).await?;
            }
        }
        Ok(())
    }
}

fn is_long_ago(since: Instant) -> bool {
    since.elapsed() > FINISHED_LOG_WAIT
}

/// Waits for `pause`, or until shortly after the run's `ProwJob` has changed.
pub(super) async fn wait_for_change(app: &DeckState, run: &str, pause: Duration) {
    let mut changes = app.index.subscribe_changes();
    let changed = async {
        loop {
            match changes.recv().await {
                Ok(change)
                    if change
                        .after
                        .as_ref()
                        .is_none_or(|job| job.name.as_ref() != run) =>
                {
                    let gone = change.before.as_ref().filter(|_| change.after.is_none());
                    if gone.is_some_and(|job| job.name.as_ref() == run) {
                        return;
                    }
                }
                _ => return,
            }
        }
    };
    tokio::select! {
        () = sleep(pause) => {}
        () = changed => sleep(FIRST_PAUSE / 5).await,
    }
}
