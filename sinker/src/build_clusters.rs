//! Watches the pods of the build clusters. Clusters come and go with their kubeconfig contexts. An
//! unavailable cluster delays no other.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use common::kube::{BuildClusterClient, BuildClusterClients, ClusterClients, ClusterObstacle};
use tokio::time::{Instant, timeout_at};

use crate::{
    observe::{self, WatchedObjects},
    plan::ObservedPod,
};

/// How long a cluster may take to list its pods before the cleanup continues without it.
pub(crate) const LIST_TIMEOUT: Duration = Duration::from_secs(30);

/// All build clusters.
pub(crate) struct WatchedBuildClusters {
    clusters: ClusterClients,
    namespace: String,
    members: BTreeMap<String, WatchedBuildCluster>,
}

struct WatchedBuildCluster {
    found: Arc<BuildClusterClient>,
    since: Instant,
    /// `None` while the cluster is not usable.
    pods: Option<WatchedObjects<ObservedPod>>,
}

impl WatchedBuildCluster {
    fn is_listed(&self) -> bool {
        let pods = self.pods.as_ref();
        pods.is_some_and(|pods| pods.borrow().is_some())
    }
}

impl WatchedBuildClusters {
    pub(crate) fn new(clusters: ClusterClients, namespace: &str) -> Self {
        let mut fleet = Self {
            clusters,
            namespace: namespace.to_owned(),
            members: BTreeMap::new(),
        };
        fleet.reconcile_clusters();
        fleet
    }

    /// Watches the current clusters; the watch of an unchanged cluster goes on.
    pub(crate) fn reconcile_clusters(&mut self) {
        let now: Arc<BuildClusterClients> = self.clusters.build_clusters();
        let mut before = std::mem::take(&mut self.members);
        for (alias, found) in now.iter() {
            let same = before
                .remove(alias)
                .filter(|member| Arc::ptr_eq(&member.found, found));
            let member = same.unwrap_or_else(|| self.watch_cluster(alias, found));
            self.members.insert(alias.clone(), member);
        }
    }

    fn watch_cluster(&self, alias: &str, found: &Arc<BuildClusterClient>) -> WatchedBuildCluster {
        let ready = found.obstacle.is_none();
        WatchedBuildCluster {
            found: Arc::clone(found),
            since: Instant::now(),
            pods: ready.then(|| observe::watch_pods(found.client.clone(), &self.namespace, alias)),
        }
    }

    /// The pods of all clusters that have listed them.
    pub(crate) fn listed_pods(
        &mut self,
    ) -> Vec<Arc<std::collections::HashMap<String, ObservedPod>>> {
        let members = self.members.values_mut();
        let seen = members.filter_map(|member| member.pods.as_mut());
        seen.filter_map(|pods| pods.borrow_and_update().clone())
            .collect()
    }

    /// The clusters whose pods are not listed yet, except for those that are known to be
    /// unavailable or that have taken too long.
    pub(crate) fn unlisted_clusters(&self) -> HashSet<String> {
        let members = self.members.iter();
        members
            .filter(|(_, member)| !is_settled(member) && member.since.elapsed() < LIST_TIMEOUT)
            .map(|(alias, _)| alias.clone())
            .collect()
    }

    /// Ends when pods or clusters have changed.
    pub(crate) async fn await_change(&mut self) {
        let pods = self
            .members
            .values_mut()
            .filter_map(|member| member.pods.as_mut())
            .map(|pods| {
                Box::pin(async {
                    if pods.changed().await.is_err() {
                        std::future::pending().await
                    }
                })
            });
        let never: futures::future::BoxFuture<'_, ()> = Box::pin(std::future::pending());
        let pods = pods.map(|it| it as futures::future::BoxFuture<'_, ()>);
        let pods = futures::future::select_all(pods.chain([never]));
        tokio::select! {
            _ = pods => {}
            () = self.clusters.await_change() => {}
        }
        self.reconcile_clusters();
    }

    /// Waits until every cluster is listed, known to be unavailable, or too slow.
    pub(crate) async fn await_settled(&mut self) {
        let patience = Instant::now() + LIST_TIMEOUT;
        while !self.members.values().all(is_settled) {
            if timeout_at(patience, self.await_change()).await.is_err() {
                return;
            }
        }
    }

    /// The clusters whose pods are not known, each with the reason.
    pub(crate) fn skipped_clusters(&self) -> Vec<String> {
        let members = self.members.iter().filter(|(_, it)| !it.is_listed());
        members
            .map(|(alias, member)| match &member.found.obstacle {
                Some(obstacle) => format!("{alias}: sinker {obstacle}"),
                None => format!("{alias}: its pods were not listed within {LIST_TIMEOUT:?}"),
            })
            .collect()
    }
}

fn is_settled(member: &WatchedBuildCluster) -> bool {
    match &member.found.obstacle {
        Some(obstacle) => *obstacle != ClusterObstacle::NotAsked,
        None => member.is_listed(),
    }
}
