//! The build clusters. Each has its own watch, queue and workers, so that one that is down delays
//! only its own jobs. Clusters come and go with their kubeconfig contexts.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, RwLock},
};

use common::{
    kube::{BuildClusterClient, BuildClusterClients},
    prowjob::ProwJob,
    service::lease::LeaderFence,
};
use futures::channel::mpsc::{UnboundedSender, unbounded};
use jiff::Timestamp;
use kube::{
    ResourceExt,
    runtime::reflector::{ObjectRef, Store},
};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    leftover_pods,
    pods::{self, BuildCluster, ClusterPods, PodChange},
    reconcile::Reconciler,
    workqueue,
};

/// The worker for jobs whose cluster is unknown: it ends them, or schedules those that have none.
const NO_CLUSTER: &str = "";

/// The workers of every cluster, by the cluster's alias in jobs.
#[derive(Default)]
pub(crate) struct ClusterWorkers(RwLock<BTreeMap<String, ClusterWorker>>);

struct ClusterWorker {
    cluster: Option<Arc<BuildCluster>>,
    queue: UnboundedSender<ObjectRef<ProwJob>>,
    /// Names of complete jobs whose pods are to be ended.
    leftovers: UnboundedSender<String>,
    /// Aborted on drop, between two steps of a job.
    _tasks: AbortOnDropHandle<()>,
}

impl ClusterWorkers {
    pub(crate) fn get_cluster(&self, alias: &str) -> Option<Arc<BuildCluster>> {
        self.read_workers().get(alias)?.cluster.clone()
    }

    /// Queues a job for the workers of its cluster.
    pub(crate) fn enqueue_job(&self, job: &ProwJob) {
        let members = self.read_workers();
        let member = members
            .get(job.spec.cluster_alias())
            .or_else(|| members.get(NO_CLUSTER));
        if let Some(member) = member {
            // The receiver is gone only when the controller is ending.
            let _ = member.queue.unbounded_send(ObjectRef::from_obj(job));
        }
    }

    /// Queues a complete job in every cluster where its pod is still active.
    pub(crate) fn enqueue_leftover(&self, name: &str) {
        for member in self.read_workers().values() {
            let cluster = member.cluster.as_ref();
            let pod = cluster.and_then(|cluster| cluster.pods.get(name));
            if pod.is_some_and(|pod| pod.is_active()) {
                let _ = member.leftovers.unbounded_send(name.to_owned());
            }
        }
    }

    /// Stops all workers.
    pub(crate) fn stop_workers(&self) {
        let members = std::mem::take(&mut *self.write_workers());
        drop(members);
    }

