//! The handle by which every service reaches its clusters.

use std::{collections::BTreeMap, sync::Arc};

use http::{Request, Response};
use kube::{Client, client::Body};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::task::AbortOnDropHandle;
use tower::BoxError;

use super::{ClusterObstacle, cluster_registry::ClusterSnapshot};
use crate::{prowjob::DEFAULT_CLUSTER, service::lease::LeaderFence};

/// The clusters of an installation: one that holds the `ProwJob`s, and one for each name that jobs
/// use in `cluster`. Build clusters come, go and change while a service runs. Cheap to clone.
#[derive(Clone)]
pub struct ClusterClients {
    infra: Client,
    build: watch::Receiver<Arc<BuildClusterClients>>,
    fence: LeaderFence,
    /// The task that keeps them up to date; it ends with the last handle.
    _following: Option<Arc<AbortOnDropHandle<()>>>,
}

/// Build clusters by the name that jobs use. An object that stays the same is unchanged.
pub type BuildClusterClients = BTreeMap<String, Arc<BuildClusterClient>>;

/// The client of a build cluster, and whether the cluster is usable.
#[derive(Clone)]
pub struct BuildClusterClient {
    /// Without a usable context, a client that refuses all requests with the reason.
    pub client: Client,
    /// Why no work is done in the cluster; `None` if it is ready.
    pub obstacle: Option<ClusterObstacle>,
    /// The version of the snapshot that this was made from.
    version: u64,
}

impl BuildClusterClient {
    /// A cluster that is ready.
    pub fn new_ready(client: Client) -> Arc<Self> {
        Arc::new(Self {
            client,
            obstacle: None,
            version: 0,
        })
    }

    /// A cluster that is not usable; `client` is `None` if none can be made.
    pub fn new_unready(client: Option<Client>, obstacle: ClusterObstacle) -> Arc<Self> {
        Arc::new(Self {
            client: client.unwrap_or_else(|| refusing_client(obstacle.to_string())),
            obstacle: Some(obstacle),
            version: 0,
        })
    }

    pub(super) fn from_snapshot(view: ClusterSnapshot<Client>) -> Arc<Self> {
        let obstacle = view.obstacle.as_ref().unwrap_or(&ClusterObstacle::NotAsked);
        let client = view
            .client
            .unwrap_or_else(|| refusing_client(obstacle.to_string()));
        Arc::new(Self {
            client,
            obstacle: view.obstacle,
            version: view.version,
        })
    }

    pub(super) fn matches_snapshot(&self, view: &ClusterSnapshot<Client>) -> bool {
        self.version == view.version
    }
}

/// A client that refuses all requests with the reason.
fn refusing_client(why: String) -> Client {
    let why = Arc::<str>::from(format!("this service {why}"));
    let refuse = tower::service_fn(move |_: Request<Body>| {
        let why = Arc::clone(&why);
        async move { Err::<Response<Body>, BoxError>(why.as_ref().into()) }
    });
    Client::new(refuse, "default")
}

impl ClusterClients {
    /// One cluster for everything, which never changes.
    pub fn single_cluster(client: Client) -> Self {
        let default = BuildClusterClient::new_ready(client.clone());
        let build = BTreeMap::from([(DEFAULT_CLUSTER.to_owned(), default)]);
        Self::new(client, watch::channel(Arc::new(build)).1)
    }

    /// Build clusters that whoever holds the sender of `build` provides.
    pub fn new(infra: Client, build: watch::Receiver<Arc<BuildClusterClients>>) -> Self {
        Self {
            infra,
            build,
            fence: LeaderFence::new_open(),
            _following: None,
        }
    }

    pub(super) fn with_watch_task(self, task: JoinHandle<()>) -> Self {
        Self {
            _following: Some(Arc::new(AbortOnDropHandle::new(task))),
            ..self
        }
    }

    /// The client of the cluster that holds the `ProwJob`s.
    pub fn infra(&self) -> &Client {
        &self.infra
    }

    /// The current build clusters. Their clients have no fence: see [`Self::fence`].
    pub fn build_clusters(&self) -> Arc<BuildClusterClients> {
        Arc::clone(&self.build.borrow())
    }

    /// A client of a build cluster, if there is one of this name.
    pub fn build_client(&self, alias: &str) -> Option<Client> {
        let client = self.build.borrow().get(alias)?.client.clone();
        Some(self.fence.fenced_client(&client))
    }

    /// Ends when the build clusters have changed since this handle last saw a change; never ends
    /// when nothing can change them any more.
    pub async fn await_change(&mut self) {
        if self.build.changed().await.is_err() {
            std::future::pending().await
        }
    }

    /// The same clusters through clients that refuse to write once `fence` is closed.
    #[must_use]
    pub fn with_fence(&self, fence: &LeaderFence) -> Self {
        Self {
            infra: fence.fenced_client(&self.infra),
            fence: fence.clone(),
            ..self.clone()
        }
    }

    /// The fence that closes when this process no longer leads.
    pub fn fence(&self) -> &LeaderFence {
        &self.fence
    }
}
