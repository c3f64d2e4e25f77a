//! Follows what a container prints, across rotated files and broken connections.

use std::time::Duration;

use futures::TryStreamExt;
use tokio::time::timeout;

use super::{FIRST_PAUSE, RECHECK_INTERVAL, RunLogFollower, wait_for_change};
use crate::logs::overlap::LogOverlap;
use crate::logs::{LogError, LogStream, pod};

/// How long a log that is read again may be silent before its known part counts as read, and the
/// log of a run that is over before it counts as ended.
const SILENCE: Duration = Duration::from_secs(5);

impl RunLogFollower {
    /// Sends what the container prints until its log ends or breaks off. `true`: the run was
    /// `complete` before, so nothing more comes.
    pub(super) async fn follow_pod(&mut self, complete: bool) -> Result<bool, LogError> {
        let delivered = self.delivered_of_file().await?;
        let log = pod::open_pod_log(&self.app, &self.job, &self.container, true).await?;
        let fresh = self.send_fresh(log, delivered).await?;
        if complete {
            return Ok(true);
        }
        if fresh {
            self.pause = FIRST_PAUSE;
        }
        Ok(false)
    }

    /// Number of delivered bytes of the container's newest file.
    async fn delivered_of_file(&self) -> Result<u64, LogError> {
        if self.delivered.total() == 0 {
            return Ok(0);
        }
        let mut log = pod::open_pod_log(&self.app, &self.job, &self.container, false).await?;
        let mut overlap = LogOverlap::new(&self.delivered);
        while let Some(chunk) = log.try_next().await? {
            overlap.push_chunk(&chunk);
        }
        Ok(overlap.delivered_bytes())
    }

    /// Sends all but the first `skip` bytes; whether there were any.
    async fn send_fresh(&mut self, mut log: LogStream, mut skip: u64) -> Result<bool, LogError> {
        let mut fresh = false;
        loop {
            let next = if skip > 0 {
                // The file was rotated after its length was read: it may never be so long again.
                timeout(SILENCE, log.try_next()).await.unwrap_or(Ok(None))
            } else {
                tokio::select! {
                    next = log.try_next() => next,
                    () = self.wait_for_silence() => Ok(None),
                }
            };
            let Some(mut chunk) = next? else {
                return Ok(fresh);
            };
            let known = skip.min(chunk.len() as u64);
            skip -= known;
            // At most the length of the chunk.
            let rest = chunk.split_off(usize::try_from(known).unwrap_or(usize::MAX));
            if !rest.is_empty() {
                fresh = true;
                self.send_chunk(rest).await?;
            }
        }
    }

    /// Waits until the run is over and then for silence: a connection may be lost unnoticed.
    async fn wait_for_silence(&self) {
        loop {
            let job = self.app.index.find_by_name(&self.job.name);
            if job.is_none_or(|job| job.is_complete()) {
                return tokio::time::sleep(SILENCE).await;
            }
            wait_for_change(&self.app, &self.job.name, RECHECK_INTERVAL).await;
        }
    }
}
