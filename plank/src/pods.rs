//! The pods of one build cluster, as plank keeps them.

mod pod_events;
mod pod_watch;

use std::{
    collections::HashMap,
    sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use common::kube::ClusterObstacle;
use jiff::Timestamp;
use kube::{Api, Client, runtime::watcher::Event};

pub(crate) use pod_events::MissingReference;
pub(crate) use pod_watch::watch_pods;

use crate::pod_view::{PodView, PrunedPod};

/// A cluster in which pods run.
pub(crate) struct BuildCluster {
    pub(crate) client: Client,
    pub(crate) namespace: String,
    pub(crate) pods: ClusterPods,
}

impl BuildCluster {
    /// The pod of this name as the API has it.
    pub(crate) async fn read_pod(&self, name: &str) -> kube::Result<Option<Arc<PodView>>> {
        let pod = self.pod_api().get_opt(name).await?;
        Ok(pod.map(|pod| Arc::new(PodView::from(&pod))))
    }

    fn pod_api(&self) -> Api<PrunedPod> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }
}

/// What is known of a cluster's pods.
#[derive(Debug)]
pub(crate) struct ClusterPods(RwLock<ClusterPodsState>);

#[derive(Debug, Default)]
struct ClusterPodsState {
    by_name: HashMap<String, Arc<PodView>>,
    /// The pods of the listing that is under way.
    listing: HashMap<String, Arc<PodView>>,
    /// Since when and why the pods are not known.
    unready: Option<(Timestamp, ClusterObstacle)>,
    listed: bool,
}

/// What a change of a cluster's pods means for jobs.
pub(crate) enum PodChange {
    /// The pod of this name, which is also the job's, has changed.
    Changed(String),
    /// All pods were listed anew. The names include those of pods that are gone.
    Listed(Vec<String>),
    /// The cluster is unavailable until the next `Listed` or `Found`.
    Lost,
    Found,
}

impl ClusterPods {
    /// The pods of a cluster that is not listed yet; `obstacle` is why it cannot be.
    pub(crate) fn new(now: Timestamp, obstacle: Option<ClusterObstacle>) -> Self {
        Self(RwLock::new(ClusterPodsState {
            unready: Some((now, obstacle.unwrap_or(ClusterObstacle::NotAsked))),
            ..ClusterPodsState::default()
        }))
    }

    fn read_state(&self) -> RwLockReadGuard<'_, ClusterPodsState> {
        self.0.read().expect("nothing panics under this lock")
    }

    fn write_state(&self) -> RwLockWriteGuard<'_, ClusterPodsState> {
        self.0.write().expect("nothing panics under this lock")
    }

    /// Whether the pods are known; if not, a missing pod means nothing.
    pub(crate) fn are_known(&self) -> bool {
        self.read_state().unready.is_none()
    }

    /// Since when and why the pods are not known; `None` if they are.
    pub(crate) fn unready_reason(&self) -> Option<(Timestamp, ClusterObstacle)> {
        self.read_state().unready.clone()
    }

    pub(crate) fn get(&self, name: &str) -> Option<Arc<PodView>> {
        self.read_state().by_name.get(name).cloned()
    }

    pub(crate) fn pod_names(&self) -> Vec<String> {
        self.read_state().by_name.keys().cloned().collect()
    }

    fn was_listed(&self) -> bool {
        self.read_state().listed
    }

    fn mark_unready(&self, now: Timestamp, obstacle: ClusterObstacle) -> PodChange {
        let mut state = self.write_state();
        let since = state.unready.take().map_or(now, |(since, _)| since);
        state.unready = Some((since, obstacle));
        PodChange::Lost
    }

    fn mark_ready(&self) -> PodChange {
        self.write_state().unready = None;
        PodChange::Found
    }

    fn apply_event(&self, event: Event<PrunedPod>) -> Option<PodChange> {
        let mut state = self.write_state();
        match event {
            Event::Init => {
                state.listing.clear();
                None
            }
            Event::InitApply(pod) => {
                let view = Arc::new(PodView::from(&pod));
                state.listing.insert(view.name.clone(), view);
                None
            }
            Event::InitDone => {
                let before = std::mem::take(&mut state.by_name);
                state.by_name = std::mem::take(&mut state.listing);
                state.unready = None;
                state.listed = true;
                let mut names: Vec<String> = before.into_keys().collect();
                names.extend(state.by_name.keys().cloned());
                Some(PodChange::Listed(names))
            }
            Event::Apply(pod) => {
                let view = PodView::from(&pod);
                let before = state.by_name.get(&view.name);
                if before.is_some_and(|before| **before == view) {
                    return None;
                }
                let name = view.name.clone();
                state.by_name.insert(name.clone(), Arc::new(view));
                Some(PodChange::Changed(name))
            }
            Event::Delete(pod) => {
                let name = pod.metadata.name.unwrap_or_default();
                state.by_name.remove(&name);
                Some(PodChange::Changed(name))
            }
        }
    }
}
