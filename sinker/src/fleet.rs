//! The build clusters whose pods are watched. They come and go with their contexts; one that does
//! not answer holds up nobody.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use common::kube::{BuildClusters, ClusterClient, Clusters, Obstacle};
use tokio::time::{Instant, timeout_at};

use crate::{
    observe::{self, Seen},
    plan::PodRun,
};

/// How long a cluster may take to list its pods before the rest is looked at without it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Every build cluster that there is.
pub(crate) struct Fleet {
    clusters: Clusters,
    namespace: String,
    members: BTreeMap<String, Member>,
}

struct Member {
    found: Arc<ClusterClient>,
    since: Instant,
    /// None while the cluster cannot be worked on.
    pods: Option<Seen<PodRun>>,
}

impl Member {
    fn is_listed(&self) -> bool {
        let pods = self.pods.as_ref();
        pods.is_some_and(|pods| pods.borrow().is_some())
    }
}

impl Fleet {
    pub(crate) fn new(clusters: Clusters, namespace: &str) -> Self {
        let mut fleet = Self {
            clusters,
            namespace: namespace.to_owned(),
            members: BTreeMap::new(),
        };
        fleet.adjust();
        fleet
    }

    /// Watches the clusters that there now are; one that is as before is watched on.
    pub(crate) fn adjust(&mut self) {
        let now: Arc<BuildClusters> = self.clusters.build();
        let mut before = std::mem::take(&mut self.members);
        for (alias, found) in now.iter() {
            let same = before
                .remove(alias)
                .filter(|member| Arc::ptr_eq(&member.found, found));
            let member = same.unwrap_or_else(|| self.member(alias, found));
            self.members.insert(alias.clone(), member);
        }
    }

    fn member(&self, alias: &str, found: &Arc<ClusterClient>) -> Member {
        let ready = found.obstacle.is_none();
        Member {
            found: Arc::clone(found),
            since: Instant::now(),
            pods: ready.then(|| observe::pods(found.client.clone(), &self.namespace, alias)),
        }
    }

    /// The pods of all clusters that were listed.
    pub(crate) fn pods(&mut self) -> Vec<Arc<std::collections::HashMap<String, PodRun>>> {
        let members = self.members.values_mut();
        let seen = members.filter_map(|member| member.pods.as_mut());
        seen.filter_map(|pods| pods.borrow_and_update().clone())
            .collect()
    }

    /// The clusters of which it is not known yet what pods they have. Those that are known to be
    /// away are not among them, nor those that have taken too long.
    pub(crate) fn unlisted(&self) -> HashSet<String> {
        let members = self.members.iter();
        members
            .filter(|(_, member)| !is_settled(member) && member.since.elapsed() < PATIENCE)
            .map(|(alias, _)| alias.clone())
            .collect()
    }

    /// Ends when there are other pods, or other clusters.
    pub(crate) async fn changed(&mut self) {
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
            () = self.clusters.changed() => {}
        }
        self.adjust();
    }

    /// Waits until every cluster is listed, or known to be away, or too slow.
    pub(crate) async fn settled(&mut self) {
        let patience = Instant::now() + PATIENCE;
        while !self.members.values().all(is_settled) {
            if timeout_at(patience, self.changed()).await.is_err() {
                return;
            }
        }
    }

    /// The clusters whose pods are not known, each with the reason.
    pub(crate) fn left_out(&self) -> Vec<String> {
        let members = self.members.iter().filter(|(_, it)| !it.is_listed());
        members
            .map(|(alias, member)| match &member.found.obstacle {
                Some(obstacle) => format!("{alias}: sinker {obstacle}"),
                None => format!("{alias}: its pods were not listed within {PATIENCE:?}"),
            })
            .collect()
    }
}

fn is_settled(member: &Member) -> bool {
    match &member.found.obstacle {
        Some(obstacle) => *obstacle != Obstacle::NotAsked,
        None => member.is_listed(),
    }
}
