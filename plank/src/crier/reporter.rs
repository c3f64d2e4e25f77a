//! The trait of reporters, which report a job's state somewhere.

use std::{future::Future, sync::Arc, time::Duration};

use common::{github, prowjob::ProwJob, service::lease::NotLeading, storage};
use futures::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::Semaphore;

use super::{LeaderFence, slack, state_change::JobStateChange};

const FIRST_RETRY: Duration = Duration::from_millis(200);
const LONGEST_RETRY: Duration = Duration::from_secs(1000);

/// Reports jobs to one place. Each reporter reports each state of a job once, and never has more
/// than one report of a job under way.
pub(crate) trait Reporter: Send + Sync {
    /// The reporter's key in `prev_report_states`.
    fn reporter_name(&self) -> &'static str;

    /// Whether this reporter reports the job's state, unless it has done so already.
    fn is_due(&self, job: &ProwJob) -> bool;

    /// Reports the state. What no later try can change is logged and [`ReportResult::Done`].
    fn report_state_change<'a>(
        &'a self,
        news: &'a Arc<JobStateChange>,
    ) -> BoxFuture<'a, Result<ReportResult, ReportError>>;
}

/// The result of a report that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReportResult {
    Done,
    /// Not possible yet: tried again soon, and no failure.
    NotYet,
}

/// Why a report failed and is tried again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReportError {
    #[error(transparent)]
    GitHub(#[from] github::GithubError),
    #[error(transparent)]
    Api(#[from] kube::Error),
    #[error(transparent)]
    Storage(#[from] storage::StorageError),
    #[error(transparent)]
    Slack(#[from] slack::SlackError),
    #[error("there was no answer in time")]
    TimedOut,
    #[error(transparent)]
    NotLeading(#[from] NotLeading),
    /// It was tried for several jobs together.
    #[error(transparent)]
    Shared(Arc<ReportError>),
}

impl ReportError {
    /// How long to wait before the next try, after `failures` before this one.
    pub(super) fn retry_after(&self, failures: u32, now: Timestamp) -> Duration {
        match self {
            Self::GitHub(github::GithubError::RateLimited { reset }) => {
                Duration::try_from(reset.duration_since(now))
                    .unwrap_or_default()
                    .max(FIRST_RETRY)
            }
            Self::Slack(slack::SlackError::RateLimited(wait)) => *wait,
            Self::Shared(error) => error.retry_after(failures, now),
            _ => backoff_delay(failures),
        }
    }
}

/// The wait before the next try, after `times` tries in vain.
pub(super) fn backoff_delay(times: u32) -> Duration {
    FIRST_RETRY
        .saturating_mul(1 << times.min(16))
        .min(LONGEST_RETRY)
}

/// Limits how many reports of one kind are sent at once, and how long one may take.
pub(super) struct SendLimiter {
    permits: Semaphore,
    patience: Duration,
    fence: LeaderFence,
}

impl SendLimiter {
    pub(super) fn new(count: u16, patience: Duration, fence: LeaderFence) -> Self {
        Self {
            permits: Semaphore::new(count.into()),
            patience,
            fence,
        }
    }

    /// Runs `send` as soon as there is a permit. The wait for it does not count.
    pub(super) async fn run_limited<T>(
        &self,
        send: impl Future<Output = Result<T, ReportError>>,
    ) -> Result<T, ReportError> {
        let _permit = self
            .permits
            .acquire()
            .await
            .expect("nobody closes the semaphore");
        self.fence.check_leading()?;
        tokio::time::timeout(self.patience, send)
            .await
            .map_err(|_| ReportError::TimedOut)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_slow_down_and_keep_the_others_time() {
        let now = "2026-08-01T00:00:00Z".parse().unwrap();
        assert_eq!(ReportError::TimedOut.retry_after(0, now), FIRST_RETRY);
        assert_eq!(ReportError::TimedOut.retry_after(40, now), LONGEST_RETRY);
        let reset = "2026-08-01T00:10:00Z".parse().unwrap();
        let limited = ReportError::GitHub(github::GithubError::RateLimited { reset });
        assert_eq!(limited.retry_after(40, now), Duration::from_secs(600));
        let limited = ReportError::Slack(slack::SlackError::RateLimited(Duration::from_secs(30)));
        assert_eq!(limited.retry_after(40, now), Duration::from_secs(30));
    }
}
