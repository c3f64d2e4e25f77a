//! Batches the reports about a pull request: one batch after the other, each with all that wait.
//!
//! No pull request waits for another. The first report about an idle one does the work, for all
//! that have come until it begins.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use common::prowjob::ProwJob;
use tokio::sync::oneshot::{self, error::TryRecvError};

use super::{reporter::ReportError, state_change::JobStateChange};

/// Identifies a pull request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct PullKey {
    pub(super) org: String,
    pub(super) repo: String,
    pub(super) number: u64,
}

impl PullKey {
    pub(super) fn from_job(job: &ProwJob) -> Option<Self> {
        let refs = job.spec.refs.as_ref()?;
        Some(Self {
            org: refs.org.clone(),
            repo: refs.repo.clone(),
            number: refs.pulls.first()?.number,
        })
    }
}

#[derive(Default)]
pub(super) struct PullQueues(Mutex<HashMap<PullKey, Arc<PullQueue>>>);

#[derive(Default)]
struct PullQueue {
    turn: tokio::sync::Mutex<()>,
    waiting: Mutex<Vec<WaitingReport>>,
}

struct WaitingReport {
    news: Arc<JobStateChange>,
    done: oneshot::Sender<Result<(), Arc<ReportError>>>,
}

impl PullQueues {
    /// Runs `work` for `news` and for the other reports that wait.
    pub(super) async fn run_batched<F>(
        &self,
        pull: &PullKey,
        news: &Arc<JobStateChange>,
        work: impl FnOnce(Vec<Arc<JobStateChange>>) -> F,
    ) -> Result<(), ReportError>
    where
        F: Future<Output = Result<(), ReportError>>,
    {
        let queue = Arc::clone(self.lock_queues().entry(pull.clone()).or_default());
        let result = queue.run_batched(news, work).await;
        let mut queues = self.lock_queues();
        // The map's reference and this one: nobody else waits.
        if Arc::strong_count(&queue) == 2 {
            queues.remove(pull);
        }
        result
    }

    fn lock_queues(&self) -> MutexGuard<'_, HashMap<PullKey, Arc<PullQueue>>> {
        self.0.lock().expect("nothing panics under this lock")
    }
}

impl PullQueue {
    async fn run_batched<F>(
        &self,
        news: &Arc<JobStateChange>,
        work: impl FnOnce(Vec<Arc<JobStateChange>>) -> F,
    ) -> Result<(), ReportError>
    where
        F: Future<Output = Result<(), ReportError>>,
    {
        let (done, mut result) = oneshot::channel();
        self.lock_waiting().push(WaitingReport {
            news: Arc::clone(news),
            done,
        });
        let _turn = self.turn.lock().await;
        match result.try_recv() {
            Ok(result) => result.map_err(ReportError::Shared),
            // The task that did the work was dropped.
            Err(TryRecvError::Closed) => Err(ReportError::TimedOut),
            Err(TryRecvError::Empty) => {
                let waiting = std::mem::take(&mut *self.lock_waiting());
                let (all, told): (Vec<_>, Vec<_>) =
                    waiting.into_iter().map(|it| (it.news, it.done)).unzip();
                let result = work(all).await.map_err(Arc::new);
                for one in told {
                    // A report that no longer waits needs no answer; our own is among them.
                    let _ = one.send(result.clone());
                }
                result.map_err(ReportError::Shared)
            }
        }
    }

    fn lock_waiting(&self) -> MutexGuard<'_, Vec<WaitingReport>> {
        self.waiting.lock().expect("nothing panics under this lock")
    }
}
