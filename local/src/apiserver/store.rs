//! Every object of the cluster, in memory for readers and in `SQLite` for the next start.
//!
//! One writer: jobs queue up, run one after the other against the state and each other's changes, and are committed
//! together; only then do readers, watchers and the callers see any of it. What waits during a commit is the next one.

mod disk;
mod log;
mod state;
mod txn;

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::{Arc, Mutex, RwLock, RwLockReadGuard};

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

pub(crate) use log::Event;
pub(crate) use state::State;
pub(crate) use txn::Txn;

use super::lifecycle;
use super::status::{Failure, Result};
use disk::Disk;

/// Jobs taken into one commit at most.
const BATCH: usize = 256;

type Job = Box<dyn FnOnce(&mut Txn<'_>) -> Reply + Send>;
/// Answers the caller, after the commit or its failure.
type Reply = Box<dyn FnOnce(Result<()>) + Send>;

#[derive(Debug)]
pub(crate) struct Store {
    state: Arc<RwLock<State>>,
    jobs: mpsc::Sender<Job>,
    latest: watch::Receiver<u64>,
    stop: CancellationToken,
    writer: Mutex<Option<tokio::task::JoinHandle<()>>>,
}

impl Store {
    /// Opens the file (`None`: in memory) and starts its writer.
    pub(crate) async fn open(db: Option<&Path>) -> anyhow::Result<Self> {
        let (disk, state) = Disk::open(db).await?;
        let (latest_sender, latest) = watch::channel(state.version());
        let state = Arc::new(RwLock::new(state));
        let (jobs, queue) = mpsc::channel(1024);
        let stop = CancellationToken::new();
        let writer = Writer {
            state: state.clone(),
            disk,
            latest: latest_sender,
        };
        let writer = tokio::spawn(writer.run(queue, stop.clone()));
        Ok(Self {
            state,
            jobs,
            latest,
            stop,
            writer: Mutex::new(Some(writer)),
        })
    }

    /// Commits what is under way and gives the file free. Later writes fail.
    pub(crate) async fn close(&self) {
        self.stop.cancel();
        let writer = self.writer.lock().expect("no holder panics").take();
        if let Some(writer) = writer {
            // A panicked writer has nothing left to wait for.
            let _ = writer.await;
        }
    }

    /// The committed state.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state
            .read()
            .expect("the writer's lock section does not panic")
    }

    /// Changes whenever something was committed, to its version.
    pub(crate) fn latest(&self) -> watch::Receiver<u64> {
        self.latest.clone()
    }

    /// Runs `job` in its turn; returns its result once its changes are committed. A job that fails changes nothing,
    /// and neither does one that `dry_run`s.
    pub(crate) async fn write<T, F>(&self, now: Timestamp, dry_run: bool, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Txn<'_>) -> Result<T> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job = move |txn: &mut Txn<'_>| -> Reply {
            let mark = txn.begin(now);
            let run = AssertUnwindSafe(|| {
                let result = job(txn)?;
                lifecycle::settle(txn)?;
                Ok(result)
            });
            let result = std::panic::catch_unwind(run).unwrap_or_else(|_| {
                tracing::error!("a write to the embedded API panicked; it is undone");
                Err(Failure::internal())
            });
            if result.is_err() || dry_run {
                txn.undo(mark);
            }
            Box::new(move |committed| {
                // The caller may have gone away; its write stands all the same.
                let _ = answer.send(committed.and(result));
            })
        };
        self.jobs
            .send(Box::new(job))
            .await
            .map_err(|_| Failure::internal())?;
        answered.await.map_err(|_| Failure::internal())?
    }
}

struct Writer {
    state: Arc<RwLock<State>>,
    disk: Disk,
    latest: watch::Sender<u64>,
}

impl Writer {
    async fn run(mut self, mut queue: mpsc::Receiver<Job>, stop: CancellationToken) {
        let mut jobs = Vec::with_capacity(BATCH);
        loop {
            let taken = tokio::select! {
                biased;
                () = stop.cancelled() => 0,
                taken = queue.recv_many(&mut jobs, BATCH) => taken,
            };
            if taken == 0 {
                return self.disk.close().await;
            }
            self.commit(jobs.drain(..)).await;
        }
    }

    async fn commit(&mut self, jobs: impl Iterator<Item = Job>) {
        let (replies, changes) = {
            let state = self
                .state
                .read()
                .expect("the writer's lock section does not panic");
            let mut txn = Txn::new(&state);
            let replies: Vec<Reply> = jobs.map(|job| job(&mut txn)).collect();
            (replies, txn.into_changes())
        };
        if changes.events.is_empty() {
            replies.into_iter().for_each(|reply| reply(Ok(())));
            return;
        }
        if let Err(error) = self.disk.commit(&changes).await {
            tracing::error!(
                error = format!("{error:#}"),
                "the embedded API cannot write its database"
            );
            replies
                .into_iter()
                .for_each(|reply| reply(Err(Failure::internal())));
            return;
        }
        let version = {
            let mut state = self
                .state
                .write()
                .expect("the writer's lock section does not panic");
            changes
                .events
                .into_iter()
                .for_each(|event| state.apply(event));
            state.version()
        };
        self.latest.send_replace(version);
        replies.into_iter().for_each(|reply| reply(Ok(())));
    }
}
