//! The embedded Kubernetes API: an axum router on one `SQLite` file that clients take for a cluster.
//!
//! request → `routes` → `rest` (a verb) → `store` (one writer, commit, then watchers) → `SQLite`.
//! Not here: admission, RBAC, quota, a scheduler, workload controllers, exec, protobuf, conversion. What is not built
//! answers 501.

mod builtin;
mod discovery;
mod endpoint;
mod events;
mod kind;
mod lifecycle;
mod logs;
mod managed;
mod object;
mod openapi;
mod patch;
mod protobuf;
mod render;
mod request;
mod resource;
mod rest;
mod routes;
mod schema;
mod selector;
mod shape;
mod status;
mod store;
mod table;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

pub use endpoint::Endpoint;
pub(crate) use logs::Clock;
pub use logs::LogSource;

use object::Key;
use store::Store;

/// Namespaces every cluster has.
const NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

/// Where the embedded API keeps things.
#[derive(Debug, Clone)]
pub struct Options {
    /// The `SQLite` file; `None` keeps everything in memory.
    pub db: Option<PathBuf>,
    /// Folder of the containers' output, see [`LogSource`].
    pub logs: PathBuf,
}

/// A running embedded API. Cheap to clone; ends with its last clone, or by [`ApiServer::close`].
#[derive(Debug, Clone)]
pub struct ApiServer {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    logs: PathBuf,
}

impl ApiServer {
    /// Opens the store. Fails, naming the process, when another one holds the file.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let store = Store::open(options.db.as_deref()).await?;
        let api = Self {
            inner: Arc::new(Inner {
                store,
                logs: options.logs,
            }),
        };
        api.make_namespaces().await?;
        tokio::spawn(events::sweep(Arc::downgrade(&api.inner)));
        Ok(api)
    }

    async fn make_namespaces(&self) -> anyhow::Result<()> {
        let client = self.client("default");
        for name in NAMESPACES {
            if self
                .store()
                .read()
                .get(&Key::new(&Arc::from("namespaces"), "", name))
                .is_some()
            {
                continue;
            }
            let namespace = serde_json::from_value(json!({"metadata": {"name": name}}))?;
            kube::Api::<k8s_openapi::api::core::v1::Namespace>::all(client.clone())
                .create(&kube::api::PostParams::default(), &namespace)
                .await?;
        }
        Ok(())
    }

    /// A client without a socket in between, for the services of this process.
    pub fn client(&self, namespace: &str) -> kube::Client {
        let service = self
            .router()
            .map_request(|request: http::Request<kube::client::Body>| {
                request.map(axum::body::Body::new)
            });
        kube::Client::new(service, namespace)
    }

    /// The API without TLS and without a token: for this process only.
    pub fn router(&self) -> axum::Router {
        routes::router(self.clone())
    }

    /// Serves on a loopback listener, by TLS and to who has the token, until `shutdown`. Returns at once.
    pub async fn serve(
        &self,
        listener: tokio::net::TcpListener,
        shutdown: CancellationToken,
    ) -> anyhow::Result<Endpoint> {
        endpoint::serve(self.router(), listener, shutdown)
    }

    /// Commits what is under way and gives the file free; later requests fail.
    pub async fn close(&self) {
        self.inner.store.close().await;
    }

    fn store(&self) -> &Store {
        &self.inner.store
    }

    fn registry(&self) -> Arc<resource::Registry> {
        self.inner.store.read().registry()
    }

    fn logs(&self) -> &Path {
        &self.inner.logs
    }
}
