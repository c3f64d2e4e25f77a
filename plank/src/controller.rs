//! Watches in, reconciliations out: which event makes which job be looked at.

use std::{collections::HashSet, sync::Arc};

use common::{
    kube::{BuildClusters, Clusters},
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
    Context,
    fleet::{Fleet, Follow},
    index::{Index, Limits},
    metrics::Metrics,
    reconcile::Reconciler,
    watch,
    writer::Writer,
};

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
    let (jobs, job_writer) = store::<ProwJob>();
    let config = ctx.config.borrow().clone();
    let namespace = config.prow.prowjob_namespace.clone();
    let infra = ctx.fence.client(ctx.clusters.infra());
    let reconciler = Arc::new(Reconciler {
        fleet: Fleet::default(),
        config: ctx.config.clone(),
        index: Index::default(),
        writer: Writer::new(infra.clone(), ctx.tot, ctx.storage_key),
        scheduler: Default::default(),
        wake: Wake(sender),
        controllers: ctx.controllers,
        dry_run: ctx.dry_run,
        memory: Default::default(),
        ended: Default::default(),
    });
    let _end = EndFleet(Arc::clone(&reconciler));
    let follow = Follow {
        reconciler: Arc::clone(&reconciler),
        jobs: jobs.clone(),
        fence: ctx.fence,
        pod_namespace: config.prow.pod_namespace.clone(),
        prowjob_namespace: namespace.clone(),
        label_selector: ctx.label_selector,
    };
    let follow_jobs = follow_jobs(
        watch::prowjobs(infra, &namespace, watch::prune),
        job_writer,
        Arc::clone(&reconciler),
        ctx.metrics,
    );
    let dispatch = dispatch(
        jobs,
        receiver,
        namespace,
        Arc::clone(&reconciler),
        ctx.ready,
    );
    tokio::select! {
        // Every step leaves a state from which the next follows, so ending between two is safe.
        () = shutdown.cancelled() => {}
        () = follow_config(follow, ctx.clusters) => {}
        () = follow_jobs => {}
        () = dispatch => {}
    }
}

/// Ends the clusters' tasks however this one ends: a lost lease drops it where it stands.
struct EndFleet(Arc<Reconciler>);

impl Drop for EndFleet {
    fn drop(&mut self) {
        self.0.fleet.clear();
    }
}

/// Keeps unfinished jobs at hand; of finished ones only their numbers are kept.
async fn follow_jobs(
    events: impl futures::Stream<Item = Event<ProwJob>> + Send,
    mut writer: StoreWriter<ProwJob>,
    reconciler: Arc<Reconciler>,
    metrics: Metrics,
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
                metrics.observe(&job);
                ended.observe(&job);
                index.list(&job);
                if job.is_complete() {
                    finished.insert(job.name_any());
                    continue;
                }
                listing.insert(job.name_any());
                writer.apply_watcher_event(&Event::InitApply(job));
            }
            Event::InitDone => {
                writer.apply_watcher_event(&Event::InitDone);
                metrics.listed(|name| listing.contains(name) || finished.contains(name));
                ended.retain(|name| finished.contains(name));
                reconciler.retain(&listing);
                wake.all(index.listed(&listing));
                wake.all(listing.drain());
                finished = HashSet::new();
            }
            Event::Apply(job) => {
                metrics.observe(&job);
                ended.observe(&job);
                wake.all(index.observe(&job));
                let name = job.name_any();
                if job.is_complete() {
                    reconciler.forget(&name);
                    writer.apply_watcher_event(&Event::Delete(job));
                } else {
                    writer.apply_watcher_event(&Event::Apply(job));
                }
                wake.one(name);
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
                metrics.remove(&name);
                ended.remove(&name);
                reconciler.forget(&name);
                wake.all(index.remove(&name));
            }
        }
    }
}

/// New limits and new clusters are reasons to look at the jobs that wait.
async fn follow_config(follow: Follow, mut clusters: Clusters) {
    let reconciler = &follow.reconciler;
    let mut config = reconciler.config.clone();
    let mut before: Option<Arc<BuildClusters>> = None;
    loop {
        let limits = Limits::from(&config.borrow_and_update().prow.plank);
        reconciler.wake.all(reconciler.index.set_limits(limits));
        let now = clusters.build();
        let same = before.as_ref().is_some_and(|it| Arc::ptr_eq(it, &now));
        if !same {
            follow.adjust(before.as_deref(), &now);
            before = Some(now);
        }
        tokio::select! {
            // Whoever published it may be gone; what was last published stays in force.
            Ok(()) = config.changed() => {}
            () = clusters.changed() => {}
        }
    }
}

/// Gives every name that is to be looked at to the workers of its cluster.
async fn dispatch(
    jobs: Store<ProwJob>,
    mut names: UnboundedReceiver<String>,
    namespace: String,
    reconciler: Arc<Reconciler>,
    ready: common::service::Ready,
) {
    if jobs.wait_until_ready().await.is_err() {
        return;
    }
    ready.set(true);
    while let Some(name) = names.next().await {
        let object = ObjectRef::<ProwJob>::new(&name).within(&namespace);
        if let Some(job) = jobs.get(&object) {
            reconciler.fleet.queue(&job);
        } else if reconciler.ended.contains(&name) {
            // Its job may have ended while plank was away. A pod that outlived its job is
            // sinker's.
            reconciler.fleet.queue_leftover(&name);
        }
    }
}
