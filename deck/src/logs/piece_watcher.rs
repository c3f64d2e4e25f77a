//! Polls storage for a log's next piece, once for all who follow that log.
//!
//! Each follower reads the pieces on its own: a watcher knows only their number.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::follow::{FINISHED_LOG_WAIT, wait_for_change};
use super::stored_log::StoredLog;
use crate::app::DeckState;

/// First pause between two polls; each poll without a result doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// A live log is to be at most two seconds old, of which its sidecar takes one.
const LONGEST_PAUSE: Duration = Duration::from_millis(800);

/// What is known of a log that is uploaded in pieces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PieceProgress {
    /// There are pieces up to this number, or there were.
    pub(super) pieces: u64,
    /// The whole log is stored.
    pub(super) stored: bool,
    /// The run has been over for so long that nothing more comes.
    pub(super) over: bool,
}

/// The names of a `ProwJob` and of a container.
type WatcherKey = (Arc<str>, String);

/// The logs that are polled now.
#[derive(Debug, Default)]
pub(crate) struct PieceWatchers(Mutex<HashMap<WatcherKey, watch::Sender<PieceProgress>>>);

impl PieceWatchers {
    /// Subscribes to the progress of a log of which the subscriber has `read` so many pieces.
    pub(super) fn subscribe_progress(
        app: &Arc<DeckState>,
        run: &Arc<str>,
        container: &str,
        log: &StoredLog,
        read: u64,
    ) -> watch::Receiver<PieceProgress> {
        let key = (run.clone(), container.to_owned());
        let mut all = app.lookouts.lock_watchers();
        if let Some(news) = all.get(&key) {
            let receiver = news.subscribe();
            news.send_if_modified(|news| {
                let behind = news.pieces < read;
                news.pieces = news.pieces.max(read);
                behind
            });
            return receiver;
        }
        let (news, receiver) = watch::channel(PieceProgress {
            pieces: read,
            ..PieceProgress::default()
        });
        all.insert(key.clone(), news.clone());
        let lookout = PieceWatcher {
            app: app.clone(),
            key,
            log: log.clone(),
            news,
        };
        tokio::spawn(lookout.watch_pieces());
        receiver
    }

    fn lock_watchers(
        &self,
    ) -> std::sync::MutexGuard<'_, HashMap<WatcherKey, watch::Sender<PieceProgress>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct PieceWatcher {
    app: Arc<DeckState>,
    key: WatcherKey,
    log: StoredLog,
    news: watch::Sender<PieceProgress>,
}

impl PieceWatcher {
    /// Polls until nobody is subscribed, or nothing more can come.
    async fn watch_pieces(self) {
        loop {
            let over = tokio::select! {
                () = self.app.shutdown.cancelled() => true,
                () = self.poll_pieces() => true,
                () = self.news.closed() => false,
            };
            if self.remove_if_done(over) {
                return;
            }
        }
    }

    /// Removes the watcher if it is `over` or nobody is subscribed. The next subscriber starts a new
    /// one.
    fn remove_if_done(&self, over: bool) -> bool {
        let mut all = self.app.lookouts.lock_watchers();
        let leaves = over || self.news.receiver_count() == 0;
        if leaves {
            all.remove(&self.key);
        }
        leaves
    }

    async fn poll_pieces(&self) {
        let mut pause = FIRST_PAUSE;
        let mut failed = false;
        let mut complete_since = None;
        loop {
            let complete = self.is_complete();
            match self.check_progress().await {
                Ok(true) => {
                    pause = FIRST_PAUSE;
                    failed = false;
                    if self.news.borrow().stored {
                        return;
                    }
                    continue;
                }
                Ok(false) => failed = false,
                Err(error) if failed => tracing::debug!(%error, "a live log cannot be read"),
                Err(error) => {
                    failed = true;
                    let prowjob = self.key.0.as_ref();
                    tracing::warn!(prowjob, %error, "a live log cannot be read");
                }
            }
            if complete {
                let since = *complete_since.get_or_insert_with(Instant::now);
                if since.elapsed() > FINISHED_LOG_WAIT {
                    self.news.send_modify(|news| news.over = true);
                    return;
                }
            }
            wait_for_change(&self.app, &self.key.0, pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Whether there is more than the subscribers know.
    async fn check_progress(&self) -> Result<bool, super::LogError> {
        let next = self.news.borrow().pieces + 1;
        if self.log.has_piece(next).await? {
            self.news
                .send_modify(|news| news.pieces = news.pieces.max(next));
            return Ok(true);
        }
        let stored = self.log.has_whole_log().await?;
        if stored {
            self.news.send_modify(|news| news.stored = true);
        }
        Ok(stored)
    }

    fn is_complete(&self) -> bool {
        let job = self.app.index.find_by_name(&self.key.0);
        job.is_none_or(|job| job.is_complete())
    }
}
