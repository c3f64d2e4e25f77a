//! Limits how many jobs are reported at once: one that only waits for a later try makes room.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{sync::Notify, task::JoinSet, time::Instant};

use super::{controller::CrierController, report_slot::ReportSlot, report_worker};

/// The jobs that wait for a report worker, by name.
#[derive(Default)]
pub(super) struct ReportQueue {
    names: Mutex<VecDeque<String>>,
    /// Notifies sleeping workers when a job begins to wait.
    pub(super) crowded: Notify,
}

impl ReportQueue {
    fn lock_names(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, name: String) {
        let mut names = self.lock_names();
        names.push_back(name);
        if names.len() == 1 {
            self.crowded.notify_waiters();
        }
    }

    fn pop(&self) -> Option<String> {
        self.lock_names().pop_front()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock_names().is_empty()
    }
}

/// The running report workers, and the paused ones.
pub(super) struct WorkerPool {
    couriers: JoinSet<(String, Option<Instant>)>,
    most: usize,
    /// Paused jobs by the time of their next try; the number makes two of one time distinct.
    rests: BTreeMap<(Instant, u64), String>,
    number: u64,
}

impl WorkerPool {
    pub(super) fn new(most: usize) -> Self {
        Self {
            couriers: JoinSet::new(),
            most,
            rests: BTreeMap::new(),
            number: 0,
        }
    }

    /// Starts workers for waiting jobs, up to the limit.
    pub(super) fn start_workers(&mut self, crier: &Arc<CrierController>) {
        while self.couriers.len() < self.most {
            let Some(name) = crier.queue.pop() else {
                return;
            };
            if let Some(slot) = crier.find_slot(&name)
                && let Some(known) = slot.start_worker()
            {
                self.couriers
                    .spawn(run_worker(Arc::clone(crier), name, slot, known));
            }
        }
    }

    /// Waits until a worker ends or pauses, or until a pause is over.
    pub(super) async fn wait_for_worker(&mut self, crier: &Arc<CrierController>) {
        let soonest = self.rests.keys().next().map(|(at, _)| *at);
        tokio::select! {
            Some(ended) = self.couriers.join_next() => match ended {
                Ok((name, Some(until))) => {
                    self.number += 1;
                    self.rests.insert((until, self.number), name);
                }
                Ok((_, None)) => {}
                Err(error) => tracing::error!("a courier panicked: {error}"),
            },
            () = report_worker::sleep_until(soonest) => {
                if let Some((_, name)) = self.rests.pop_first() {
                    crier.requeue_job(&name);
                }
            }
        }
    }

    /// Waits until all running workers have ended.
    pub(super) async fn join_workers(&mut self) {
        while self.couriers.join_next().await.is_some() {}
    }
}

async fn run_worker(
    crier: Arc<CrierController>,
    name: String,
    slot: Arc<ReportSlot>,
    known: Option<Box<report_worker::ReportWorker>>,
) -> (String, Option<Instant>) {
    let until = report_worker::run_report_worker(crier, &name, slot, known).await;
    (name, until)
}
