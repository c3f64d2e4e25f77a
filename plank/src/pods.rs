//! The pods of one build cluster, as far as plank looks at them.

mod events;
mod follow;

use std::{
    collections::HashMap,
    sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use common::kube::Obstacle;
use jiff::Timestamp;
use kube::{Api, Client, runtime::watcher::Event};

pub(crate) use events::MissingReference;
pub(crate) use follow::follow;

use crate::pod_view::{Pod, PodView};

/// Where pods run.
pub(crate) struct BuildCluster {
    pub(crate) client: Client,
    pub(crate) namespace: String,
    pub(crate) pods: Pods,
}

impl BuildCluster {
    /// The pod of this name as the API has it.
    pub(crate) async fn read(&self, name: &str) -> kube::Result<Option<Arc<PodView>>> {
        let pod = self.api().get_opt(name).await?;
        Ok(pod.map(|pod| Arc::new(PodView::from(&pod))))
    }

    fn api(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }
}

/// What is known of a cluster's pods.
#[derive(Debug)]
pub(crate) struct Pods(RwLock<State>);

#[derive(Debug, Default)]
struct State {
    by_name: HashMap<String, Arc<PodView>>,
    /// The listing that is under way.
    listing: HashMap<String, Arc<PodView>>,
    /// Since when and why what is known is not to be relied on.
    unready: Option<(Timestamp, Obstacle)>,
    listed: bool,
}

/// What a change of a cluster's pods means for jobs.
pub(crate) enum News {
    /// The pod of this name, which is the job's, is another than before.
    Changed(String),
    /// All is known anew. The names are of pods that are or were there.
    Listed(Vec<String>),
    /// The cluster cannot be worked on, until it is listed or found again.
    Lost,
    Found,
}

impl Pods {
    /// Of a cluster that is not listed yet; `obstacle` is why it cannot be.
    pub(crate) fn new(now: Timestamp, obstacle: Option<Obstacle>) -> Self {
        Self(RwLock::new(State {
            unready: Some((now, obstacle.unwrap_or(Obstacle::NotAsked))),
            ..State::default()
        }))
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.0.read().expect("nothing panics under this lock")
    }

    fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.0.write().expect("nothing panics under this lock")
    }

    /// Whether the pods are known; if not, an absent pod means nothing.
    pub(crate) fn are_known(&self) -> bool {
        self.state().unready.is_none()
    }

    /// Since when and why the pods are not known, or no longer.
    pub(crate) fn unready(&self) -> Option<(Timestamp, Obstacle)> {
        self.state().unready.clone()
    }

    pub(crate) fn get(&self, name: &str) -> Option<Arc<PodView>> {
        self.state().by_name.get(name).cloned()
    }

    /// Of all pods that are known.
    pub(crate) fn names(&self) -> Vec<String> {
        self.state().by_name.keys().cloned().collect()
    }

    fn was_listed(&self) -> bool {
        self.state().listed
    }

    fn lose(&self, now: Timestamp, obstacle: Obstacle) -> News {
        let mut state = self.state_mut();
        let since = state.unready.take().map_or(now, |(since, _)| since);
        state.unready = Some((since, obstacle));
        News::Lost
    }

    fn find(&self) -> News {
        self.state_mut().unready = None;
        News::Found
    }

    fn apply(&self, event: Event<Pod>) -> Option<News> {
        let mut state = self.state_mut();
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
                Some(News::Listed(names))
            }
            Event::Apply(pod) => {
                let view = PodView::from(&pod);
                let before = state.by_name.get(&view.name);
                if before.is_some_and(|before| **before == view) {
                    return None;
                }
                let name = view.name.clone();
                state.by_name.insert(name.clone(), Arc::new(view));
                Some(News::Changed(name))
            }
            Event::Delete(pod) => {
                let name = pod.metadata.name.unwrap_or_default();
                state.by_name.remove(&name);
                Some(News::Changed(name))
            }
        }
    }
}
