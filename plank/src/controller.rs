//! Runs plank: decides which watch event makes which job be reconciled.

use std::{collections::HashSet, sync::Arc};

use common::{
    kube::{BuildClusterClients, ClusterClients},
    prowjob::ProwJob,
};
use futures::{
    StreamExt,
    channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded},
};
use kube::{
    ResourceExt,
    runtime::{
        reflector::{ObjectRef, Store, store, store::Writer as StoreWriter},
        watcher::Event,
    },
};
use tokio_util::sync::CancellationToken;

use crate::{
    PlankContext,
    build_clusters::{ClusterWorkerManager, ClusterWorkers},
    job_index::{PlankJobIndex, StartLimits},
    metrics::PlankMetrics,
    reconcile::Reconciler,
    watch,
    writer::ClusterWriter,
};

/// Enqueues jobs for reconciliation, by name.
#[derive(Clone, Debug)]
pub(crate) struct JobEnqueuer(UnboundedSender<String>);

impl JobEnqueuer {
    pub(crate) fn enqueue_job(&self, name: String) {
        // The receiver is gone only when the controller is ending.
        let _ = self.0.unbounded_send(name);
    }

    pub(crate) fn enqueue_jobs(&self, names: impl IntoIterator<Item = String>) {
        names.into_iter().for_each(|name| self.enqueue_job(name));
    }
}

/// Runs plank until `shutdown`.
pub(crate) async fn run_controller(ctx: PlankContext, shutdown: CancellationToken) {
    let (sender, receiver) = unbounded();
    let (jobs, job_writer) = store::<ProwJob>();
    let config = ctx.config.borrow().clone();
    let namespace = config.prow.prowjob_namespace.clone();
    let infra = ctx.fence.fenced_client(ctx.clusters.infra());
    let reconciler = Arc::new(Reconciler {
        fleet: ClusterWorkers::default(),
        config: ctx.config.clone(),
        index: PlankJobIndex::default(),
        writer: ClusterWriter::new(infra.clone(), ctx.tot, ctx.storage_key),
        scheduler: Default::default(),
        wake: JobEnqueuer(sender),
        controllers: ctx.controllers,
        dry_run: ctx.dry_run,
        memory: Default::default(),
        ended: Default::default(),
    });
    let _end = StopWorkersOnDrop(Arc::clone(&reconciler));
    let follow = ClusterWorkerManager {
        reconciler: Arc::clone(&reconciler),
        jobs: jobs.clone(),
        fence: ctx.fence,
        pod_namespace: config.prow.pod_namespace.clone(),
        prowjob_namespace: namespace.clone(),
        label_selector: ctx.label_selector,
    };
    let follow_jobs = handle_job_events(
        watch::watch_prowjobs(infra, &namespace, watch::prune_job),
        job_writer,
        Arc::clone(&reconciler),
        ctx.metrics,
    );
    let dispatch = dispatch_jobs(
        jobs,
        receiver,
        namespace,
        Arc::clone(&reconciler),
        ctx.ready,
    );
    tokio::select! {
        // Every step leaves a state from which the next follows, so stopping between two is safe.
        () = shutdown.cancelled() => {}
        () = watch_config(follow, ctx.clusters) => {}
        () = follow_jobs => {}
        () = dispatch => {}
    }
}

/// Stops the cluster workers however the controller ends: a lost lease drops its future.
struct StopWorkersOnDrop(Arc<Reconciler>);

impl Drop for StopWorkersOnDrop {
    fn drop(&mut self) {
        self.0.fleet.stop_workers();
    }
}

