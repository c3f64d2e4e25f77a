//! The reporter `gcsreporter`: stores a job's object and its end next to the files of its pod.

use std::{sync::Arc, time::Duration};

use common::{
    prowjob::{ProwJob, ProwJobState},
    storage::paths,
};
use futures::future::BoxFuture;
use jiff::Timestamp;
use kube::ResourceExt;

use super::{
    CrierContext,
    destination::{RunDestination, RunFolder, resolve_destination},
    reporter::{ReportError, ReportResult, Reporter, SendLimiter},
    run_files,
    state_change::JobStateChange,
};

/// The time limit of one job's files.
const FILES_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) struct GcsReporter {
    ctx: Arc<CrierContext>,
    workers: SendLimiter,
}

impl GcsReporter {
    pub(super) fn new(ctx: &Arc<CrierContext>) -> Self {
        Self {
            ctx: Arc::clone(ctx),
            workers: ctx.new_limiter(ctx.settings.blob_storage_workers, FILES_TIMEOUT),
        }
    }

    async fn store_files(&self, news: &JobStateChange) -> Result<(), ReportError> {
        let to = match resolve_destination(&self.ctx.config.borrow(), &news.job) {
            Ok(Some(to)) => to,
            Ok(None) => return Ok(()),
            Err(error) => {
                log_giving_up(&news.job, "", &error);
                return Ok(());
            }
        };
        let job = if news.gone {
            Arc::clone(&news.job)
        } else {
            match news.read_full_job().await? {
                Some(job) => job,
                None => return Ok(()),
            }
        };
        let place = format!("{}/{}", to.bucket, to.dir);
        match self.write_files(to, &job, news.gone).await {
            Err(ReportError::Storage(error)) if !error.is_transient() => {
                log_giving_up(&job, &place, &error);
                Ok(())
            }
            done => done,
        }
    }

    async fn write_files(
        &self,
        to: RunDestination,
        job: &ProwJob,
        gone: bool,
    ) -> Result<(), ReportError> {
        let folder = self.ctx.buckets.open_folder(to, Timestamp::now())?;
        write_started(&folder, job).await?;
        if let Some(finished) = run_files::finished_json(job) {
            let finished = run_files::to_indented_json(&finished);
            folder.put_json_if_absent(paths::FINISHED, finished).await?;
        }
        let mut job = if gone {
            with_final_status(&folder, job).await?
        } else {
            job.clone()
        };
        job.managed_fields_mut().clear();
        folder
            .put_json(paths::PROW_JOB, run_files::to_indented_json(&job))
            .await?;
        Ok(())
    }
}

/// The stored object with the final status of a deleted job, of which crier keeps only a part.
async fn with_final_status(folder: &RunFolder, obituary: &ProwJob) -> Result<ProwJob, ReportError> {
    let stored = folder.get_small(paths::PROW_JOB).await?.unwrap_or_default();
    let stored = serde_json::from_slice::<ProwJob>(&stored).ok();
    let mut job = stored.unwrap_or_else(|| obituary.clone());
    job.status.clone_from(&obituary.status);
    Ok(job)
}

/// Logs files that no later try can write.
pub(super) fn log_giving_up(job: &ProwJob, place: &str, error: &dyn std::fmt::Display) {
    tracing::error!(
        prowjob = job.name_any(),
        job = job.spec.job,
        state = job.state().as_str(),
        place,
        "giving up on a job's files: {error}"
    );
}

async fn write_started(folder: &RunFolder, job: &ProwJob) -> Result<(), ReportError> {
    let Some(first) = run_files::started_json(job, &[]) else {
        return Ok(());
    };
    let first = run_files::to_indented_json(&first);
    if folder
        .put_json_if_absent(paths::STARTED, first.clone())
        .await?
    {
        return Ok(());
    }
    let there = folder.get_small(paths::STARTED).await?.unwrap_or_default();
    if !run_files::is_provisional(job, &there) {
        return Ok(());
    }
    let records = folder
        .get_small(paths::CLONE_RECORDS)
        .await?
        .unwrap_or_default();
    let records = serde_json::from_slice::<Vec<_>>(&records).unwrap_or_default();
    let started =
        run_files::started_json(job, &records).map(|started| run_files::to_indented_json(&started));
    if let Some(started) = started.filter(|started| *started != there) {
        folder.put_json(paths::STARTED, started).await?;
    }
    Ok(())
}

impl Reporter for GcsReporter {
    fn reporter_name(&self) -> &'static str {
        "gcsreporter"
    }

    /// An aborted job is due only when it is complete: its end is the same state.
    fn is_due(&self, job: &ProwJob) -> bool {
        let status = job.status.as_ref();
        let has_run = status.is_some_and(|status| !status.build_id.is_empty());
        has_run && (job.is_complete() || job.state() != ProwJobState::Aborted)
    }

    fn report_state_change<'a>(
        &'a self,
        news: &'a Arc<JobStateChange>,
    ) -> BoxFuture<'a, Result<ReportResult, ReportError>> {
        Box::pin(async move {
            self.workers.run_limited(self.store_files(news)).await?;
            // Stores the failure digest even if no other reporter needs it.
            news.report_details().await;
            Ok(ReportResult::Done)
        })
    }
}
