//! Stored logs that were read from end to end, once for all readers: both ends, and where their
//! lines are. A stored log does not change, so the result is kept for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::TryStreamExt;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout, timeout_at};

use super::stored_log::{LogVersion, StoredLog};
use super::window::LogWindow;

/// Maximum number of logs in the cache; each takes up to 1 MiB.
const MAX_KNOWN: usize = 32;
/// Maximum number of logs that are read at once.
const AT_ONCE: usize = 4;
/// How long a storage may be silent, and how long reading one log may take.
const SILENCE: Duration = Duration::from_secs(15);
const LONGEST_SCAN: Duration = Duration::from_secs(300);

/// `None` until the log was read.
type ScanReceiver = watch::Receiver<Option<Arc<LogWindow>>>;

#[derive(Debug)]
pub(crate) struct ScanCache {
    known: Mutex<HashMap<LogVersion, (Instant, ScanReceiver)>>,
    room: Arc<Semaphore>,
}

impl Default for ScanCache {
    fn default() -> Self {
        Self {
            known: Mutex::default(),
            room: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }
}

impl ScanCache {
    /// The log, if it is read `in_time`; otherwise reading goes on for later requests.
    pub(super) async fn wait_for_scan(
        &self,
        log: &StoredLog,
        version: LogVersion,
        in_time: Instant,
    ) -> Option<Arc<LogWindow>> {
        let mut read = self.start_scan(log, version)?;
        let there = timeout_at(in_time, read.wait_for(Option::is_some));
        there.await.ok()?.ok()?.clone()
    }

    /// `None`: too many other logs are being read.
    fn start_scan(&self, log: &StoredLog, version: LogVersion) -> Option<ScanReceiver> {
        let now = Instant::now();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // The sender of a failed scan is gone; its log is scanned again.
        known.retain(|_, (_, read)| read.has_changed().is_ok() || read.borrow().is_some());
        if let Some((used, read)) = known.get_mut(&version) {
            *used = now;
            return Some(read.clone());
        }
        if known.len() >= MAX_KNOWN {
            let done = known
                .iter()
                .filter(|(_, (_, read))| read.borrow().is_some());
            let oldest = done.min_by_key(|(_, (used, _))| *used)?.0.clone();
            known.remove(&oldest);
        }
        let (sender, read) = watch::channel(None);
        known.insert(version, (now, read.clone()));
        let (log, room) = (log.clone(), self.room.clone());
        tokio::spawn(async move {
            match timeout(LONGEST_SCAN, scan_log(log, &room)).await {
                Ok(Ok(window)) => drop(sender.send_replace(Some(Arc::new(window)))),
                Ok(Err(error)) => {
                    let error = format!("{error:#}");
                    tracing::warn!(error, "a stored log cannot be read to its end");
                }
                Err(late) => tracing::warn!(%late, "a stored log takes too long to read"),
            }
        });
        Some(read)
    }
}

async fn scan_log(log: StoredLog, room: &Semaphore) -> anyhow::Result<LogWindow> {
    let _permit = room.acquire().await?;
    let mut all = log.open_whole_from(0).await?;
    let mut window = LogWindow::new_counting();
    while let Some(chunk) = timeout(SILENCE, all.try_next()).await?? {
        window.push_chunk(&chunk);
    }
    Ok(window)
}
