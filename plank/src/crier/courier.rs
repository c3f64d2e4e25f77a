//! Tells all reporters of one job, for as long as there is something to tell.
//!
//! Reporters work side by side; what they have told is marked on the object in one write, so
//! that a state costs one. One that fails or is slow holds up the others' marks for a moment
//! only, and is asked again alone. A state that passes while a report is under way is not told.

mod marks;
mod reports;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use common::prowjob::{ProwJob, ProwJobState};
use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use kube::ResourceExt;
use tokio::time::Instant;

use super::{
    controller::{Crier, marked},
    news::News,
    reporter::{Error, Told},
    slot::Slot,
};

/// How long marks wait for those of slower reporters.
const MARK_GRACE: Duration = Duration::from_secs(5);

type Marks = BTreeMap<&'static str, ProwJobState>;

/// How one reporter is getting on with the job.
#[derive(Clone, Debug, Default)]
struct Progress {
    running: bool,
    /// In a row.
    failures: u32,
    not_before: Option<Instant>,
    told: Option<ProwJobState>,
}

/// The writing of marks.
#[derive(Debug, Default)]
struct Marking {
    written: Marks,
    running: bool,
    failures: u32,
    not_before: Option<Instant>,
    /// When the oldest mark that is not written came to be.
    since: Option<Instant>,
}

/// Something that was under way and has ended.
enum Ended {
    Report(usize, Arc<News>, Result<Told, Error>),
    Marks(Arc<ProwJob>, Marks, Result<(), Error>),
}

/// Who tells of one job, and how far that has come.
pub(super) struct Courier {
    crier: Arc<Crier>,
    news: Option<Arc<News>>,
    progress: Vec<Progress>,
    marking: Marking,
}

/// Works until there is nothing left to tell, or until nothing is to be done before the time that
/// is returned, while others wait.
pub(super) async fn run(
    crier: Arc<Crier>,
    name: &str,
    slot: Arc<Slot>,
    known: Option<Box<Courier>>,
) -> Option<Instant> {
    let _guard = Guard {
        crier: Arc::clone(&crier),
        name: name.to_owned(),
    };
    let mut courier = known.unwrap_or_else(|| Box::new(Courier::new(Arc::clone(&crier))));
    let mut running: FuturesUnordered<BoxFuture<'static, Ended>> = FuturesUnordered::new();
    let shutdown = crier.shutdown.clone();
    loop {
        let mut crowded = std::pin::pin!(crier.queue.crowded.notified());
        crowded.as_mut().enable();
        let (job, gone) = slot.job();
        courier.look(job.as_ref(), gone);
        running.extend(courier.next_reports(Instant::now()));
        running.extend(courier.next_marks(Instant::now()));
        let idle = running.is_empty() && courier.has_nothing_left();
        if idle && crier.leave(name, &slot, job.as_ref()) {
            return None;
        }
        let wake = courier.wake();
        if let Some(until) = wake
            && running.is_empty()
            && courier.may_rest()
            && !crier.queue.is_empty()
        {
            // What came in the meantime ends the rest at once.
            let known = slot.rest(courier);
            return Some(if known { until } else { Instant::now() });
        }
        tokio::select! {
            Some(ended) = running.next() => courier.ended(ended),
            () = slot.changed.notified() => {}
            () = shutdown.cancelled(), if !shutdown.is_cancelled() => {}
            () = sleep_until(wake) => {}
            () = crowded => {}
        }
    }
}

/// For ever, if there is no time.
pub(super) async fn sleep_until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Frees the job when its courier panics.
struct Guard {
    crier: Arc<Crier>,
    name: String,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.crier.abandon(&self.name);
        }
    }
}

impl Courier {
    fn new(crier: Arc<Crier>) -> Self {
        Self {
            progress: vec![Progress::default(); crier.reporters.len()],
            crier,
            news: None,
            marking: Marking::default(),
        }
    }

    /// Whether this is what the courier works on.
    pub(super) fn knows(&self, job: Option<&Arc<ProwJob>>, gone: bool) -> bool {
        match (&self.news, job) {
            (Some(news), Some(job)) => Arc::ptr_eq(&news.job, job) && news.gone == gone,
            (None, None) => true,
            _ => false,
        }
    }

