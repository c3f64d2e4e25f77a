//! Tells all reporters of one job, for as long as there is something to tell.
//!
//! Reporters work side by side; what they have told is marked on the object in one write, so
//! that a state costs one. One that fails or is slow holds up the others' marks for a moment
//! only, and is asked again alone. A state that passes while a report is under way is not told.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use common::prowjob::{ProwJob, ProwJobState};
use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use jiff::Timestamp;
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::json;
use tokio::time::Instant;

use super::{
    controller::{Crier, Slot, marked},
    news::News,
    reporter::{Error, Told, backoff},
};

/// How long marks wait for those of slower reporters.
const MARK_GRACE: Duration = Duration::from_secs(5);
/// Bound on the write of marks.
const MARK_PATIENCE: Duration = Duration::from_secs(30);

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

struct Courier {
    crier: Arc<Crier>,
    news: Option<Arc<News>>,
    progress: Vec<Progress>,
    marking: Marking,
}

pub(super) async fn run(crier: Arc<Crier>, name: String, slot: Arc<Slot>) {
    let _guard = Guard {
        crier: Arc::clone(&crier),
        name: name.clone(),
    };
    let mut courier = Courier {
        progress: vec![Progress::default(); crier.reporters.len()],
        crier,
        news: None,
        marking: Marking::default(),
    };
    let mut running: FuturesUnordered<BoxFuture<'static, Ended>> = FuturesUnordered::new();
    let shutdown = courier.crier.shutdown.clone();
    loop {
        let job = slot.job();
        courier.look(job.as_ref());
        running.extend(courier.next_reports(Instant::now()));
        running.extend(courier.next_marks(Instant::now()));
        let idle = running.is_empty() && courier.has_nothing_left();
        if idle && courier.crier.leave(&name, &slot, job.as_ref()) {
            return;
        }
        let wake = courier.wake();
        tokio::select! {
            Some(ended) = running.next() => courier.ended(ended),
            () = slot.changed.notified() => {}
            () = shutdown.cancelled(), if !shutdown.is_cancelled() => {}
            () = sleep_until(wake) => {}
        }
    }
}

