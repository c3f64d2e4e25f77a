//! Live logs: masked pieces of a log that still grows, in the run's folder until the log itself is
//! stored.
//!
//! In order, the pieces of a log are the beginning of the stored log. They are a convenience: if
//! they fail, the run goes on, and its log is still uploaded whole.

mod follower;
mod pace;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::storage::{ObjectStorage, live, paths};
use futures::stream::{self, StreamExt};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::secrets::KnownSecrets;
use crate::upload::UploadTarget;

use super::options::{SidecarCensoringOptions, SidecarOptions};
use follower::LiveLogReader;

/// How long the last piece may take after the run has ended.
const LAST_PIECE: Duration = Duration::from_secs(10);
/// How long the removal of all pieces may take.
const REMOVAL: Duration = Duration::from_secs(60);
/// Pieces removed at once.
const AT_ONCE: usize = 16;
/// The wait before a removal is tried again.
const RETRY_WAIT: Duration = Duration::from_secs(1);

/// The live logs of one run. They have no pieces without `every_secret`, and none in a dry run.
#[derive(Debug)]
pub(super) struct LiveLogs {
    storage: ObjectStorage,
    logs: Arc<[LiveLog]>,
    stop: watch::Sender<bool>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

/// The pieces of one log.
#[derive(Debug)]
struct LiveLog {
    /// The key of the whole log.
    key: String,
    /// The number of the last piece that was started.
    number: AtomicU64,
}

impl LiveLog {
    fn piece_key(&self, number: u64) -> String {
        live::piece_name(&self.key, number)
    }
}

impl LiveLogs {
    /// Starts to write pieces, if the options say that the secret folders hold every Secret of the
    /// pod's containers (`every_secret`), and not in a dry run.
    pub(super) fn start_writing(
        options: &SidecarOptions,
        target: &UploadTarget,
        known: &KnownSecrets,
    ) -> Self {
        let containers = options.entries.len();
        let key = |container: &str| target.object_key(&paths::build_log(container, containers));
        let logs = options.entries.iter().map(|entry| LiveLog {
            key: key(&entry.container_name),
            number: AtomicU64::new(0),
        });
        let logs: Arc<[LiveLog]> = logs.collect();
        let (stop, stopped) = watch::channel(false);
        let censoring = &options.censoring_options;
        let writer = (censoring.every_secret && !options.gcs_options.dry_run).then(|| {
            let paths = options.entries.iter();
            let writer = LiveLogWriter {
                storage: target.storage.clone(),
                logs: logs.clone(),
                followers: paths
                    .map(|entry| LiveLogReader::new(PathBuf::from(&entry.process_log)))
                    .collect(),
                options: censoring.clone(),
                known: known.clone(),
                hidden: None,
                trouble: None,
            };
            tokio::spawn(writer.write_pieces(stopped))
        });
        Self {
            storage: target.storage.clone(),
            logs,
            stop,
            writer: Mutex::new(writer),
        }
    }

    /// Starts no further piece.
    pub(super) fn stop_writing(&self) {
        self.stop.send_replace(true);
    }

    /// Removes all pieces, if possible: the logs are stored by then, or may not be, since they could
    /// not be censored. A call that is cancelled may be repeated.
    pub(super) async fn remove_pieces(&self) {
        self.stop_writing();
        let mut writer = self.writer.lock().await;
        if let Some(writer) = writer.as_mut()
            && tokio::time::timeout(LAST_PIECE, &mut *writer)
                .await
                .is_err()
        {
            writer.abort();
        }
        *writer = None;
        let pieces = self.logs.iter().flat_map(|log| {
            let last = log.number.load(Ordering::Relaxed);
            (1..=last).map(|number| log.piece_key(number))
        });
        let removal =
            stream::iter(pieces).for_each_concurrent(AT_ONCE, |key| self.delete_piece(key));
        if tokio::time::timeout(REMOVAL, removal).await.is_err() {
            warn!("the storage takes too long, so pieces of the live log stay");
        }
        for log in self.logs.iter() {
            log.number.store(0, Ordering::Relaxed);
        }
    }

    async fn delete_piece(&self, key: String) {
        while let Err(error) = self.storage.delete_object(&key).await {
            if !error.is_transient() {
                warn!(key, %error, "a piece of the live log stays");
                return;
            }
            tokio::time::sleep(RETRY_WAIT).await;
        }
    }
}

/// Writes the pieces of all logs of a run, one log after the other, so that no more than one
/// piece is in memory.
struct LiveLogWriter {
    storage: ObjectStorage,
    logs: Arc<[LiveLog]>,
    followers: Vec<LiveLogReader>,
    options: SidecarCensoringOptions,
    known: KnownSecrets,
    /// How many secrets the readers' censor masks; `None` until they have a censor.
    hidden: Option<usize>,
    /// Why the secrets could not be read, as it was last logged.
    trouble: Option<String>,
}

impl LiveLogWriter {
    async fn write_pieces(mut self, mut stopped: watch::Receiver<bool>) {
        loop {
            let pieces = self
                .logs
                .iter()
                .map(|log| log.number.load(Ordering::Relaxed));
            let wait = pace::piece_interval(pieces.max().unwrap_or(0));
            let stop = stopped.wait_for(|stop| *stop);
            // An error means that nobody waits any more.
            if tokio::time::timeout(wait, stop).await.is_ok() {
                return;
            }
            self.write_new_pieces().await;
        }
    }

    /// Writes at most one piece of each log.
    async fn write_new_pieces(&mut self) {
        let mut news = false;
        for follower in &mut self.followers {
            news |= follower.check_growth().await;
        }
        if !news {
            return;
        }
        // After `check_growth`, so that a secret that was replaced is known before text that has
        // it is stored.
        match self.known.learn_secrets(&self.options).await {
            Ok(count) if self.hidden == Some(count) => {}
            Ok(count) => match self.known.build_censor(&self.options) {
                Ok(censor) => {
                    self.followers
                        .iter_mut()
                        .for_each(|it| it.start_masking(&censor));
                    self.hidden = Some(count);
                }
                Err(reason) => {
                    warn!(reason, "the logs are no longer shown live");
                    return self.followers.iter_mut().for_each(LiveLogReader::give_up);
                }
            },
            Err(reason) => {
                if self.trouble.as_ref() != Some(&reason) {
                    warn!(reason, "nothing is shown live for now");
                    self.trouble = Some(reason);
                }
                return;
            }
        }
        for (follower, log) in self.followers.iter_mut().zip(self.logs.iter()) {
            let Some(piece) = follower.next_piece().await else {
                continue;
            };
            let number = follower.next_number();
            log.number.store(number, Ordering::Relaxed);
            let key = log.piece_key(number);
            match self
                .storage
                .put_object(&key, piece, &follower::piece_attributes())
                .await
            {
                Ok(()) => follower.mark_stored(),
                Err(error) if error.is_transient() => {
                    info!(key, %error, "a piece of the live log is tried again");
                }
                Err(error) => {
                    warn!(key, %error, "the log is no longer shown live");
                    follower.give_up();
                }
            }
        }
    }
}
