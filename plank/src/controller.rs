//! Watches in, reconciliations out: which event makes which job be looked at.

use std::{
    collections::{BTreeMap, HashSet},
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use common::prowjob::ProwJob;
use futures::{
    StreamExt,
    channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded},
};
use kube::{
    ResourceExt,
    runtime::{
        applier,
        controller::{Action, Config as ApplierConfig, Error as ApplierError},
        reflector::{ObjectRef, Store, store, store::Writer as StoreWriter},
        watcher::Event,
    },
};
use tokio_util::sync::CancellationToken;

use crate::{
    Context,
    index::Index,
    metrics::Metrics,
    pods::{self, BuildCluster, News, Pods},
    reconcile::Reconciler,
    watch,
    writer::{Error, Writer},
};

/// Jobs worked on at once, all clusters together.
const WORKERS: u16 = 50;
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// Names of jobs to look at.
#[derive(Clone, Debug)]
pub(crate) struct Wake(UnboundedSender<String>);

impl Wake {
    pub(crate) fn one(&self, name: String) {
        // The receiver is gone only when the controller is ending.
        let _ = self.0.unbounded_send(name);
    }

    pub(crate) fn all(&self, names: impl IntoIterator<Item = String>) {
        names.into_iter().for_each(|name| self.one(name));
    }
}

/// Runs plank until `shutdown`.
pub(crate) async fn run(ctx: Context, shutdown: CancellationToken) {
    let (sender, receiver) = unbounded();
    let wake = Wake(sender);
    let (jobs, job_writer) = store::<ProwJob>();
    let (namespace, pod_namespace) = {
        let config = ctx.config.borrow();
        (
            config.prow.prowjob_namespace.clone(),
            config.prow.pod_namespace.clone(),
        )
    };
    let clusters = ctx.clusters.build.iter().map(|(alias, client)| {
        let cluster = BuildCluster {
            client: client.clone(),
            namespace: pod_namespace.clone(),
            pods: Arc::new(Pods::default()),
        };
        (alias.clone(), cluster)
    });
    let reconciler = Arc::new(Reconciler {
        clusters: clusters.collect::<BTreeMap<_, _>>(),
        config: ctx.config.clone(),
        index: Index::default(),
        writer: Writer::new(ctx.clusters.infra.clone(), ctx.storage_key),
        wake: wake.clone(),
        dry_run: ctx.dry_run,
        secrets: Mutex::default(),
        failures: Mutex::default(),
    });

    let max = ctx.config.borrow().prow.plank.max_concurrency;
    reconciler.index.set_max(max);

    let follow_pods = reconciler.clusters.iter().map(|(alias, cluster)| {
        let tell = |news| on_pods(news, alias, &jobs, &wake);
        pods::follow(cluster, alias, &ctx.label_selector, tell)
    });
    let follow_pods = futures::future::join_all(follow_pods.collect::<Vec<_>>());
    let follow_jobs = follow_jobs(
        watch::prowjobs(ctx.clusters.infra.clone(), &namespace, watch::prune),
        job_writer,
        Arc::clone(&reconciler),
        ctx.metrics,
    );
    let follow_config = follow_config(Arc::clone(&reconciler));
    let work = work(
        jobs.clone(),
        receiver,
        namespace,
        Arc::clone(&reconciler),
        ctx.ready,
    );
    tokio::select! {
        // Every step leaves a state from which the next follows, so ending between two is safe.
        () = shutdown.cancelled() => {}
        _ = follow_pods => {}
        () = follow_jobs => {}
        () = follow_config => {}
        () = work => {}
    }
}