async fn sleep_until(time: Option<Instant>) {
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
    /// Takes notice of the newest state.
    fn look(&mut self, job: Option<&Arc<ProwJob>>) {
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
            Some(old) if same_job && same_state => old.again(Arc::clone(job)),
            _ => News::new(Arc::clone(job), Arc::clone(&self.crier.ctx)),
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

    /// Starts what is due. Nothing any more once crier is to end.
    fn next_reports(&mut self, now: Instant) -> Vec<BoxFuture<'static, Ended>> {
        let mut started: Vec<BoxFuture<'static, Ended>> = Vec::new();
        let Some(news) = self.news.clone() else {
            return started;
        };
        if self.crier.shutdown.is_cancelled() {
            return started;
        }
        for index in 0..self.progress.len() {
            let waits = self.progress[index].not_before > Some(now);
            if self.progress[index].running || waits || !self.is_due(index, &news.job) {
                continue;
            }
            if self.crier.ctx.settings.dry_run {
                self.progress[index].told = Some(news.job.state());
                self.log_dry_run(index, &news.job);
                continue;
            }
            self.progress[index].running = true;
            let (crier, news) = (Arc::clone(&self.crier), Arc::clone(&news));
            started.push(Box::pin(async move {
                let result = crier.reporters[index].report(&news).await;
                Ended::Report(index, news, result)
            }));
        }
        started
    }

    fn log_dry_run(&self, index: usize, job: &ProwJob) {
        let refs = job.spec.refs.as_ref();
        let pull = refs.and_then(|refs| refs.pulls.first());
        tracing::info!(
            prowjob = job.name_any(),
            job = job.spec.job,
            org = refs.map(|refs| refs.org.as_str()),
            repo = refs.map(|refs| refs.repo.as_str()),
            pr = pull.map(|pull| pull.number),
            state = job.state().as_str(),
            reporter = self.crier.reporters[index].name(),
            "dry run: would report"
        );
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

    fn next_marks(&mut self, now: Instant) -> Option<BoxFuture<'static, Ended>> {
        let news = self.news.as_ref()?;
        let marks = self.unwritten();
        if self.crier.ctx.settings.dry_run || self.marking.running || marks.is_empty() {
            return None;
        }
        let closing = self.crier.shutdown.is_cancelled();
        let since = *self.marking.since.get_or_insert(now);
        let ripe = closing || !self.is_awaited(&news.job) || now >= since + MARK_GRACE;
        if !ripe || self.marking.not_before > Some(now) {
            return None;
        }
        self.marking.running = true;
        self.marking.since = None;
        let (crier, job) = (Arc::clone(&self.crier), Arc::clone(&news.job));
        Some(Box::pin(async move {
            let result = write_marks(&crier, &job, &marks).await;
            Ended::Marks(job, marks, result)
        }))
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

    fn marks_ended(&mut self, job: &ProwJob, marks: Marks, result: Result<(), Error>) {
        let mine = self.is_mine(job);
        let marking = &mut self.marking;
        marking.running = false;
        match result {
            Ok(()) => {
                marking.failures = 0;
                marking.not_before = None;
                if mine {
                    marking.written.extend(marks);
                }
            }
            Err(error) => {
                let wait = error.retry_after(marking.failures, Timestamp::now());
                marking.failures = marking.failures.saturating_add(1);
                marking.not_before = Some(Instant::now() + wait);
                tracing::warn!(
                    prowjob = job.name_any(),
                    job = job.spec.job,
                    "marking what was reported failed, trying again: {error:#}"
                );
            }
        }
    }

    fn report_ended(&mut self, index: usize, news: &News, result: Result<Told, Error>) {
        let (job, metrics) = (&news.job, &self.crier.ctx.metrics);
        let reporter = self.crier.reporters[index].name();
        let mine = self.is_mine(job);
        let progress = &mut self.progress[index];
        progress.running = false;
        match result {
            Ok(Told::Done) => {
                let status = job.status.as_ref();
                let completed = status.and_then(|status| status.completion_time.as_ref());
                metrics.reported(reporter, completed.map(|time| time.0), Timestamp::now());
                progress.failures = 0;
                if mine {
                    progress.told = Some(job.state());
                }
            }
            Ok(Told::NotYet) => {
                progress.not_before = Some(Instant::now() + backoff(progress.failures));
                progress.failures = progress.failures.saturating_add(1);
            }
            Err(error) => {
                metrics.failed(reporter);
                let wait = error.retry_after(progress.failures, Timestamp::now());
                progress.failures = progress.failures.saturating_add(1);
                progress.not_before = Some(Instant::now() + wait);
                tracing::warn!(
                    prowjob = job.name_any(),
                    job = job.spec.job,
                    state = job.state().as_str(),
                    reporter,
                    retry_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
                    "reporting failed, trying again: {error:#}"
                );
            }
        }
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
            return self.unwritten().is_empty() || self.marking.failures > 0;
        }
        if self.is_awaited(job) {
            return false;
        }
        let mut told = self.crier.reporters.iter().zip(&self.progress);
        self.crier.ctx.settings.dry_run
            || told.all(|(reporter, progress)| {
                progress.told.is_none() || progress.told == marked(job, reporter.name())
            })
    }
}

/// Marks states as told. Without a resourceVersion: whoever else writes the object writes other
/// fields.
async fn write_marks(crier: &Crier, job: &ProwJob, marks: &Marks) -> Result<(), Error> {
    crier.ctx.fence.check()?;
    let patch = Patch::Merge(json!({"status": {"prev_report_states": marks}}));
    let namespace = job.namespace().unwrap_or_default();
    let api: Api<ProwJob> = Api::namespaced(crier.ctx.clusters.infra().clone(), &namespace);
    let (name, params) = (job.name_any(), PatchParams::default());
    let written = api.patch_metadata(&name, &params, &patch);
    match tokio::time::timeout(MARK_PATIENCE, written).await {
        Err(_) => Err(Error::TimedOut),
        Ok(Err(kube::Error::Api(status))) if status.code == 404 => Ok(()),
        Ok(done) => Ok(done.map(drop)?),
    }
}

#[cfg(test)]
mod tests;
