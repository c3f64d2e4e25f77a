//! Where a courier finds the newest state of its job, and where it leaves what it knows while it
//! rests.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use common::prowjob::ProwJob;
use tokio::sync::Notify;

use super::report_worker::ReportWorker;

/// One job that there is something to tell of.
pub(super) struct ReportSlot {
    inner: Mutex<ReportSlotState>,
    pub(super) changed: Notify,
}

struct ReportSlotState {
    /// `None` once the job is gone and there is nothing left to tell.
    job: Option<Arc<ProwJob>>,
    /// The job is an obituary: there is no object to mark.
    gone: bool,
    place: ReportWorkerState,
}

/// Who works on the job.
pub(super) enum ReportWorkerState {
    /// Nobody yet: it is in the queue, with what a courier knew of it.
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

    /// The newest state, and whether it is an obituary.
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

    /// Puts a resting job into the queue; `false` if it is there already, or worked on.
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

    /// Takes the job out of the queue, with what a courier knew of it.
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

    /// Leaves what the courier knows; `false` if there is news for it.
    pub(super) fn pause_worker(&self, courier: Box<ReportWorker>) -> bool {
        let mut inner = self.lock_state();
        let known = courier.is_working_on(inner.job.as_ref(), inner.gone);
        inner.place = ReportWorkerState::Resting(courier);
        known
    }
}
