//! Reports one job through all reporters, for as long as there is something to report.
//!
//! Reporters run concurrently. What they have reported goes to `prev_report_states` together,
//! so that a state costs one write. A reporter that fails or is slow delays that write for a moment
//! only, and is retried alone. A state that passes while a report is under way is not reported.

mod prev_states;
mod reports;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use common::prowjob::{ProwJob, ProwJobState};
use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use kube::ResourceExt;
use tokio::time::Instant;

use super::{
    controller::{CrierController, prev_report_state},
    report_slot::ReportSlot,
    reporter::{ReportError, ReportResult},
    state_change::JobStateChange,
};

/// How long `prev_report_states` wait for slower reporters.
const PREV_STATES_GRACE: Duration = Duration::from_secs(5);

type PrevReportStates = BTreeMap<&'static str, ProwJobState>;

/// The progress of one reporter with the job.
#[derive(Clone, Debug, Default)]
struct ReporterProgress {
    running: bool,
    /// Failures in a row.
    failures: u32,
    not_before: Option<Instant>,
    told: Option<ProwJobState>,
}

/// The write of `prev_report_states`.
#[derive(Debug, Default)]
struct PrevStatesProgress {
    written: PrevReportStates,
    running: bool,
    failures: u32,
    not_before: Option<Instant>,
    /// When the oldest unwritten state was reported.
    since: Option<Instant>,
}

/// A task that has ended.
enum FinishedTask {
    Report(
        usize,
        Arc<JobStateChange>,
        Result<ReportResult, ReportError>,
    ),
    Marks(Arc<ProwJob>, PrevReportStates, Result<(), ReportError>),
}

/// Reports one job, and holds the progress.
pub(super) struct ReportWorker {
    crier: Arc<CrierController>,
    news: Option<Arc<JobStateChange>>,
    progress: Vec<ReporterProgress>,
    marking: PrevStatesProgress,
}

/// Works until there is nothing left to report; or, while other jobs wait for a worker, until there
/// is nothing to do before the returned time.
pub(super) async fn run_report_worker(
    crier: Arc<CrierController>,
    name: &str,
    slot: Arc<ReportSlot>,
    known: Option<Box<ReportWorker>>,
) -> Option<Instant> {
    let _guard = AbandonOnPanic {
        crier: Arc::clone(&crier),
        name: name.to_owned(),
    };
    let mut courier = known.unwrap_or_else(|| Box::new(ReportWorker::new(Arc::clone(&crier))));
    let mut running: FuturesUnordered<BoxFuture<'static, FinishedTask>> = FuturesUnordered::new();
    let shutdown = crier.shutdown.clone();
    loop {
        let mut crowded = std::pin::pin!(crier.queue.crowded.notified());
        crowded.as_mut().enable();
        let (job, gone) = slot.newest_job();
        courier.update_state(job.as_ref(), gone);
        running.extend(courier.start_due_reports(Instant::now()));
        running.extend(courier.start_prev_states_write(Instant::now()));
        let idle = running.is_empty() && courier.has_nothing_left();
        if idle && crier.release_slot(name, &slot, job.as_ref()) {
            return None;
        }
        let wake = courier.next_wakeup();
        if let Some(until) = wake
            && running.is_empty()
            && courier.may_pause()
            && !crier.queue.is_empty()
        {
            // A change that came in the meantime ends the pause at once.
            let known = slot.pause_worker(courier);
            return Some(if known { until } else { Instant::now() });
        }
        tokio::select! {
            Some(ended) = running.next() => courier.handle_finished_task(ended),
            () = slot.changed.notified() => {}
            () = shutdown.cancelled(), if !shutdown.is_cancelled() => {}
            () = sleep_until(wake) => {}
            () = crowded => {}
        }
    }
}

/// Sleeps for ever if there is no time.
pub(super) async fn sleep_until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Frees the job when its report worker panics.
struct AbandonOnPanic {
    crier: Arc<CrierController>,
    name: String,
}

impl Drop for AbandonOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.crier.abandon_slot(&self.name);
        }
    }
}

impl ReportWorker {
    fn new(crier: Arc<CrierController>) -> Self {
        Self {
            progress: vec![ReporterProgress::default(); crier.reporters.len()],
            crier,
            news: None,
            marking: PrevStatesProgress::default(),
        }
    }

    /// Whether this is the state that the worker works on.
    pub(super) fn is_working_on(&self, job: Option<&Arc<ProwJob>>, gone: bool) -> bool {
        match (&self.news, job) {
            (Some(news), Some(job)) => Arc::ptr_eq(&news.job, job) && news.gone == gone,
            (None, None) => true,
            _ => false,
        }
    }