    fn read_workers(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<String, ClusterWorker>> {
        self.0.read().expect("nothing panics under this lock")
    }

    fn write_workers(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<String, ClusterWorker>> {
        self.0.write().expect("nothing panics under this lock")
    }
}

/// Starts and stops the cluster workers.
pub(crate) struct ClusterWorkerManager {
    pub(crate) reconciler: Arc<Reconciler>,
    pub(crate) jobs: Store<ProwJob>,
    pub(crate) fence: LeaderFence,
    pub(crate) pod_namespace: String,
    pub(crate) prowjob_namespace: String,
    pub(crate) label_selector: String,
}

impl ClusterWorkerManager {
    /// Starts workers of new clusters; stops those of gone or changed ones.
    pub(crate) fn sync_workers(
        &self,
        before: Option<&BuildClusterClients>,
        now: &BuildClusterClients,
    ) {
        let fleet = &self.reconciler.fleet;
        let wanted: BTreeSet<&str> = now.keys().map(String::as_str).chain([NO_CLUSTER]).collect();
        let stays = |alias: &str| {
            let same = before.is_none_or(|before| is_same_client(before, now, alias));
            wanted.contains(alias) && (alias == NO_CLUSTER || same)
        };
        let gone: Vec<String> = {
            let members = fleet.read_workers();
            members
                .keys()
                .filter(|alias| !stays(alias))
                .cloned()
                .collect()
        };
        for alias in &gone {
            // Dropped outside of the lock: a task that is being aborted may still read the workers.
            let member = fleet.write_workers().remove(alias);
            drop(member);
            tracing::info!(cluster = alias, "the build cluster is no longer followed");
            self.reconciler.index.set_ready(alias, false);
        }
        for alias in wanted {
            if fleet.read_workers().contains_key(alias) {
                continue;
            }
            let found = now.get(alias);
            let cluster = found.map(|found| self.build_cluster(found));
            let is_ready = found.is_some_and(|found| found.obstacle.is_none());
            let member = self.start_worker(alias, cluster, is_ready);
            fleet.write_workers().insert(alias.to_owned(), member);
        }
        // Jobs of clusters that came or went now belong to another worker.
        let jobs = self.jobs.state();
        self.reconciler
            .wake
            .enqueue_jobs(jobs.iter().map(|job| job.name_any()));
    }

    fn build_cluster(&self, found: &BuildClusterClient) -> Arc<BuildCluster> {
        Arc::new(BuildCluster {
            client: self.fence.fenced_client(&found.client),
            namespace: self.pod_namespace.clone(),
            pods: ClusterPods::new(Timestamp::now(), found.obstacle.clone()),
        })
    }

    /// Jobs of a cluster that is not ready wait; their descriptions say so.
    fn start_worker(
        &self,
        alias: &str,
        cluster: Option<Arc<BuildCluster>>,
        is_ready: bool,
    ) -> ClusterWorker {
        let (queue, names) = unbounded();
        let work = workqueue::run_workers(self.jobs.clone(), names, Arc::clone(&self.reconciler));
        let (leftovers, left) = unbounded();
        let namespace = self.prowjob_namespace.clone();
        let end = leftover_pods::end_leftover_pods(left, namespace, Arc::clone(&self.reconciler));
        let follow = run_pod_watch(
            alias.to_owned(),
            cluster.clone().filter(|_| is_ready),
            Arc::clone(&self.reconciler),
            self.jobs.clone(),
            self.label_selector.clone(),
        );
        let tasks = tokio::spawn(async {
            tokio::select! {
                () = work => {}
                () = follow => {}
                () = end => {}
            }
        });
        ClusterWorker {
            cluster,
            queue,
            leftovers,
            _tasks: AbortOnDropHandle::new(tasks),
        }
    }
}

fn is_same_client(before: &BuildClusterClients, now: &BuildClusterClients, alias: &str) -> bool {
    match (before.get(alias), now.get(alias)) {
        (Some(before), Some(now)) => Arc::ptr_eq(before, now),
        _ => false,
    }
}

async fn run_pod_watch(
    alias: String,
    cluster: Option<Arc<BuildCluster>>,
    reconciler: Arc<Reconciler>,
    jobs: Store<ProwJob>,
    label_selector: String,
) {
    let Some(cluster) = cluster else {
        return std::future::pending().await;
    };
    let tell = |news| handle_pod_change(news, &alias, &cluster, &jobs, &reconciler);
    pods::watch_pods(&cluster, &alias, &label_selector, tell).await;
}

fn handle_pod_change(
    news: PodChange,
    alias: &str,
    cluster: &BuildCluster,
    jobs: &Store<ProwJob>,
    reconciler: &Reconciler,
) {
    let (index, wake) = (&reconciler.index, &reconciler.wake);
    let own_jobs = || {
        let all = jobs.state().into_iter();
        let own = all.filter(|job| job.spec.cluster_alias() == alias);
        own.map(|job| job.name_any()).collect::<Vec<_>>()
    };
    match news {
        PodChange::Changed(name) => wake.enqueue_job(name),
        PodChange::Listed(names) => {
            wake.enqueue_jobs(names);
            wake.enqueue_jobs(index.set_ready(alias, true));
            wake.enqueue_jobs(own_jobs());
        }
        PodChange::Found => {
            wake.enqueue_jobs(cluster.pods.pod_names());
            wake.enqueue_jobs(index.set_ready(alias, true));
            wake.enqueue_jobs(own_jobs());
        }
        PodChange::Lost => {
            index.set_ready(alias, false);
            wake.enqueue_jobs(own_jobs());
        }
    }
}
