//! A log while it grows: waits for the container, follows it, and goes on after a break.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tokio_stream::wrappers::ReceiverStream;

use super::{Error, LogStream, pod, stored_of};
use crate::app::App;
use crate::index::Job;

/// Between two looks at a container that has not started.
const POLL: Duration = Duration::from_millis(500);
/// The longest pause before a log that ended is looked at again.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long a finished run's log may take to appear.
const PATIENCE: Duration = Duration::from_secs(10);

/// The log from its first byte until the run is over. A log that never comes is an empty one.
pub(crate) fn follow(app: Arc<App>, job: Arc<Job>, container: String) -> LogStream {
    let (sender, receiver) = mpsc::channel(16);
    tokio::spawn(async move {
        let shutdown = app.shutdown.clone();
        let mut follower = Follower {
            app,
            job,
            container,
            sender: sender.clone(),
            delivered: 0,
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = sender.closed() => {}
            result = follower.run() => {
                if let Err(error) = result {
                    // Nobody listening any more is no error.
                    let _ = sender.send(Err(error)).await;
                }
            }
        }
    });
    ReceiverStream::new(receiver).boxed()
}

struct Follower {
    app: Arc<App>,
    job: Arc<Job>,
    container: String,
    sender: mpsc::Sender<anyhow::Result<Bytes>>,
    /// Bytes sent so far; a log that is opened again begins with them.
    delivered: u64,
}

impl Follower {
    async fn run(&mut self) -> anyhow::Result<()> {
        let mut pause = POLL;
        let mut complete_since = None;
        loop {
            let complete = self.refresh();
            match pod::open(&self.app, &self.job, &self.container, true).await {
                Ok(log) => {
                    let before = self.delivered;
                    let broken = self.copy(log).await.is_err();
                    if !broken && self.refresh() {
                        return Ok(());
                    }
                    pause = if broken || self.delivered > before {
                        POLL
                    } else {
                        (pause * 2).min(LONGEST_PAUSE)
                    };
                }
                Err(Error::Absent | Error::NotStarted | Error::NoSuchCluster(_)) if !complete => {}
                Err(Error::Absent | Error::NotStarted | Error::NoSuchCluster(_)) => {
                    let since = *complete_since.get_or_insert_with(Instant::now);
                    match stored_of(&self.app, &self.job, &self.container).await {
                        Ok(log) => return self.copy(log).await,
                        Err(Error::Other(error)) => return Err(error),
                        Err(_) if since.elapsed() < PATIENCE => {}
                        Err(_) => return Ok(()),
                    }
                }
                Err(Error::Other(error)) => return Err(error),
            }
            self.wait(pause).await;
        }
    }

    /// Takes the job's newest form; whether it is complete, or gone, which is as much.
    fn refresh(&mut self) -> bool {
        match self.app.index.by_name(&self.job.name) {
            Some(job) => self.job = job,
            None => return true,
        }
        self.job.is_complete()
    }

    /// Sends what was not sent before.
    async fn copy(&mut self, mut log: LogStream) -> anyhow::Result<()> {
        let mut skip = self.delivered;
        while let Some(mut chunk) = log.try_next().await? {
            let known = skip.min(chunk.len() as u64);
            skip -= known;
            // At most the chunk's own length.
            let fresh = chunk.split_off(usize::try_from(known).unwrap_or(usize::MAX));
            if !fresh.is_empty() {
                self.delivered += fresh.len() as u64;
                self.sender.send(Ok(fresh)).await?;
            }
        }
        Ok(())
    }

    /// Until `pause` is over or the job changes.
    async fn wait(&self, pause: Duration) {
        let mut changes = self.app.index.changes();
        let changed = async {
            loop {
                match changes.recv().await {
                    Ok(change)
                        if change
                            .after
                            .as_ref()
                            .is_none_or(|job| job.name != self.job.name) => {}
                    _ => return,
                }
            }
        };
        tokio::select! {
            () = sleep(pause) => {}
            () = changed => sleep(POLL / 5).await,
        }
    }
}