async fn follow_jobs(
    events: impl futures::Stream<Item = Event<ProwJob>> + Send,
    mut writer: StoreWriter<ProwJob>,
    reconciler: Arc<Reconciler>,
    metrics: Metrics,
) {
    let jobs = writer.as_reader();
    let (index, wake) = (&reconciler.index, &reconciler.wake);
    let mut listing = HashSet::new();
    futures::pin_mut!(events);
    while let Some(event) = events.next().await {
        let before = match &event {
            Event::Apply(job) | Event::Delete(job) => jobs.get(&ObjectRef::from_obj(job)),
            _ => None,
        };
        writer.apply_watcher_event(&event);
        match event {
            Event::Init => listing.clear(),
            Event::InitApply(job) => {
                listing.insert(job.name_any());
                index.observe(&job);
            }
            Event::InitDone => {
                index.retain(&listing);
                listing.clear();
                let all = jobs.state();
                metrics.listed(all.iter().map(AsRef::as_ref));
                wake.all(
                    all.iter()
                        .filter(|job| !job.is_complete())
                        .map(|job| job.name_any()),
                );
            }
            Event::Apply(job) => {
                metrics.changed(before.as_deref(), Some(&job));
                wake.all(index.observe(&job));
                wake.one(job.name_any());
            }
            Event::Delete(job) => {
                metrics.changed(before.as_deref(), None);
                reconciler.forget(&job.name_any());
                wake.all(index.remove(&job.name_any()));
            }
        }
    }
}

fn on_pods(news: News, cluster: &str, jobs: &Store<ProwJob>, wake: &Wake) {
    match news {
        News::Changed(name) => wake.one(name),
        News::Listed(names) => {
            wake.all(names);
            let waiting = jobs
                .state()
                .into_iter()
                .filter(|job| !job.is_complete() && job.spec.cluster_alias() == cluster);
            wake.all(waiting.map(|job| job.name_any()));
        }
    }
}

/// A new limit is a reason to look at the jobs that wait.
async fn follow_config(reconciler: Arc<Reconciler>) {
    let mut config = reconciler.config.clone();
    loop {
        let max = config.borrow_and_update().prow.plank.max_concurrency;
        reconciler.wake.all(reconciler.index.set_max(max));
        if config.changed().await.is_err() {
            // Whoever published it is gone; the last configuration stays in force.
            std::future::pending::<()>().await;
        }
    }
}

async fn work(
    jobs: Store<ProwJob>,
    names: UnboundedReceiver<String>,
    namespace: String,
    reconciler: Arc<Reconciler>,
    ready: common::service::Ready,
) {
    if jobs.wait_until_ready().await.is_err() {
        return;
    }
    ready.set(true);
    let known = jobs.clone();
    let queue = names.filter_map(move |name| {
        let object = ObjectRef::<ProwJob>::new(&name).within(&namespace);
        // A pod that outlived its job is sinker's.
        let known = known.get(&object).is_some();
        std::future::ready(known.then_some(Ok::<_, Infallible>(object)))
    });
    let config = ApplierConfig::default().concurrency(WORKERS);
    let reconcile = |job: Arc<ProwJob>, reconciler: Arc<Reconciler>| {
        Box::pin(async move { reconciler.reconcile(job).await })
    };
    let results = applier(reconcile, on_error, reconciler, jobs, queue, config);
    futures::pin_mut!(results);
    while let Some(result) = results.next().await {
        match result {
            // It was deleted between its event and its turn. A failure is logged where it is
            // given its next turn.
            Ok(_) | Err(ApplierError::ObjectNotFound(_) | ApplierError::ReconcilerFailed(..)) => {}
            Err(error) => tracing::error!("the work queue failed: {error}"),
        }
    }
}

/// Tries again, later with every failure in a row.
fn on_error(job: Arc<ProwJob>, error: &Error, reconciler: Arc<Reconciler>) -> Action {
    let name = job.name_any();
    let mut failures = reconciler
        .failures
        .lock()
        .expect("nothing panics under this lock");
    let count = failures.entry(name.clone()).or_default();
    let wait = delay(*count, error);
    *count = count.saturating_add(1);
    tracing::warn!(
        prowjob = name,
        job = job.spec.job,
        state = job.state().as_str(),
        retry_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
        "reconciling failed, trying again: {error:#}"
    );
    Action::requeue(wait)
}

fn delay(failures: u32, error: &Error) -> Duration {
    let backoff = FIRST_RETRY
        .saturating_mul(1 << failures.min(16))
        .min(LONGEST_RETRY);
    let asked = match error {
        Error::Api(kube::Error::Api(status)) => status
            .details
            .as_ref()
            .map_or(0, |details| details.retry_after_seconds),
        _ => 0,
    };
    backoff.max(Duration::from_secs(asked.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_slow_down_to_a_minute() {
        let waits: Vec<u64> = [0, 1, 5, 30]
            .map(|count| delay(count, &Error::Stale).as_millis() as u64)
            .into();
        assert_eq!(waits, [100, 200, 3200, 60_000]);
    }
}
