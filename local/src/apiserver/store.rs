//! Every object of the cluster, in memory for readers and in `SQLite` for the next start.
//!
//! There is one writer. Jobs queue up, and run one after the other on the state and each other's
//! changes. They are committed together. Only then do readers, watchers and the callers see any of
//! it. The jobs that wait during a commit are in the next one.

mod change_log;
mod database;
mod state;
mod txn;

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::{Arc, Mutex, RwLock, RwLockReadGuard};

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

pub(crate) use change_log::ObjectChange;
pub(crate) use state::CommittedState;
pub(crate) use txn::Txn;

use super::lifecycle;
use super::status::{StatusError, StatusResult};
use database::StoreDatabase;

/// Jobs in one commit, at most.
const MAX_BATCH: usize = 256;

type WriteJob = Box<dyn FnOnce(&mut Txn<'_>) -> WriteReply + Send>;
/// Answers the caller, after the commit or its failure.
type WriteReply = Box<dyn FnOnce(StatusResult<()>) + Send>;

#[derive(Debug)]
pub(crate) struct ClusterStore {
    state: Arc<RwLock<CommittedState>>,
    jobs: mpsc::Sender<WriteJob>,
    latest: watch::Receiver<u64>,
    stop: CancellationToken,
    writer: Mutex<Option<tokio::task::JoinHandle<()>>>,
}

impl ClusterStore {
    /// Opens the file (`None`: in memory) and starts its writer.
    pub(crate) async fn open_store(db: Option<&Path>) -> anyhow::Result<Self> {
        let (disk, state) = StoreDatabase::open_database(db).await?;
        let (latest_sender, latest) = watch::channel(state.latest_version());
        let state = Arc::new(RwLock::new(state));
        let (jobs, queue) = mpsc::channel(1024);
        let stop = CancellationToken::new();
        let writer = BatchWriter {
            state: state.clone(),
            disk,
            latest: latest_sender,
        };
        let writer = tokio::spawn(writer.run_writer(queue, stop.clone()));
        Ok(Self {
            state,
            jobs,
            latest,
            stop,
            writer: Mutex::new(Some(writer)),
        })
    }

    /// Commits pending jobs and unlocks the file. Later writes fail.
    pub(crate) async fn close_store(&self) {
        self.stop.cancel();
        let writer = self.writer.lock().expect("no holder panics").take();
        if let Some(writer) = writer {
            // If the writer panicked there is nothing left to wait for.
            let _ = writer.await;
        }
    }

    /// The committed state.
    pub(crate) fn read_state(&self) -> RwLockReadGuard<'_, CommittedState> {
        self.state
            .read()
            .expect("the writer's lock section does not panic")
    }

    /// Changes to the new version after each commit.
    pub(crate) fn watch_version(&self) -> watch::Receiver<u64> {
        self.latest.clone()
    }

    /// Queues `job` and returns its result once its changes are committed. A job that fails, or
    /// that is a `dry_run`, changes nothing.
    pub(crate) async fn submit_write<T, F>(
        &self,
        now: Timestamp,
        dry_run: bool,
        job: F,
    ) -> StatusResult<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Txn<'_>) -> StatusResult<T> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job = move |txn: &mut Txn<'_>| -> WriteReply {
            let mark = txn.begin_job(now);
            let run = AssertUnwindSafe(|| {
                let result = job(txn)?;
                lifecycle::finish_deletions(txn)?;
                Ok(result)
            });
            let result = std::panic::catch_unwind(run).unwrap_or_else(|_| {
                tracing::error!("a write to the embedded API panicked; it is undone");
                Err(StatusError::internal_error())
            });
            if result.is_err() || dry_run {
                txn.rollback_job(mark);
            }
            Box::new(move |committed| {
                // The caller may have gone away. Its write is committed all the same.
                let _ = answer.send(committed.and(result));
            })
        };
        self.jobs
            .send(Box::new(job))
            .await
            .map_err(|_| StatusError::internal_error())?;
        answered.await.map_err(|_| StatusError::internal_error())?
    }
}

struct BatchWriter {
    state: Arc<RwLock<CommittedState>>,
    disk: StoreDatabase,
    latest: watch::Sender<u64>,
}

impl BatchWriter {
    async fn run_writer(mut self, mut queue: mpsc::Receiver<WriteJob>, stop: CancellationToken) {
        let mut jobs = Vec::with_capacity(MAX_BATCH);
        loop {
            let taken = tokio::select! {
                biased;
                () = stop.cancelled() => 0,
                taken = queue.recv_many(&mut jobs, MAX_BATCH) => taken,
            };
            if taken == 0 {
                return self.disk.close_database().await;
            }
            self.commit_batch(jobs.drain(..)).await;
        }
    }

    async fn commit_batch(&mut self, jobs: impl Iterator<Item = WriteJob>) {
        let (replies, changes) = {
            let state = self
                .state
                .read()
                .expect("the writer's lock section does not panic");
            let mut txn = Txn::new(&state);
            let replies: Vec<WriteReply> = jobs.map(|job| job(&mut txn)).collect();
            (replies, txn.into_changes())
        };
        if changes.events.is_empty() {
            replies.into_iter().for_each(|reply| reply(Ok(())));
            return;
        }
        if let Err(error) = self.disk.commit_changes(&changes).await {
            tracing::error!(
                error = format!("{error:#}"),
                "the embedded API cannot write its database"
            );
            replies
                .into_iter()
                .for_each(|reply| reply(Err(StatusError::internal_error())));
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
                .for_each(|event| state.apply_change(event));
            state.latest_version()
        };
        self.latest.send_replace(version);
        replies.into_iter().for_each(|reply| reply(Ok(())));
    }
}
