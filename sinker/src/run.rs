//! The cleanup loop: wait for a change or an expiry, plan, apply, record the metrics.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use common::{config::Config, duration::GoDuration};
use jiff::{SignedDuration, Timestamp};
use prometheus_client::metrics::{family::Family, gauge::Gauge};
use tokio_util::sync::CancellationToken;

use crate::{
    SinkerContext, SinkerMetrics,
    apply::{self, CleanupOutcome, CleanupScope, DeletionTally},
    build_clusters::{LIST_TIMEOUT, WatchedBuildClusters},
    metrics::ReasonLabels,
    observe::{self, WatchedObjects},
    plan::{CleanupPlan, ObservedProwJob, RetentionLimits, plan_cleanup},
};

/// Changes are collected for this long before the next cleanup.
const DEBOUNCE: Duration = Duration::from_secs(1);
/// After a failure, the next cleanup follows after this time.
const RETRY_DELAY: Duration = Duration::from_secs(30);

/// Deletes what is due until `shutdown`, or once with [`SinkerContext::run_once`].
///
/// The namespaces are those of the configuration at the start. With [`SinkerContext::run_once`] a
/// failed deletion is an error, and so is a cluster whose pods could not be listed.
pub async fn run_sinker(
    mut context: SinkerContext,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        ended = run_cleanup_loop(&mut context) => ended,
    }
}

async fn run_cleanup_loop(context: &mut SinkerContext) -> anyhow::Result<()> {
    let config = Arc::clone(&context.config.borrow());
    let (jobs_in, pods_in) = (&config.prow.prowjob_namespace, &config.prow.pod_namespace);
    let target = CleanupScope {
        clusters: &context.clusters.clone(),
        prowjob_namespace: jobs_in,
        pod_namespace: pods_in,
        dry_run: context.dry_run,
    };
    let mut jobs = observe::watch_prowjobs(context.clusters.infra().clone(), jobs_in);
    let mut fleet = WatchedBuildClusters::new(context.clusters.clone(), pods_in);
    observe::await_listed(&mut jobs).await?;
    context.ready.set_ready(true);
    if context.run_once {
        fleet.await_settled().await;
    }
    loop {
        let config = Arc::clone(&context.config.borrow_and_update());
        let (next, outcome) =
            clean_once(&config, &mut jobs, &mut fleet, &target, &context.metrics).await;
        if context.run_once {
            anyhow::ensure!(
                !outcome.has_failures(),
                "some deletions failed, see the log"
            );
            let left_out = fleet.skipped_clusters();
            anyhow::ensure!(
                left_out.is_empty(),
                "pods of some clusters were not looked at: {}",
                left_out.join("; ")
            );
            return Ok(());
        }
        let resync = config.prow.sinker.resync_period().to_std();
        let pause = next_pause(Timestamp::now(), next, resync, outcome.has_failures());
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = await_change(context, &mut jobs, &mut fleet) => tokio::time::sleep(DEBOUNCE).await,
        }
        fleet.reconcile_clusters();
    }
}

/// One cleanup: plans from the watched objects, applies the plan, and records the metrics.
async fn clean_once(
    config: &Config,
    jobs: &mut WatchedObjects<ObservedProwJob>,
    fleet: &mut WatchedBuildClusters,
    target: &CleanupScope<'_>,
    metrics: &SinkerMetrics,
) -> (Option<Timestamp>, CleanupOutcome) {
    let start = Instant::now();
    let jobs = jobs.borrow_and_update().clone().unwrap_or_default();
    let pods = fleet.listed_pods();
    let all_pods = pods.iter().flat_map(|seen| seen.values());
    let unlisted = fleet.unlisted_clusters();
    let limits = retention_limits(config);
    let plan: CleanupPlan = plan_cleanup(
        Timestamp::now(),
        jobs.values(),
        all_pods,
        &unlisted,
        &limits,
    );
    // A job that waits for an unlisted cluster waits at most this long.
    let patience = (!unlisted.is_empty()).then(|| Timestamp::now() + LIST_TIMEOUT);
    let next = plan.next.into_iter().chain(patience).min();
    set_gauge(&metrics.prow_jobs_existing, jobs.len());
    set_gauge(
        &metrics.pods_existing,
        pods.iter().map(|seen| seen.len()).sum(),
    );
    // The watches share these maps, and copy them on a change while they are in use here.
    drop((jobs, pods));
    let outcome = apply::apply_plan(target, plan).await;
    record_tally(
        &outcome.pods,
        &metrics.pods_removed,
        &metrics.pod_removal_errors,
    );
    record_tally(
        &outcome.jobs,
        &metrics.prow_jobs_cleaned,
        &metrics.prow_jobs_cleaning_errors,
    );
    metrics.loop_duration.set(start.elapsed().as_secs_f64());
    (next, outcome)
}

