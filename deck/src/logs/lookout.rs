//! Looks for a log's next piece, once for all who follow that log.
//!
//! The pieces themselves each follower reads on its own: nothing is held here but their number.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::follow::{PATIENCE, changed};
use super::stored::StoredLog;
use crate::app::App;

/// Between two looks, at first; each in vain doubles it.
const FIRST: Duration = Duration::from_millis(250);
/// A live log is not to be older than two seconds, of which its sidecar takes one.
const LONGEST: Duration = Duration::from_millis(800);

/// What is known of a log that is let out in pieces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LogNews {
    /// There are pieces up to this number, or were.
    pub(super) pieces: u64,
    /// The log itself is there.
    pub(super) stored: bool,
    /// The run has been over for so long that nothing more comes.
    pub(super) over: bool,
}

/// A `ProwJob`'s name and a container's.
type Key = (Arc<str>, String);

/// The logs that are looked at now.
#[derive(Debug, Default)]
pub(crate) struct Lookouts(Mutex<HashMap<Key, watch::Sender<LogNews>>>);

impl Lookouts {
    /// News of a log of which the subscriber has read so many pieces.
    pub(super) fn subscribe(
        app: &Arc<App>,
        run: &Arc<str>,
        container: &str,
        log: &StoredLog,
        read: u64,
    ) -> watch::Receiver<LogNews> {
        let key = (run.clone(), container.to_owned());
        let mut all = app.lookouts.lock();
        if let Some(news) = all.get(&key) {
            let receiver = news.subscribe();
            news.send_if_modified(|news| {
                let behind = news.pieces < read;
                news.pieces = news.pieces.max(read);
                behind
            });
            return receiver;
        }
        let (news, receiver) = watch::channel(LogNews {
            pieces: read,
            ..LogNews::default()
        });
        all.insert(key.clone(), news.clone());
        let lookout = Lookout {
            app: app.clone(),
            key,
            log: log.clone(),
            news,
        };
        tokio::spawn(lookout.run());
        receiver
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Key, watch::Sender<LogNews>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Lookout {
    app: Arc<App>,
    key: Key,
    log: StoredLog,
    news: watch::Sender<LogNews>,
}

impl Lookout {
    /// Until nobody listens, or nothing more can come.
    async fn run(self) {
        loop {
            let over = tokio::select! {
                () = self.app.shutdown.cancelled() => true,
                () = self.look() => true,
                () = self.news.closed() => false,
            };
            if self.leave(over) {
                return;
            }
        }
    }

    /// Whoever comes now starts a new one. Unless it is `over`, somebody may just have come.
    fn leave(&self, over: bool) -> bool {
        let mut all = self.app.lookouts.lock();
        let leaves = over || self.news.receiver_count() == 0;
        if leaves {
            all.remove(&self.key);
        }
        leaves
    }

    async fn look(&self) {
        let mut pause = FIRST;
        let mut failed = false;
        let mut complete_since = None;
        loop {
            let complete = self.is_complete();
            match self.news_now().await {
                Ok(true) => {
                    pause = FIRST;
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
                if since.elapsed() > PATIENCE {
                    self.news.send_modify(|news| news.over = true);
                    return;
                }
            }
            changed(&self.app, &self.key.0, pause).await;
            pause = (pause * 2).min(LONGEST);
        }
    }

    /// Whether there is more than was told.
    async fn news_now(&self) -> Result<bool, super::Error> {
        let next = self.news.borrow().pieces + 1;
        if self.log.has_piece(next).await? {
            self.news
                .send_modify(|news| news.pieces = news.pieces.max(next));
            return Ok(true);
        }
        let stored = self.log.is_whole().await?;
        if stored {
            self.news.send_modify(|news| news.stored = true);
        }
        Ok(stored)
    }

    fn is_complete(&self) -> bool {
        let job = self.app.index.by_name(&self.key.0);
        job.is_none_or(|job| job.is_complete())
    }
}
