//! The loop: look when something changed or expires, plan, apply, tell.

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
    Context, Metrics,
    apply::{self, Outcome, Tally, Target},
    fleet::{Fleet, PATIENCE},
    metrics::ByReason,
    observe::{self, Seen},
    plan::{Limits, Plan, Run, plan},
};

/// Changes are gathered for this long before the next look.
const GATHER: Duration = Duration::from_secs(1);
/// After a failure, the same is tried again this much later.
const RETRY: Duration = Duration::from_secs(30);

/// Deletes what is no longer needed until `shutdown`, or once with [`Context::run_once`].
///
/// Namespaces are those of the configuration at the start. With [`Context::run_once`] a failed
/// deletion is an error, and so is a cluster whose pods could not be looked at.
pub async fn run(mut context: Context, shutdown: CancellationToken) -> anyhow::Result<()> {
    tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        ended = work(&mut context) => ended,
    }
}

async fn work(context: &mut Context) -> anyhow::Result<()> {
    let config = Arc::clone(&context.config.borrow());
    let (jobs_in, pods_in) = (&config.prow.prowjob_namespace, &config.prow.pod_namespace);
    let target = Target {
        clusters: &context.clusters.clone(),
        prowjob_namespace: jobs_in,
        pod_namespace: pods_in,
        dry_run: context.dry_run,
    };
    let mut jobs = observe::jobs(context.clusters.infra().clone(), jobs_in);
    let mut fleet = Fleet::new(context.clusters.clone(), pods_in);
    observe::listed(&mut jobs).await?;
    context.ready.set(true);
    if context.run_once {
        fleet.settled().await;
    }
    loop {
        let config = Arc::clone(&context.config.borrow_and_update());
        let (next, outcome) = look(&config, &mut jobs, &mut fleet, &target, &context.metrics).await;
        if context.run_once {
            anyhow::ensure!(!outcome.failed(), "some deletions failed, see the log");
            let left_out = fleet.left_out();
            anyhow::ensure!(
                left_out.is_empty(),
                "pods of some clusters were not looked at: {}",
                left_out.join("; ")
            );
            return Ok(());
        }
        let resync = config.prow.sinker.resync_period().to_std();
        let pause = pause(Timestamp::now(), next, resync, outcome.failed());
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = changed(context, &mut jobs, &mut fleet) => tokio::time::sleep(GATHER).await,
        }
        fleet.adjust();
    }
}

/// One look: plans on what the watches tell, applies, and counts.
async fn look(
    config: &Config,
    jobs: &mut Seen<Run>,
    fleet: &mut Fleet,
    target: &Target<'_>,
    metrics: &Metrics,
) -> (Option<Timestamp>, Outcome) {
    let start = Instant::now();
    let jobs = jobs.borrow_and_update().clone().unwrap_or_default();
    let pods = fleet.pods();
    let all_pods = pods.iter().flat_map(|seen| seen.values());
    let unlisted = fleet.unlisted();
    let limits = limits(config);
    let plan: Plan = plan(
        Timestamp::now(),
        jobs.values(),
        all_pods,
        &unlisted,
        &limits,
    );
    // What waits for a list that never comes waits no longer than that.
    let patience = (!unlisted.is_empty()).then(|| Timestamp::now() + PATIENCE);
    let next = plan.next.into_iter().chain(patience).min();
    count(&metrics.prow_jobs_existing, jobs.len());
    count(
        &metrics.pods_existing,
        pods.iter().map(|seen| seen.len()).sum(),
    );
    // The maps are shared with the watches; held on, each change would copy them.
    drop((jobs, pods));
    let outcome = apply::apply(target, plan).await;
    tell(
        &outcome.pods,
        &metrics.pods_removed,
        &metrics.pod_removal_errors,
    );
    tell(
        &outcome.jobs,
        &metrics.prow_jobs_cleaned,
        &metrics.prow_jobs_cleaning_errors,
    );
    metrics.loop_duration.set(start.elapsed().as_secs_f64());
    (next, outcome)
}

fn count(gauge: &Gauge, number: usize) {
    gauge.set(i64::try_from(number).unwrap_or(i64::MAX));
}

fn tell(tally: &Tally, removed: &Family<ByReason, Gauge>, errors: &Family<ByReason, Gauge>) {
    if tally.removed.is_empty() && tally.errors.is_empty() {
        return;
    }
    removed.clear();
    errors.clear();
    let by = |reason: &str| ByReason {
        reason: reason.to_owned(),
    };
    for (reason, number) in &tally.removed {
        removed.get_or_create(&by(reason)).set(*number);
    }
    for (reason, number) in &tally.errors {
        errors.get_or_create(&by(reason)).set(*number);
    }
}

fn limits(config: &Config) -> Limits {
    let sinker = &config.prow.sinker;
    let span = |duration: GoDuration| SignedDuration::from_nanos(duration.nanos());
    Limits {
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

/// How long to wait when nothing changes.
fn pause(now: Timestamp, next: Option<Timestamp>, resync: Duration, failed: bool) -> Duration {
    let until = |at: Timestamp| Duration::try_from(at.duration_since(now)).unwrap_or_default();
    let expiry = next.map_or(resync, until).max(Duration::from_millis(10));
    let retry = if failed { RETRY } else { resync };
    resync.min(expiry).min(retry)
}

/// Ends when a watch, the clusters or the configuration changed.
async fn changed(context: &mut Context, jobs: &mut Seen<Run>, fleet: &mut Fleet) {
    let config = context.config.changed();
    tokio::select! {
        gone = jobs.changed() => pending_if(gone.is_err()).await,
        () = fleet.changed() => {}
        gone = config => pending_if(gone.is_err()).await,
    }
}

/// What has ended will not change again; the pause ends by its time.
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
            (Some(minute), true, RETRY),
            (Some(now), false, Duration::from_millis(10)),
            (Some(now + SignedDuration::from_hours(9)), false, hour),
        ] {
            assert_eq!(
                pause(now, next, hour, failed),
                expected,
                "{next:?} {failed}"
            );
        }
    }
}
