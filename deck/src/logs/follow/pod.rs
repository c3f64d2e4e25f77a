//! Following what a container prints: over rotated files and broken connections.

use std::time::Duration;

use futures::TryStreamExt;
use tokio::time::timeout;

use super::{FIRST, Follower, GLANCE, changed};
use crate::logs::overlap::Overlap;
use crate::logs::{Error, LogStream, pod};

/// How long a log that is read again may be silent before its known part is over; and one of a
/// run that is over before nothing more comes.
const SILENCE: Duration = Duration::from_secs(5);

impl Follower {
    /// Tells what the container prints until its log ends or breaks off; whether the run is over
    /// by then, and was `complete` before.
    pub(super) async fn printed(&mut self, complete: bool) -> Result<bool, Error> {
        let delivered = self.delivered_of_file().await?;
        let log = pod::open(&self.app, &self.job, &self.container, true).await?;
        let fresh = self.copy(log, delivered).await?;
        if complete {
            return Ok(true);
        }
        if fresh {
            self.pause = FIRST;
        }
        Ok(false)
    }

    /// How much of the container's newest file was delivered.
    async fn delivered_of_file(&self) -> Result<u64, Error> {
        if self.delivered.total() == 0 {
            return Ok(0);
        }
        let mut log = pod::open(&self.app, &self.job, &self.container, false).await?;
        let mut overlap = Overlap::new(&self.delivered);
        while let Some(chunk) = log.try_next().await? {
            overlap.push(&chunk);
        }
        Ok(overlap.delivered())
    }

    /// Sends all but the first `skip` bytes; whether there were any.
    async fn copy(&mut self, mut log: LogStream, mut skip: u64) -> Result<bool, Error> {
        let mut fresh = false;
        loop {
            let next = if skip > 0 {
                // Its file was rotated since it was looked at: it may never be so long again.
                timeout(SILENCE, log.try_next()).await.unwrap_or(Ok(None))
            } else {
                tokio::select! {
                    next = log.try_next() => next,
                    () = self.silent_end() => Ok(None),
                }
            };
            let Some(mut chunk) = next? else {
                return Ok(fresh);
            };
            let known = skip.min(chunk.len() as u64);
            skip -= known;
            // At most the chunk's own length.
            let rest = chunk.split_off(usize::try_from(known).unwrap_or(usize::MAX));
            if !rest.is_empty() {
                fresh = true;
                self.send(rest).await?;
            }
        }
    }

    /// The run is over and its log as silent as if it were: a connection may be lost unnoticed.
    async fn silent_end(&self) {
        loop {
            let job = self.app.index.by_name(&self.job.name);
            if job.is_none_or(|job| job.is_complete()) {
                return tokio::time::sleep(SILENCE).await;
            }
            changed(&self.app, &self.job.name, GLANCE).await;
        }
    }
}
