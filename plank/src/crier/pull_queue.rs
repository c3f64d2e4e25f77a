//! Work on pull requests, one after the other on each, all at once that waits for the same one.
//!
//! No pull request waits for another. Whoever comes to an idle one does the work, for all who
//! have come until it begins.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use common::prowjob::ProwJob;
use tokio::sync::oneshot::{self, error::TryRecvError};

use super::{reporter::ReportError, state_change::JobStateChange};

/// Which pull request.
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
    /// Has `work` done for `news`, with what others bring.
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
        // The map's and ours: nobody else is there.
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
            // Whoever did it was stopped in the middle.
            Err(TryRecvError::Closed) => Err(ReportError::TimedOut),
            Err(TryRecvError::Empty) => {
                let waiting = std::mem::take(&mut *self.lock_waiting());
                let (all, told): (Vec<_>, Vec<_>) =
                    waiting.into_iter().map(|it| (it.news, it.done)).unzip();
                let result = work(all).await.map_err(Arc::new);
                for one in told {
                    // Who does not wait any more needs no answer; our own is among them.
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