fn set_gauge(gauge: &Gauge, number: usize) {
    gauge.set(i64::try_from(number).unwrap_or(i64::MAX));
}

fn record_tally(
    tally: &DeletionTally,
    removed: &Family<ReasonLabels, Gauge>,
    errors: &Family<ReasonLabels, Gauge>,
) {
    if tally.removed.is_empty() && tally.errors.is_empty() {
        return;
    }
    removed.clear();
    errors.clear();
    let by = |reason: &str| ReasonLabels {
        reason: reason.to_owned(),
    };
    for (reason, number) in &tally.removed {
        removed.get_or_create(&by(reason)).set(*number);
    }
    for (reason, number) in &tally.errors {
        errors.get_or_create(&by(reason)).set(*number);
    }
}

fn retention_limits(config: &Config) -> RetentionLimits {
    let sinker = &config.prow.sinker;
    let span = |duration: GoDuration| SignedDuration::from_nanos(duration.as_nanos());
    RetentionLimits {
        max_prowjob_age: span(sinker.max_prowjob_age()),
        max_pod_age: span(sinker.max_pod_age()),
        terminated_pod_ttl: span(sinker.terminated_pod_ttl()),
        exclude_clusters: sinker.exclude_clusters.iter().cloned().collect(),
        periodics: config
            .jobs
            .periodics
            .iter()
            .map(|job| job.base.name.clone())
            .collect::<HashSet<_>>(),
    }
}

/// The time until the next cleanup, if nothing changes before.
fn next_pause(now: Timestamp, next: Option<Timestamp>, resync: Duration, failed: bool) -> Duration {
    let until = |at: Timestamp| Duration::try_from(at.duration_since(now)).unwrap_or_default();
    let expiry = next.map_or(resync, until).max(Duration::from_millis(10));
    let retry = if failed { RETRY_DELAY } else { resync };
    resync.min(expiry).min(retry)
}

/// Ends when a watch, the clusters or the configuration has changed.
async fn await_change(
    context: &mut SinkerContext,
    jobs: &mut WatchedObjects<ObservedProwJob>,
    fleet: &mut WatchedBuildClusters,
) {
    let config = context.config.changed();
    tokio::select! {
        gone = jobs.changed() => pending_if(gone.is_err()).await,
        () = fleet.await_change() => {}
        gone = config => pending_if(gone.is_err()).await,
    }
}

/// A closed channel never changes again: wait for the pause to end.
async fn pending_if(ended: bool) {
    if ended {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_ends_at_the_first_of_expiry_retry_and_resync() {
        let now: Timestamp = "2026-08-01T12:00:00Z".parse().unwrap();
        let hour = Duration::from_secs(3600);
        let minute = now + SignedDuration::from_secs(60);
        for (next, failed, expected) in [
            (None, false, hour),
            (Some(minute), false, Duration::from_secs(60)),
            (Some(minute), true, RETRY_DELAY),
            (Some(now), false, Duration::from_millis(10)),
            (Some(now + SignedDuration::from_hours(9)), false, hour),
        ] {
            assert_eq!(
                next_pause(now, next, hour, failed),
                expected,
                "{next:?} {failed}"
            );
        }
    }
}
