//! The logs while they grow: masked pieces in the run's folder, until the logs themselves are
//! there.
//!
//! In order, the pieces of a log are its beginning as it will be stored. They are a convenience:
//! whatever becomes of them, the run goes on, and its log is uploaded whole.

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

/// How long a piece that is on its way when the run ends may take.
const LAST_PIECE: Duration = Duration::from_secs(10);
/// How long all pieces together may take to be removed.
const REMOVAL: Duration = Duration::from_secs(60);
/// Pieces removed at once.
const AT_ONCE: usize = 16;
/// Before another try to remove one.
const RETRY_WAIT: Duration = Duration::from_secs(1);

/// The pieces of one run; none where nobody can say what is secret.
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
    /// Where the log itself will be.
    key: String,
    /// Of the last piece that was begun.
    number: AtomicU64,
}

impl LiveLog {
    fn piece_key(&self, number: u64) -> String {
        live::piece_name(&self.key, number)
    }
}

impl LiveLogs {
    /// Writes pieces from now on, if all Secrets of the pod's containers are among the `known`.
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

    /// Begins no further piece.
    pub(super) fn stop_writing(&self) {
        self.stop.send_replace(true);
    }

    /// Removes all pieces, now that the logs are stored; as well as it can. One that is cut short
    /// may be repeated.
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
    /// How many secrets the followers' censor hides; `None` as long as they have none.
    hidden: Option<usize>,
    /// Why the secrets could not be read, as it was last told.
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
            // An error: nobody waits for us any more.
            if tokio::time::timeout(wait, stop).await.is_ok() {
                return;
            }
            self.write_new_pieces().await;
        }
    }

    /// At most one piece of each log.
    async fn write_new_pieces(&mut self) {
        let mut news = false;
        for follower in &mut self.followers {
            news |= follower.check_growth().await;
        }
        if !news {
            return;
        }
        // After the look, so that a secret that was replaced is known before what was written
        // with it goes out.
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
