//! The reports of one job: which start now, and how they ended.

use std::sync::Arc;

use common::prowjob::ProwJob;
use futures::future::BoxFuture;
use jiff::Timestamp;
use kube::ResourceExt;
use tokio::time::{Duration, Instant};

use super::{FinishedTask, ReportWorker};
use crate::crier::{
    reporter::{ReportError, ReportResult, backoff_delay},
    state_change::JobStateChange,
};

/// Longest wait before a report that was not possible yet is tried again.
const MAX_NOT_YET_RETRY: Duration = Duration::from_secs(5);

impl ReportWorker {
    /// Starts the reports that are due; none once crier shuts down.
    pub(super) fn start_due_reports(
        &mut self,
        now: Instant,
    ) -> Vec<BoxFuture<'static, FinishedTask>> {
        let mut started: Vec<BoxFuture<'static, FinishedTask>> = Vec::new();
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
                let result = crier.reporters[index].report_state_change(&news).await;
                FinishedTask::Report(index, news, result)
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
            reporter = self.crier.reporters[index].reporter_name(),
            "dry run: would report"
        );
    }

    pub(super) fn finish_report(
        &mut self,
        index: usize,
        news: &JobStateChange,
        result: Result<ReportResult, ReportError>,
    ) {
        let (job, metrics) = (&news.job, &self.crier.ctx.metrics);
        let reporter = self.crier.reporters[index].reporter_name();
        let mine = self.is_same_job(job);
        let progress = &mut self.progress[index];
        progress.running = false;
        match result {
            Ok(ReportResult::Done) => {
                let status = job.status.as_ref();
                let completed = status.and_then(|status| status.completion_time.as_ref());
                metrics.record_report(reporter, completed.map(|time| time.0), Timestamp::now());
                progress.failures = 0;
                if mine {
                    progress.told = Some(job.state());
                }
            }
            Ok(ReportResult::NotYet) => {
                let wait = backoff_delay(progress.failures).min(MAX_NOT_YET_RETRY);
                progress.not_before = Some(Instant::now() + wait);
                progress.failures = progress.failures.saturating_add(1);
            }
            Err(error) => {
                metrics.record_failure(reporter);
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
}
