//! What is worked out once about a job's state, before anyone is told of it.

use std::time::Duration;

use common::{digest::Digest, prowjob::ProwJobState};
use kube::ResourceExt;

use super::{Context, digest::digest, news::News};

/// Bound on reading what a run left.
const PATIENCE: Duration = Duration::from_secs(2 * 60);

/// What reporters may use, see [`super::News::prepared`].
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    /// Why the job failed, if it did and has files.
    pub(crate) digest: Option<Digest>,
}

/// Never fails: what cannot be worked out is left out.
pub(super) async fn prepare(ctx: &Context, news: &News) -> Prepared {
    let job = &news.job;
    let failed = matches!(job.state(), ProwJobState::Failure | ProwJobState::Error);
    if !failed || !job.is_complete() {
        return Prepared::default();
    }
    let why = match tokio::time::timeout(PATIENCE, digest(ctx, news)).await {
        Ok(Ok(digest)) => return Prepared { digest },
        Ok(Err(error)) => error.to_string(),
        Err(_) => "the files could not be read in time".to_owned(),
    };
    tracing::warn!(
        prowjob = job.name_any(),
        job = job.spec.job,
        state = job.state().as_str(),
        "there is no failure digest: {why}"
    );
    Prepared::default()
}