/// Stores unfinished jobs. Finished jobs are only counted.
async fn handle_job_events(
    events: impl futures::Stream<Item = Event<ProwJob>> + Send,
    mut writer: StoreWriter<ProwJob>,
    reconciler: Arc<Reconciler>,
    metrics: PlankMetrics,
) {
    let jobs = writer.as_reader();
    let (index, wake, ended) = (&reconciler.index, &reconciler.wake, &reconciler.ended);
    let mut listing = HashSet::new();
    let mut finished = HashSet::new();
    futures::pin_mut!(events);
    while let Some(event) = events.next().await {
        match event {
            Event::Init => {
                listing.clear();
                finished.clear();
                writer.apply_watcher_event(&Event::Init);
            }
            Event::InitApply(job) => {
                metrics.observe_job(&job);
                ended.observe_job(&job);
                index.observe_listed_job(&job);
                if job.is_complete() {
                    finished.insert(job.name_any());
                    continue;
                }
                listing.insert(job.name_any());
                writer.apply_watcher_event(&Event::InitApply(job));
            }
            Event::InitDone => {
                writer.apply_watcher_event(&Event::InitDone);
                metrics.finish_listing(|name| listing.contains(name) || finished.contains(name));
                ended.retain_jobs(|name| finished.contains(name));
                reconciler.retain_jobs(&listing);
                wake.enqueue_jobs(index.finish_listing(&listing));
                wake.enqueue_jobs(listing.drain());
                finished = HashSet::new();
            }
            Event::Apply(job) => {
                metrics.observe_job(&job);
                ended.observe_job(&job);
                wake.enqueue_jobs(index.observe_job(&job));
                let name = job.name_any();
                if job.is_complete() {
                    reconciler.forget_job(&name);
                    writer.apply_watcher_event(&Event::Delete(job));
                } else {
                    writer.apply_watcher_event(&Event::Apply(job));
                }
                wake.enqueue_job(name);
            }
            Event::Delete(job) => {
                let name = job.name_any();
                if jobs.get(&ObjectRef::from_obj(&job)).is_some() {
                    tracing::warn!(
                        prowjob = name,
                        job = job.spec.job,
                        state = job.state().as_str(),
                        "deleted before it was complete; its pod is left to sinker"
                    );
                }
                writer.apply_watcher_event(&Event::Delete(job));
                metrics.remove_job(&name);
                ended.remove_job(&name);
                reconciler.forget_job(&name);
                wake.enqueue_jobs(index.remove_job(&name));
            }
        }
    }
}

/// Enqueues the jobs that new limits or new clusters may concern.
async fn watch_config(follow: ClusterWorkerManager, mut clusters: ClusterClients) {
    let reconciler = &follow.reconciler;
    let mut config = reconciler.config.clone();
    let mut before: Option<Arc<BuildClusterClients>> = None;
    loop {
        let limits = StartLimits::from(&config.borrow_and_update().prow.plank);
        reconciler
            .wake
            .enqueue_jobs(reconciler.index.set_limits(limits));
        let now = clusters.build_clusters();
        let same = before.as_ref().is_some_and(|it| Arc::ptr_eq(it, &now));
        if !same {
            follow.sync_workers(before.as_deref(), &now);
            before = Some(now);
        }
        tokio::select! {
            // The sender may be gone; the last configuration stays in force.
            Ok(()) = config.changed() => {}
            () = clusters.await_change() => {}
        }
    }
}

/// Passes every enqueued name to the workers of the job's cluster.
async fn dispatch_jobs(
    jobs: Store<ProwJob>,
    mut names: UnboundedReceiver<String>,
    namespace: String,
    reconciler: Arc<Reconciler>,
    ready: common::service::ServiceReadiness,
) {
    if jobs.wait_until_ready().await.is_err() {
        return;
    }
    ready.set_ready(true);
    while let Some(name) = names.next().await {
        let object = ObjectRef::<ProwJob>::new(&name).within(&namespace);
        if let Some(job) = jobs.get(&object) {
            reconciler.fleet.enqueue_job(&job);
        } else if reconciler.ended.contains(&name) {
            // The job may have ended while plank was away. If its `ProwJob` is gone, the pod is
            // left to sinker.
            reconciler.fleet.enqueue_leftover(&name);
        }
    }
}
