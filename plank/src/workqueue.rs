//! A queue of jobs and its workers. A job is never reconciled twice at the same time.

use std::{convert::Infallible, sync::Arc, time::Duration};

use common::prowjob::ProwJob;
use futures::{StreamExt, channel::mpsc::UnboundedReceiver};
use kube::{
    ResourceExt,
    runtime::{
        applier,
        controller::{Action, Config as ApplierConfig, Error as ApplierError},
        reflector::{ObjectRef, Store},
    },
};

use crate::{reconcile::Reconciler, writer::ClusterWriteError};

/// Jobs of one cluster that are reconciled at the same time.
const WORKERS: u16 = 50;
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LONGEST_RETRY: Duration = Duration::from_secs(60);
/// For a deletion that an unfinished job waits for: the job gives up on it after a minute.
const LONGEST_DELETION_RETRY: Duration = Duration::from_secs(10);

/// Reconciles the jobs in `names`, for as long as it is polled. The first name comes when all jobs
/// are listed: the store's own signal wakes only one waiter.
pub(crate) async fn run_workers(
    jobs: Store<ProwJob>,
    names: UnboundedReceiver<ObjectRef<ProwJob>>,
    reconciler: Arc<Reconciler>,
) {
    let queue = names.map(Ok::<_, Infallible>);
    let config = ApplierConfig::default().concurrency(WORKERS);
    let reconcile = |job: Arc<ProwJob>, reconciler: Arc<Reconciler>| {
        Box::pin(async move {
            let wait = reconciler.reconcile_job(job).await?;
            Ok::<_, ClusterWriteError>(wait.map_or_else(Action::await_change, Action::requeue))
        })
    };
    let results = applier(reconcile, error_policy, reconciler, jobs, queue, config);
    futures::pin_mut!(results);
    while let Some(result) = results.next().await {
        match result {
            // The job was deleted or completed before its turn. A failure is logged where its next
            // try is set.
            Ok(_) | Err(ApplierError::ObjectNotFound(_) | ApplierError::ReconcilerFailed(..)) => {}
            Err(error) => tracing::error!("the work queue failed: {error}"),
        }
    }
}

/// Retries a job, later with every failure in a row.
fn error_policy(
    job: Arc<ProwJob>,
    error: &ClusterWriteError,
    reconciler: Arc<Reconciler>,
) -> Action {
    Action::requeue(next_retry_delay(&job, error, &reconciler))
}

/// How long to wait before a job that failed is tried again.
pub(crate) fn next_retry_delay(
    job: &ProwJob,
    error: &ClusterWriteError,
    reconciler: &Reconciler,
) -> Duration {
    let name = job.name_any();
    let wait = {
        let mut memory = reconciler.lock_memory();
        let count = &mut memory.entry(name.clone()).or_default().failures;
        let wait = backoff_delay(*count, error);
        let wait = match error {
            ClusterWriteError::Undeleted(_) if !job.is_complete() => {
                wait.min(LONGEST_DELETION_RETRY)
            }
            _ => wait,
        };
        *count = count.saturating_add(1);
        wait
    };
    tracing::warn!(
        prowjob = name,
        job = job.spec.job,
        state = job.state().as_str(),
        retry_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
        "reconciling failed, trying again: {error:#}"
    );
    wait
}

fn backoff_delay(failures: u32, error: &ClusterWriteError) -> Duration {
    let backoff = FIRST_RETRY
        .saturating_mul(1 << failures.min(16))
        .min(LONGEST_RETRY);
    let asked = match error {
        ClusterWriteError::Api(kube::Error::Api(status)) => status
            .details
            .as_ref()
            .map_or(0, |details| details.retry_after_seconds),
        ClusterWriteError::Delayed { seconds, .. } => *seconds,
        _ => 0,
    };
    backoff.max(Duration::from_secs(asked.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_slow_down_to_a_minute_and_are_as_late_as_the_api_asks() {
        let waits: Vec<u64> = [0, 1, 5, 30]
            .map(|count| backoff_delay(count, &ClusterWriteError::Stale).as_millis() as u64)
            .into();
        assert_eq!(waits, [100, 200, 3200, 60_000]);
        let delayed = ClusterWriteError::Delayed {
            why: "quota".into(),
            seconds: 7,
        };
        assert_eq!(backoff_delay(0, &delayed), Duration::from_secs(7));
    }
}
