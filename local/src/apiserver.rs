//! The embedded Kubernetes API: an axum router on one `SQLite` file. Clients use it like a cluster.
//!
//! request → `routes` → `rest` (a verb) → `store` (one writer, commit, then watchers) → `SQLite`.
//! Not here: admission, RBAC, quota, a scheduler, workload controllers, exec, conversion, and
//! protobuf but for a few request bodies. What is not implemented answers 501.

mod builtin;
mod decoding;
mod discovery;
mod endpoint;
mod event_ttl;
mod kind;
mod lifecycle;
mod logs;
mod managed_fields;
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
mod status;
mod store;
mod table;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

pub use endpoint::ApiEndpoint;
pub use logs::LogSource;
pub(crate) use logs::LogTimeRecorder;

use object::ObjectKey;
use store::ClusterStore;

/// Namespaces every cluster has.
const INITIAL_NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

/// Where the embedded API keeps its data.
#[derive(Debug, Clone)]
pub struct ApiServerOptions {
    /// The `SQLite` file; `None` keeps everything in memory.
    pub db: Option<PathBuf>,
    /// Folder of container output, see [`LogSource`].
    pub logs: PathBuf,
}

/// A running embedded API. Cheap to clone. It ends when its last clone is dropped, or by
/// [`ApiServer::close_store`].
#[derive(Debug, Clone)]
pub struct ApiServer {
    inner: Arc<ApiServerInner>,
}

#[derive(Debug)]
struct ApiServerInner {
    store: ClusterStore,
    logs: PathBuf,
}

impl ApiServer {
    /// Opens the store. Fails when another process has locked the file; the error names that
    /// process.
    pub async fn start(options: ApiServerOptions) -> anyhow::Result<Self> {
        let store = ClusterStore::open_store(options.db.as_deref()).await?;
        let api = Self {
            inner: Arc::new(ApiServerInner {
                store,
                logs: options.logs,
            }),
        };
        api.make_namespaces().await?;
        tokio::spawn(event_ttl::sweep_events(Arc::downgrade(&api.inner)));
        Ok(api)
    }

    async fn make_namespaces(&self) -> anyhow::Result<()> {
        let client = self.in_process_client("default");
        for name in INITIAL_NAMESPACES {
            if self
                .store()
                .read_state()
                .get(&ObjectKey::new(&Arc::from("namespaces"), "", name))
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

    /// A client without a socket, for the services of this process.
    pub fn in_process_client(&self, namespace: &str) -> kube::Client {
        let service =
            self.build_router()
                .map_request(|request: http::Request<kube::client::Body>| {
                    request.map(axum::body::Body::new)
                });
        kube::Client::new(service, namespace)
    }

    /// The API without TLS and without a token, for this process only.
    pub fn build_router(&self) -> axum::Router {
        routes::build_router(self.clone())
    }

    /// Serves the API with TLS on a loopback listener until `shutdown`, to clients that have the
    /// token. Returns at once.
    pub async fn serve_loopback(
        &self,
        listener: tokio::net::TcpListener,
        shutdown: CancellationToken,
    ) -> anyhow::Result<ApiEndpoint> {
        endpoint::serve_endpoint(self.build_router(), listener, shutdown)
    }

    /// Commits pending writes and unlocks the file. Later requests fail.
    pub async fn close_store(&self) {
        self.inner.store.close_store().await;
    }

    fn store(&self) -> &ClusterStore {
        &self.inner.store
    }

    fn resource_registry(&self) -> Arc<resource::ResourceRegistry> {
        self.inner.store.read_state().registry()
    }

    fn logs(&self) -> &Path {
        &self.inner.logs
    }
}