    /// Whether a pause loses nothing: reported states are written, and crier does not shut down.
    fn may_pause(&self) -> bool {
        self.unwritten_states().is_empty() && !self.crier.shutdown.is_cancelled()
    }

    /// Takes over the newest state.
    fn update_state(&mut self, job: Option<&Arc<ProwJob>>, gone: bool) {
        let Some(job) = job else {
            self.news = None;
            return;
        };
        let old = self.news.as_ref();
        if old.is_some_and(|old| Arc::ptr_eq(&old.job, job)) {
            return;
        }
        let same_job = old.is_some_and(|old| old.job.uid() == job.uid());
        let same_state = old.is_some_and(|old| old.job.state() == job.state());
        self.news = Some(Arc::new(match old {
            Some(old) if same_job && same_state && old.gone == gone => {
                old.with_job(Arc::clone(job))
            }
            _ => JobStateChange::new(Arc::clone(job), Arc::clone(&self.crier.ctx), gone),
        }));
        if !same_job {
            self.marking = PrevStatesProgress {
                running: self.marking.running,
                ..PrevStatesProgress::default()
            };
        }
        for (reporter, progress) in self.crier.reporters.iter().zip(&mut self.progress) {
            if !same_job {
                progress.told = None;
            }
            if !same_job || !same_state {
                // A new state is tried at once.
                progress.failures = 0;
                progress.not_before = None;
            }
            // Plank writes states that are not to be reported: the write of an earlier state that
            // is still under way must not undo that.
            if prev_report_state(job, reporter.reporter_name()) == Some(job.state()) {
                progress.told = Some(job.state());
                self.marking
                    .written
                    .insert(reporter.reporter_name(), job.state());
            }
        }
    }

    /// Whether the reporter has yet to report the newest state.
    fn is_due(&self, index: usize, job: &ProwJob) -> bool {
        self.progress[index].told != Some(job.state())
            && self.crier.is_report_due(&*self.crier.reporters[index], job)
    }

    /// States that are reported and not written.
    fn unwritten_states(&self) -> PrevReportStates {
        let told = self.crier.reporters.iter().zip(&self.progress);
        told.filter_map(|(reporter, progress)| Some((reporter.reporter_name(), progress.told?)))
            .filter(|(name, state)| self.marking.written.get(name) != Some(state))
            .collect()
    }

    /// Whether a report of the newest state is under way or yet to come.
    fn has_pending_report(&self, job: &ProwJob) -> bool {
        (0..self.progress.len())
            .any(|index| self.progress[index].running || self.is_due(index, job))
    }

    fn handle_finished_task(&mut self, ended: FinishedTask) {
        match ended {
            FinishedTask::Report(index, news, result) => self.finish_report(index, &news, result),
            FinishedTask::Marks(job, marks, result) => {
                self.finish_prev_states_write(&job, marks, result)
            }
        }
    }

    /// Whether `job` is still this one, and not another of its name.
    fn is_same_job(&self, job: &ProwJob) -> bool {
        let current = self.news.as_ref();
        current.is_some_and(|current| current.job.uid() == job.uid())
    }

    /// When there is something to do although no event comes.
    fn next_wakeup(&self) -> Option<Instant> {
        let job = &self.news.as_ref()?.job;
        let closing = self.crier.shutdown.is_cancelled();
        let reports = (0..self.progress.len())
            .filter(|index| !self.progress[*index].running && !closing)
            .filter(|index| self.is_due(*index, job))
            .filter_map(|index| self.progress[index].not_before);
        let mut marks = None;
        if !self.marking.running && !self.unwritten_states().is_empty() {
            let ripe = self.marking.since.map(|since| since + PREV_STATES_GRACE);
            marks = ripe
                .filter(|_| self.has_pending_report(job))
                .max(self.marking.not_before);
        }
        reports.chain(marks).min()
    }

    /// Whether all is reported, and the watch shows it: an older object would make another worker
    /// report it again.
    fn has_nothing_left(&self) -> bool {
        let Some(news) = &self.news else {
            return true;
        };
        let job = &news.job;
        if self.crier.shutdown.is_cancelled() {
            return news.gone || self.unwritten_states().is_empty() || self.marking.failures > 0;
        }
        if self.has_pending_report(job) {
            return false;
        }
        let mut told = self.crier.reporters.iter().zip(&self.progress);
        self.crier.ctx.settings.dry_run
            || news.gone
            || told.all(|(reporter, progress)| {
                progress.told.is_none()
                    || progress.told == prev_report_state(job, reporter.reporter_name())
            })
    }
}

#[cfg(test)]
mod tests;
