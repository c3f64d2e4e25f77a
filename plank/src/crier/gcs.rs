//! The reporter `gcsreporter`: a job's object and its end, beside the files of its pod.

use std::{sync::Arc, time::Duration};

use common::{
    prowjob::{ProwJob, ProwJobState},
    storage::paths,
};
use futures::future::BoxFuture;
use jiff::Timestamp;
use kube::ResourceExt;

use super::{
    Context,
    destination::{Destination, Folder, destination},
    files,
    news::News,
    reporter::{Error, Reporter, Told, Workers},
};

/// Bound on one job's files.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct GcsReporter {
    ctx: Arc<Context>,
    workers: Workers,
}

impl GcsReporter {
    pub(super) fn new(ctx: &Arc<Context>) -> Self {
        Self {
            ctx: Arc::clone(ctx),
            workers: ctx.workers(ctx.settings.blob_storage_workers, PATIENCE),
        }
    }

    async fn store(&self, news: &News) -> Result<(), Error> {
        let to = match destination(&self.ctx.config.borrow(), &news.job) {
            Ok(Some(to)) => to,
            Ok(None) => return Ok(()),
            Err(error) => {
                give_up(&news.job, "", &error);
                return Ok(());
            }
        };
        let job = if news.gone {
            Arc::clone(&news.job)
        } else {
            match news.whole().await? {
                Some(job) => job,
                None => return Ok(()),
            }
        };
        let place = format!("{}/{}", to.bucket, to.dir);
        match self.write(to, &job, news.gone).await {
            Err(Error::Storage(error)) if !error.is_transient() => {
                give_up(&job, &place, &error);
                Ok(())
            }
            done => done,
        }
    }

    async fn write(&self, to: Destination, job: &ProwJob, gone: bool) -> Result<(), Error> {
        let folder = self.ctx.buckets.folder(to, Timestamp::now())?;
        write_started(&folder, job).await?;
        if let Some(finished) = files::finished(job) {
            let finished = files::pretty(&finished);
            folder.put_if_absent(paths::FINISHED, finished).await?;
        }
        let mut job = if gone {
            with_end(&folder, job).await?
        } else {
            job.clone()
        };
        job.managed_fields_mut().clear();
        folder.put(paths::PROW_JOB, files::pretty(&job)).await?;
        Ok(())
    }
}

/// The object as it was stored, with the end that its obituary tells: that is but a part of it.
async fn with_end(folder: &Folder, obituary: &ProwJob) -> Result<ProwJob, Error> {
    let stored = folder.get(paths::PROW_JOB).await?.unwrap_or_default();
    let stored = serde_json::from_slice::<ProwJob>(&stored).ok();
    let mut job = stored.unwrap_or_else(|| obituary.clone());
    job.status.clone_from(&obituary.status);
    Ok(job)
}

/// Tells the operator of files that no later try can write.
pub(super) fn give_up(job: &ProwJob, place: &str, error: &dyn std::fmt::Display) {
    tracing::error!(
        prowjob = job.name_any(),
        job = job.spec.job,
        state = job.state().as_str(),
        place,
        "giving up on a job's files: {error}"
    );
}

async fn write_started(folder: &Folder, job: &ProwJob) -> Result<(), Error> {
    let Some(first) = files::started(job, &[]) else {
        return Ok(());
    };
    let first = files::pretty(&first);
    if folder.put_if_absent(paths::STARTED, first.clone()).await? {
        return Ok(());
    }
    let there = folder.get(paths::STARTED).await?.unwrap_or_default();
    if !files::is_provisional(job, &there) {
        return Ok(());
    }
    let records = folder.get(paths::CLONE_RECORDS).await?.unwrap_or_default();
    let records = serde_json::from_slice::<Vec<_>>(&records).unwrap_or_default();
    let started = files::started(job, &records).map(|started| files::pretty(&started));
    if let Some(started) = started.filter(|started| *started != there) {
        folder.put(paths::STARTED, started).await?;
    }
    Ok(())
}

impl Reporter for GcsReporter {
    fn name(&self) -> &'static str {
        "gcsreporter"
    }

    /// An aborted job waits until it is complete: its end is the same state.
    fn is_due(&self, job: &ProwJob) -> bool {
        let status = job.status.as_ref();
        let has_run = status.is_some_and(|status| !status.build_id.is_empty());
        has_run && (job.is_complete() || job.state() != ProwJobState::Aborted)
    }

    fn report<'a>(&'a self, news: &'a Arc<News>) -> BoxFuture<'a, Result<Told, Error>> {
        Box::pin(async move {
            self.workers.run(self.store(news)).await?;
            // Stores the failure digest, should nobody else ask for it.
            news.prepared().await;
            Ok(Told::Done)
        })
    }
}
