//! Holds the newest state of a job for its report worker, and the worker itself while it is paused.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use common::prowjob::ProwJob;
use tokio::sync::Notify;

use super::report_worker::ReportWorker;

/// One job with something to report.
pub(super) struct ReportSlot {
    inner: Mutex<ReportSlotState>,
    pub(super) changed: Notify,
}

struct ReportSlotState {
    /// `None` once the job is gone and nothing is left to report.
    job: Option<Arc<ProwJob>>,
    /// The object was deleted: nothing can be written to it.
    gone: bool,
    place: ReportWorkerState,
}

/// Who works on the job.
pub(super) enum ReportWorkerState {
    /// Nobody yet: it is in the queue, with its paused worker if there was one.
    Queued(Option<Box<ReportWorker>>),
    Seated,
    /// Nobody until later.
    Resting(Box<ReportWorker>),
}

impl ReportSlot {
    pub(super) fn new(job: Arc<ProwJob>, gone: bool) -> Self {
        let place = ReportWorkerState::Queued(None);
        let job = Some(job);
        Self {
            inner: Mutex::new(ReportSlotState { job, gone, place }),
            changed: Notify::new(),
        }
    }

    fn lock_state(&self) -> MutexGuard<'_, ReportSlotState> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest state, and whether the object was deleted.
    pub(super) fn newest_job(&self) -> (Option<Arc<ProwJob>>, bool) {
        let inner = self.lock_state();
        (inner.job.clone(), inner.gone)
    }

    pub(super) fn set_job(&self, job: Option<Arc<ProwJob>>, gone: bool) {
        let mut inner = self.lock_state();
        (inner.job, inner.gone) = (job, gone);
        drop(inner);
        self.changed.notify_one();
    }

    /// Queues a paused job; `false` if it is queued already, or worked on.
    pub(super) fn enqueue_paused(&self) -> bool {
        let mut inner = self.lock_state();
        match std::mem::replace(&mut inner.place, ReportWorkerState::Seated) {
            ReportWorkerState::Resting(courier) => {
                inner.place = ReportWorkerState::Queued(Some(courier));
                true
            }
            other => {
                inner.place = other;
                false
            }
        }
    }

    /// Takes the job out of the queue, with its paused worker if there was one.
    pub(super) fn start_worker(&self) -> Option<Option<Box<ReportWorker>>> {
        let mut inner = self.lock_state();
        match std::mem::replace(&mut inner.place, ReportWorkerState::Seated) {
            ReportWorkerState::Queued(courier) => Some(courier),
            other => {
                inner.place = other;
                None
            }
        }
    }

    /// Keeps a paused worker; `false` if the job has changed meanwhile.
    pub(super) fn pause_worker(&self, courier: Box<ReportWorker>) -> bool {
        let mut inner = self.lock_state();
        let known = courier.is_working_on(inner.job.as_ref(), inner.gone);
        inner.place = ReportWorkerState::Resting(courier);
        known
    }
}
