//! What is computed once about a job's state, before it is reported.

use std::time::Duration;

use common::{
    failure_digest::{FailureDigest, QuotingPolicy, describe_upload_losses},
    prowjob::{ProwJob, ProwJobState, secrets::gives_secret},
    storage::paths,
};
use jiff::Timestamp;
use kube::ResourceExt;

use super::{
    CrierContext,
    destination::{RunFolder, resolve_destination},
    digest::load_or_compose_digest,
    reporter::ReportError,
    state_change::JobStateChange,
};

/// The time limit for reading what a failed run stored.
const DIGEST_TIMEOUT: Duration = Duration::from_secs(2 * 60);
/// The same for another run: one small file.
const LOSSES_TIMEOUT: Duration = Duration::from_secs(15);

/// What reporters may use, see [`JobStateChange::report_details`].
#[derive(Debug, Default)]
pub(crate) struct ReportDetails {
    /// Why the job failed, if it did and has files.
    pub(crate) digest: Option<FailureDigest>,
    /// What the run could not store, if it has ended; empty if no loss is known.
    pub(crate) losses: String,
}

/// Never fails: what cannot be computed is left out.
pub(super) async fn gather_report_details(
    ctx: &CrierContext,
    news: &JobStateChange,
) -> ReportDetails {
    let job = &news.job;
    if !job.is_complete() {
        return ReportDetails::default();
    }
    let failed = matches!(job.state(), ProwJobState::Failure | ProwJobState::Error);
    let patience = if failed {
        DIGEST_TIMEOUT
    } else {
        LOSSES_TIMEOUT
    };
    let mut prepared = ReportDetails::default();
    let filled =
        tokio::time::timeout(patience, fill_details(&mut prepared, ctx, news, failed)).await;
    let why = match filled {
        Ok(Ok(())) => return prepared,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "the files could not be read in time".to_owned(),
    };
    tracing::warn!(
        prowjob = job.name_any(),
        job = job.spec.job,
        state = job.state().as_str(),
        "there is no failure digest, or it is not known what was not stored: {why}"
    );
    prepared
}

async fn fill_details(
    prepared: &mut ReportDetails,
    ctx: &CrierContext,
    news: &JobStateChange,
    failed: bool,
) -> Result<(), ReportError> {
    let Some(folder) = open_run_folder(ctx, &news.job)? else {
        return Ok(());
    };
    let finished = folder.get_small(paths::FINISHED).await?.unwrap_or_default();
    if !failed && describe_upload_losses(&finished, true).is_empty() {
        return Ok(());
    }
    let quoting = decide_quoting(news, &finished).await?;
    prepared.losses = describe_upload_losses(&finished, quoting.allows_words());
    if failed {
        prepared.digest =
            Some(load_or_compose_digest(ctx, news, &folder, &finished, quoting).await?);
    }
    Ok(())
}

/// What may be quoted of the run. The job is read only where the run's result does not say.
async fn decide_quoting(
    news: &JobStateChange,
    finished: &[u8],
) -> Result<QuotingPolicy, ReportError> {
    let quoting = QuotingPolicy::from_finished(finished, true);
    if quoting.allows_words() {
        return Ok(quoting);
    }
    // Of a deleted job nobody knows which Secrets it was given.
    let whole = news.read_full_job().await?;
    let gives_secret = whole.is_none_or(|job| gives_secret(&job.spec));
    Ok(QuotingPolicy::from_finished(finished, gives_secret))
}

/// The run's folder; `None` if it stores no files.
fn open_run_folder(ctx: &CrierContext, job: &ProwJob) -> Result<Option<RunFolder>, ReportError> {
    let destination = resolve_destination(&ctx.config.borrow(), job).unwrap_or_default();
    let folder = destination.map(|to| ctx.buckets.open_folder(to, Timestamp::now()));
    Ok(folder.transpose()?)
}
