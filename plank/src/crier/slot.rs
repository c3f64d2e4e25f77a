//! Where a courier finds the newest state of its job, and where it leaves what it knows while it
//! rests.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use common::prowjob::ProwJob;
use tokio::sync::Notify;

use super::courier::Courier;

/// One job that there is something to tell of.
pub(super) struct Slot {
    inner: Mutex<Inner>,
    pub(super) changed: Notify,
}

struct Inner {
    /// `None` once the job is gone and there is nothing left to tell.
    job: Option<Arc<ProwJob>>,
    /// The job is an obituary: there is no object to mark.
    gone: bool,
    place: Place,
}

/// Who works on the job.
pub(super) enum Place {
    /// Nobody yet: it is in the queue, with what a courier knew of it.
    Queued(Option<Box<Courier>>),
    Seated,
    /// Nobody until later.
    Resting(Box<Courier>),
}

impl Slot {
    pub(super) fn new(job: Arc<ProwJob>, gone: bool) -> Self {
        let place = Place::Queued(None);
        let job = Some(job);
        Self {
            inner: Mutex::new(Inner { job, gone, place }),
            changed: Notify::new(),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest state, and whether it is an obituary.
    pub(super) fn job(&self) -> (Option<Arc<ProwJob>>, bool) {
        let inner = self.inner();
        (inner.job.clone(), inner.gone)
    }

    pub(super) fn set(&self, job: Option<Arc<ProwJob>>, gone: bool) {
        let mut inner = self.inner();
        (inner.job, inner.gone) = (job, gone);
        drop(inner);
        self.changed.notify_one();
    }

    /// Puts a resting job into the queue; `false` if it is there already, or worked on.
    pub(super) fn queue(&self) -> bool {
        let mut inner = self.inner();
        match std::mem::replace(&mut inner.place, Place::Seated) {
            Place::Resting(courier) => {
                inner.place = Place::Queued(Some(courier));
                true
            }
            other => {
                inner.place = other;
                false
            }
        }
    }

    /// Takes the job out of the queue, with what a courier knew of it.
    pub(super) fn sit_down(&self) -> Option<Option<Box<Courier>>> {
        let mut inner = self.inner();
        match std::mem::replace(&mut inner.place, Place::Seated) {
            Place::Queued(courier) => Some(courier),
            other => {
                inner.place = other;
                None
            }
        }
    }

    /// Leaves what the courier knows; `false` if there is news for it.
    pub(super) fn rest(&self, courier: Box<Courier>) -> bool {
        let mut inner = self.inner();
        let known = courier.knows(inner.job.as_ref(), inner.gone);
        inner.place = Place::Resting(courier);
        known
    }
}
