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

use super::{news::News, reporter::Error};

/// Which pull request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Pull {
    pub(super) org: String,
    pub(super) repo: String,
    pub(super) number: u64,
}

impl Pull {
    pub(super) fn of(job: &ProwJob) -> Option<Self> {
        let refs = job.spec.refs.as_ref()?;
        Some(Self {
            org: refs.org.clone(),
            repo: refs.repo.clone(),
            number: refs.pulls.first()?.number,
        })
    }
}

#[derive(Default)]
pub(super) struct PullQueues(Mutex<HashMap<Pull, Arc<Queue>>>);

#[derive(Default)]
struct Queue {
    turn: tokio::sync::Mutex<()>,
    waiting: Mutex<Vec<Waiting>>,
}

struct Waiting {
    news: Arc<News>,
    done: oneshot::Sender<Result<(), Arc<Error>>>,
}

impl PullQueues {
    /// Has `work` done for `news`, with what others bring.
    pub(super) async fn join<F>(
        &self,
        pull: &Pull,
        news: &Arc<News>,
        work: impl FnOnce(Vec<Arc<News>>) -> F,
    ) -> Result<(), Error>
    where
        F: Future<Output = Result<(), Error>>,
    {
        let queue = Arc::clone(self.lock().entry(pull.clone()).or_default());
        let result = queue.join(news, work).await;
        let mut queues = self.lock();
        // The map's and ours: nobody else is there.
        if Arc::strong_count(&queue) == 2 {
            queues.remove(pull);
        }
        result
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Pull, Arc<Queue>>> {
        self.0.lock().expect("nothing panics under this lock")
    }
}

impl Queue {
    async fn join<F>(
        &self,
        news: &Arc<News>,
        work: impl FnOnce(Vec<Arc<News>>) -> F,
    ) -> Result<(), Error>
    where
        F: Future<Output = Result<(), Error>>,
    {
        let (done, mut result) = oneshot::channel();
        self.waiting().push(Waiting {
            news: Arc::clone(news),
            done,
        });
        let _turn = self.turn.lock().await;
        match result.try_recv() {
            Ok(result) => result.map_err(Error::Shared),
            // Whoever did it was stopped in the middle.
            Err(TryRecvError::Closed) => Err(Error::TimedOut),
            Err(TryRecvError::Empty) => {
                let waiting = std::mem::take(&mut *self.waiting());
                let (all, told): (Vec<_>, Vec<_>) =
                    waiting.into_iter().map(|it| (it.news, it.done)).unzip();
                let result = work(all).await.map_err(Arc::new);
                for one in told {
                    // Who does not wait any more needs no answer; our own is among them.
                    let _ = one.send(result.clone());
                }
                result.map_err(Error::Shared)
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().expect("nothing panics under this lock")
    }
}