    /// Whether a pause loses nothing: what is told is marked, and crier goes on.
    fn may_rest(&self) -> bool {
        self.unwritten().is_empty() && !self.crier.shutdown.is_cancelled()
    }

    /// Takes notice of the newest state.
    fn look(&mut self, job: Option<&Arc<ProwJob>>, gone: bool) {
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
            Some(old) if same_job && same_state && old.gone == gone => old.again(Arc::clone(job)),
            _ => News::new(Arc::clone(job), Arc::clone(&self.crier.ctx), gone),
        }));
        if !same_job {
            self.marking = Marking {
                running: self.marking.running,
                ..Marking::default()
            };
        }
        for (reporter, progress) in self.crier.reporters.iter().zip(&mut self.progress) {
            if !same_job {
                progress.told = None;
            }
            if !same_job || !same_state {
                // A new state is worth a try at once.
                progress.failures = 0;
                progress.not_before = None;
            }
            // Plank marks what is not to be told: a mark of an earlier state that is still on
            // its way must not undo that.
            if marked(job, reporter.name()) == Some(job.state()) {
                progress.told = Some(job.state());
                self.marking.written.insert(reporter.name(), job.state());
            }
        }
    }

    /// Whether the reporter has yet to tell of the newest state.
    fn is_due(&self, index: usize, job: &ProwJob) -> bool {
        self.progress[index].told != Some(job.state())
            && self.crier.is_due(&*self.crier.reporters[index], job)
    }

    /// What is told and not written.
    fn unwritten(&self) -> Marks {
        let told = self.crier.reporters.iter().zip(&self.progress);
        told.filter_map(|(reporter, progress)| Some((reporter.name(), progress.told?)))
            .filter(|(name, state)| self.marking.written.get(name) != Some(state))
            .collect()
    }

    /// Whether a report of the newest state is under way or yet to come.
    fn is_awaited(&self, job: &ProwJob) -> bool {
        (0..self.progress.len())
            .any(|index| self.progress[index].running || self.is_due(index, job))
    }

    fn ended(&mut self, ended: Ended) {
        match ended {
            Ended::Report(index, news, result) => self.report_ended(index, &news, result),
            Ended::Marks(job, marks, result) => self.marks_ended(&job, marks, result),
        }
    }

    /// Whether `job` is this one still, and not another that was of its name.
    fn is_mine(&self, job: &ProwJob) -> bool {
        let current = self.news.as_ref();
        current.is_some_and(|current| current.job.uid() == job.uid())
    }

    /// When there is something to do although nothing happens.
    fn wake(&self) -> Option<Instant> {
        let job = &self.news.as_ref()?.job;
        let closing = self.crier.shutdown.is_cancelled();
        let reports = (0..self.progress.len())
            .filter(|index| !self.progress[*index].running && !closing)
            .filter(|index| self.is_due(*index, job))
            .filter_map(|index| self.progress[index].not_before);
        let mut marks = None;
        if !self.marking.running && !self.unwritten().is_empty() {
            let ripe = self.marking.since.map(|since| since + MARK_GRACE);
            marks = ripe
                .filter(|_| self.is_awaited(job))
                .max(self.marking.not_before);
        }
        reports.chain(marks).min()
    }

    /// Whether all is told, and the watch shows it: an older object would make another courier
    /// tell it again.
    fn has_nothing_left(&self) -> bool {
        let Some(news) = &self.news else {
            return true;
        };
        let job = &news.job;
        if self.crier.shutdown.is_cancelled() {
            return news.gone || self.unwritten().is_empty() || self.marking.failures > 0;
        }
        if self.is_awaited(job) {
            return false;
        }
        let mut told = self.crier.reporters.iter().zip(&self.progress);
        self.crier.ctx.settings.dry_run
            || news.gone
            || told.all(|(reporter, progress)| {
                progress.told.is_none() || progress.told == marked(job, reporter.name())
            })
    }
}

#[cfg(test)]
mod tests;
