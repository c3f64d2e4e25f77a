//! What a reporter is: somebody who tells of a job's state, somewhere.

use std::{future::Future, sync::Arc, time::Duration};

use common::{github, prowjob::ProwJob, service::lease::NotLeading, storage};
use futures::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::Semaphore;

use super::{Fence, news::News, slack};

const FIRST_RETRY: Duration = Duration::from_millis(200);
const LONGEST_RETRY: Duration = Duration::from_secs(1000);

/// Tells of jobs in one place. A state of a job is told by each reporter once; of one job and
/// one reporter there is never more than one report under way.
pub(crate) trait Reporter: Send + Sync {
    /// The key of its marks in `prev_report_states`.
    fn name(&self) -> &'static str;

    /// Whether this reporter tells of the job's state, should it not have been told yet.
    fn is_due(&self, job: &ProwJob) -> bool;

    /// Tells of the state. What no later try can change is logged and [`Told::Done`].
    fn report<'a>(&'a self, news: &'a Arc<News>) -> BoxFuture<'a, Result<Told, Error>>;
}

/// How a report went that is no failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Done,
    /// Not possible yet: again soon, and that is no failure.
    NotYet,
}

/// Why a report is tried again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    GitHub(#[from] github::Error),
    #[error(transparent)]
    Api(#[from] kube::Error),
    #[error(transparent)]
    Storage(#[from] storage::Error),
    #[error(transparent)]
    Slack(#[from] slack::Error),
    #[error("there was no answer in time")]
    TimedOut,
    #[error(transparent)]
    NotLeading(#[from] NotLeading),
    /// It was tried for several jobs together.
    #[error(transparent)]
    Shared(Arc<Error>),
}

impl Error {
    /// How long to wait before the next try, after `failures` before this one.
    pub(super) fn retry_after(&self, failures: u32, now: Timestamp) -> Duration {
        match self {
            Self::GitHub(github::Error::RateLimited { reset }) => {
                Duration::try_from(reset.duration_since(now))
                    .unwrap_or_default()
                    .max(FIRST_RETRY)
            }
            Self::Slack(slack::Error::RateLimited(wait)) => *wait,
            Self::Shared(error) => error.retry_after(failures, now),
            _ => backoff(failures),
        }
    }
}

/// How long to wait for what is not there yet, after `times` in vain.
pub(super) fn backoff(times: u32) -> Duration {
    FIRST_RETRY
        .saturating_mul(1 << times.min(16))
        .min(LONGEST_RETRY)
}

/// How many reports of one kind are sent at once, and how long one may take.
pub(super) struct Workers {
    permits: Semaphore,
    patience: Duration,
    fence: Fence,
}

impl Workers {
    pub(super) fn new(count: u16, patience: Duration, fence: Fence) -> Self {
        Self {
            permits: Semaphore::new(count.into()),
            patience,
            fence,
        }
    }

    /// Runs `send` when it is its turn. The time before that is not counted.
    pub(super) async fn run<T>(
        &self,
        send: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let _permit = self
            .permits
            .acquire()
            .await
            .expect("nobody closes the semaphore");
        self.fence.check()?;
        tokio::time::timeout(self.patience, send)
            .await
            .map_err(|_| Error::TimedOut)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_slow_down_and_keep_the_others_time() {
        let now = "2026-08-01T00:00:00Z".parse().unwrap();
        assert_eq!(Error::TimedOut.retry_after(0, now), FIRST_RETRY);
        assert_eq!(Error::TimedOut.retry_after(40, now), LONGEST_RETRY);
        let reset = "2026-08-01T00:10:00Z".parse().unwrap();
        let limited = Error::GitHub(github::Error::RateLimited { reset });
        assert_eq!(limited.retry_after(40, now), Duration::from_secs(600));
        let limited = Error::Slack(slack::Error::RateLimited(Duration::from_secs(30)));
        assert_eq!(limited.retry_after(40, now), Duration::from_secs(30));
    }
}
