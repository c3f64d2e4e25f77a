//! What is worked out once about a job's state, before anyone is told of it.

use std::time::Duration;

use common::{
    digest::{Digest, Quoting, losses},
    prowjob::{ProwJob, ProwJobState, secrets::gives_secret},
    storage::paths,
};
use jiff::Timestamp;
use kube::ResourceExt;

use super::{
    Context,
    destination::{Folder, destination},
    digest::digest,
    news::News,
    reporter::Error,
};

/// Bound on reading what a run that failed left.
const PATIENCE: Duration = Duration::from_secs(2 * 60);
/// The same of another run: one small file.
const SHORT_PATIENCE: Duration = Duration::from_secs(15);

/// What reporters may use, see [`super::News::prepared`].
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    /// Why the job failed, if it did and has files.
    pub(crate) digest: Option<Digest>,
    /// What the run could not store, if it has ended; empty: nothing, as far as one can tell.
    pub(crate) losses: String,
}

/// Never fails: what cannot be worked out is left out.
pub(super) async fn prepare(ctx: &Context, news: &News) -> Prepared {
    let job = &news.job;
    if !job.is_complete() {
        return Prepared::default();
    }
    let failed = matches!(job.state(), ProwJobState::Failure | ProwJobState::Error);
    let patience = if failed { PATIENCE } else { SHORT_PATIENCE };
    let mut prepared = Prepared::default();
    let filled = tokio::time::timeout(patience, fill(&mut prepared, ctx, news, failed)).await;
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

async fn fill(
    prepared: &mut Prepared,
    ctx: &Context,
    news: &News,
    failed: bool,
) -> Result<(), Error> {
    let Some(folder) = folder(ctx, &news.job)? else {
        return Ok(());
    };
    let finished = folder.get(paths::FINISHED).await?.unwrap_or_default();
    if !failed && losses(&finished, true).is_empty() {
        return Ok(());
    }
    let quoting = quoting(news, &finished).await?;
    prepared.losses = losses(&finished, quoting.allows_words());
    if failed {
        prepared.digest = Some(digest(ctx, news, &folder, &finished, quoting).await?);
    }
    Ok(())
}

/// What may be quoted of the run. The job is asked for only where its result does not tell.
async fn quoting(news: &News, finished: &[u8]) -> Result<Quoting, Error> {
    let quoting = Quoting::of(finished, true);
    if quoting.allows_words() {
        return Ok(quoting);
    }
    // Of a job that is gone nobody can say what it was given.
    let whole = news.whole().await?;
    let gives_secret = whole.is_none_or(|job| gives_secret(&job.spec));
    Ok(Quoting::of(finished, gives_secret))
}

/// Where the run keeps its files; `None` if it keeps none.
fn folder(ctx: &Context, job: &ProwJob) -> Result<Option<Folder>, Error> {
    let destination = destination(&ctx.config.borrow(), job).unwrap_or_default();
    let folder = destination.map(|to| ctx.buckets.folder(to, Timestamp::now()));
    Ok(folder.transpose()?)
}
