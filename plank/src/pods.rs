//! The pods of one build cluster, as far as plank looks at them.

use std::{
    collections::HashMap,
    sync::{Arc, RwLock},
};

use common::prowjob::labels;
use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client,
    core::DeserializeGuard,
    runtime::{watcher, watcher::Event},
};

use crate::pod_view::PodView;

/// Where pods run.
pub(crate) struct BuildCluster {
    pub(crate) client: Client,
    pub(crate) namespace: String,
    pub(crate) pods: Arc<Pods>,
}

impl BuildCluster {
    /// The pod of this name as the API has it.
    pub(crate) async fn read(&self, name: &str) -> kube::Result<Option<Arc<PodView>>> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        Ok(api
            .get_opt(name)
            .await?
            .map(|pod| Arc::new(PodView::from(&pod))))
    }
}

/// What is known of a cluster's pods.
#[derive(Debug, Default)]
pub(crate) struct Pods(RwLock<State>);

#[derive(Debug, Default)]
struct State {
    by_name: HashMap<String, Arc<PodView>>,
    /// The listing that is under way.
    listing: HashMap<String, Arc<PodView>>,
    listed: bool,
}

/// What a change of a cluster's pods means for jobs.
pub(crate) enum News {
    /// The pod of this name, which is the job's, is another than before.
    Changed(String),
    /// All is known anew. The names are of pods that are or were there.
    Listed(Vec<String>),
}

impl Pods {
    /// Whether an absent pod means anything yet.
    pub(crate) fn is_listed(&self) -> bool {
        self.0
            .read()
            .expect("nothing panics under this lock")
            .listed
    }

    pub(crate) fn get(&self, name: &str) -> Option<Arc<PodView>> {
        let state = self.0.read().expect("nothing panics under this lock");
        state.by_name.get(name).cloned()
    }

    fn apply(&self, event: Event<Pod>) -> Option<News> {
        let mut state = self.0.write().expect("nothing panics under this lock");
        match event {
            Event::Init => {
                state.listing.clear();
                None
            }
            Event::InitApply(pod) => {
                let view = PodView::from(&pod);
                state.listing.insert(view.name.clone(), Arc::new(view));
                None
            }
            Event::InitDone => {
                let before = std::mem::take(&mut state.by_name);
                state.by_name = std::mem::take(&mut state.listing);
                state.listed = true;
                let mut names: Vec<String> = before.into_keys().collect();
                names.extend(state.by_name.keys().cloned());
                Some(News::Listed(names))
            }
            Event::Apply(pod) => {
                let view = PodView::from(&pod);
                let name = view.name.clone();
                let before = state.by_name.insert(name.clone(), Arc::new(view.clone()));
                let same = before.is_some_and(|before| *before == view);
                (!same).then_some(News::Changed(name))
            }
            Event::Delete(pod) => {
                let name = pod.metadata.name.unwrap_or_default();
                state.by_name.remove(&name);
                Some(News::Changed(name))
            }
        }
    }
}

/// Keeps the cluster's pods up to date and tells what changed, for as long as it is polled.
pub(crate) async fn follow(
    cluster: &BuildCluster,
    alias: &str,
    extra_selector: &str,
    tell: impl Fn(News),
) {
    let api: Api<DeserializeGuard<Pod>> =
        Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let mut selector = format!("{}=true", labels::CREATED_BY_PROW);
    if !extra_selector.is_empty() {
        selector.push(',');
        selector.push_str(extra_selector);
    }
    let config = watcher::Config::default().labels(&selector);
    let events = crate::watch::events(api, config, format!("pods of cluster {alias}"));
    futures::pin_mut!(events);
    while let Some(event) = events.next().await {
        if let Some(news) = cluster.pods.apply(event) {
            tell(news);
        }
    }
}
