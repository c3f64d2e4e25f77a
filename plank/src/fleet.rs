//! The build clusters: each has watch, queue and workers of its own, so that one that is down
//! delays only its own jobs. They come and go with their kubeconfig contexts.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, RwLock},
};

use common::{
    kube::{BuildClusters, ClusterClient},
    prowjob::ProwJob,
    service::lease::Fence,
};
use futures::channel::mpsc::{UnboundedSender, unbounded};
use jiff::Timestamp;
use kube::{
    ResourceExt,
    runtime::reflector::{ObjectRef, Store},
};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    leftovers,
    pods::{self, BuildCluster, News, Pods},
    reconcile::Reconciler,
    work,
};

/// Where jobs of clusters that nobody knows are ended, and jobs without one get theirs.
const NO_CLUSTER: &str = "";

/// Every cluster that is followed, by the name jobs use.
#[derive(Default)]
pub(crate) struct Fleet(RwLock<BTreeMap<String, Member>>);

struct Member {
    cluster: Option<Arc<BuildCluster>>,
    queue: UnboundedSender<ObjectRef<ProwJob>>,
    /// Of complete jobs whose pods are to be ended.
    leftovers: UnboundedSender<String>,
    /// Ends with the member, between two steps of its jobs.
    _tasks: AbortOnDropHandle<()>,
}

impl Fleet {
    pub(crate) fn get(&self, alias: &str) -> Option<Arc<BuildCluster>> {
        self.read().get(alias)?.cluster.clone()
    }

    /// Queues a job where its cluster's jobs are worked on.
    pub(crate) fn queue(&self, job: &ProwJob) {
        let members = self.read();
        let member = members
            .get(job.spec.cluster_alias())
            .or_else(|| members.get(NO_CLUSTER));
        if let Some(member) = member {
            // The receiver is gone only when the controller is ending.
            let _ = member.queue.unbounded_send(ObjectRef::from_obj(job));
        }
    }

    /// Queues a complete job where it has a pod that goes on, if it has one.
    pub(crate) fn queue_leftover(&self, name: &str) {
        for member in self.read().values() {
            let cluster = member.cluster.as_ref();
            let pod = cluster.and_then(|cluster| cluster.pods.get(name));
            if pod.is_some_and(|pod| pod.goes_on()) {
                let _ = member.leftovers.unbounded_send(name.to_owned());
            }
        }
    }

    /// Ends all work.
    pub(crate) fn clear(&self) {
        let members = std::mem::take(&mut *self.write());
        drop(members);
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<String, Member>> {
        self.0.read().expect("nothing panics under this lock")
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<String, Member>> {
        self.0.write().expect("nothing panics under this lock")
    }
}

/// What clusters need to be followed.
pub(crate) struct Follow {
    pub(crate) reconciler: Arc<Reconciler>,
    pub(crate) jobs: Store<ProwJob>,
    pub(crate) fence: Fence,
    pub(crate) pod_namespace: String,
    pub(crate) prowjob_namespace: String,
    pub(crate) label_selector: String,
}

impl Follow {
    /// Brings the fleet in line with the clusters there now are.
    pub(crate) fn adjust(&self, before: Option<&BuildClusters>, now: &BuildClusters) {
        let fleet = &self.reconciler.fleet;
        let wanted: BTreeSet<&str> = now.keys().map(String::as_str).chain([NO_CLUSTER]).collect();
        let stays = |alias: &str| {
            let same = before.is_none_or(|before| is_same(before, now, alias));
            wanted.contains(alias) && (alias == NO_CLUSTER || same)
        };
        let gone: Vec<String> = {
            let members = fleet.read();
            members
                .keys()
                .filter(|alias| !stays(alias))
                .cloned()
                .collect()
        };
        for alias in &gone {
            // Outside of the lock: what it was doing may ask for the fleet once more.
            let member = fleet.write().remove(alias);
            drop(member);
            tracing::info!(cluster = alias, "the build cluster is no longer followed");
            self.reconciler.index.set_ready(alias, false);
        }
        for alias in wanted {
            if fleet.read().contains_key(alias) {
                continue;
            }
            let found = now.get(alias);
            let cluster = found.map(|found| self.build_cluster(found));
            let is_ready = found.is_some_and(|found| found.obstacle.is_none());
            let member = self.start(alias, cluster, is_ready);
            fleet.write().insert(alias.to_owned(), member);
        }
        // Jobs of clusters that came or went have another place to be worked on.
        let jobs = self.jobs.state();
        self.reconciler
            .wake
            .all(jobs.iter().map(|job| job.name_any()));
    }

    fn build_cluster(&self, found: &ClusterClient) -> Arc<BuildCluster> {
        Arc::new(BuildCluster {
            client: self.fence.client(&found.client),
            namespace: self.pod_namespace.clone(),
            pods: Pods::new(Timestamp::now(), found.obstacle.clone()),
        })
    }

    /// The jobs of a cluster that is not ready wait, and say so.
    fn start(&self, alias: &str, cluster: Option<Arc<BuildCluster>>, is_ready: bool) -> Member {
        let (queue, names) = unbounded();
        let work = work::work(self.jobs.clone(), names, Arc::clone(&self.reconciler));
        let (leftovers, left) = unbounded();
        let namespace = self.prowjob_namespace.clone();
        let end = leftovers::end(left, namespace, Arc::clone(&self.reconciler));
        let follow = follow_pods(
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
        Member {
            cluster,
            queue,
            leftovers,
            _tasks: AbortOnDropHandle::new(tasks),
        }
    }
}

fn is_same(before: &BuildClusters, now: &BuildClusters, alias: &str) -> bool {
    match (before.get(alias), now.get(alias)) {
        (Some(before), Some(now)) => Arc::ptr_eq(before, now),
        _ => false,
    }
}

async fn follow_pods(
    alias: String,
    cluster: Option<Arc<BuildCluster>>,
    reconciler: Arc<Reconciler>,
    jobs: Store<ProwJob>,
    label_selector: String,
) {
    let Some(cluster) = cluster else {
        return std::future::pending().await;
    };
    let tell = |news| on_pods(news, &alias, &cluster, &jobs, &reconciler);
    pods::follow(&cluster, &alias, &label_selector, tell).await;
}

fn on_pods(
    news: News,
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
        News::Changed(name) => wake.one(name),
        News::Listed(names) => {
            wake.all(names);
            wake.all(index.set_ready(alias, true));
            wake.all(own_jobs());
        }
        News::Found => {
            wake.all(cluster.pods.names());
            wake.all(index.set_ready(alias, true));
            wake.all(own_jobs());
        }
        News::Lost => {
            index.set_ready(alias, false);
            wake.all(own_jobs());
        }
    }
}
