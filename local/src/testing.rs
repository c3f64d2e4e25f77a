//! A cluster for a test: the embedded API, or a real one that [`KUBECONFIG`] names.
//!
//! The same tests run on both, which finds differences between the two. No program uses this
//! module.

use std::{path::Path, time::Duration};

use anyhow::Context as _;
use common::prowjob::{self, ProwJob};
use k8s_openapi::{
    api::core::v1::{Namespace, Pod, ServiceAccount},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, Config,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::json;

use crate::apiserver::{ApiServer, ApiServerOptions};

/// The environment variable with the path of a kubeconfig. Its current context is the cluster.
pub const KUBECONFIG: &str = "PROW_TEST_KUBECONFIG";

/// The environment variable that says that the cluster serves `ProwJob`s already, by another CRD
/// than ours.
pub const GIVEN_CRD: &str = "PROW_TEST_GIVEN_CRD";

/// The `schedulerName` of tests' pods. No scheduler has this name, so on any cluster a pod changes
/// only when the test changes it.
pub const SCHEDULER: &str = "prow-test";

/// Field manager of the CRD. Fields of another manager that differ are a conflict, and his CRD
/// stays as it is.
const CRD_FIELD_MANAGER: &str = "prow-test";

/// Long enough that only a broken cluster reaches it.
const CLUSTER_TIMEOUT: Duration = Duration::from_secs(30);

/// A cluster that serves `ProwJob`s, with a namespace for one test.
pub struct TestCluster {
    /// Its default namespace is the test's namespace.
    pub client: Client,
    /// `default` on an embedded API, which is the test's own; elsewhere a namespace that nobody
    /// else uses.
    pub namespace: String,
    server: ClusterBackend,
}

enum ClusterBackend {
    /// Ends with the test.
    Embedded { _api: ApiServer },
    /// The test made these namespaces; they are deleted when it ends.
    Given {
        config: Box<Config>,
        made: Vec<String>,
    },
}

impl TestCluster {
    /// `logs` is the folder that a pod runner would write to, see [`crate::apiserver::LogSource`].
    pub async fn start_cluster(logs: &Path) -> anyhow::Result<Self> {
        match std::env::var_os(KUBECONFIG) {
            Some(path) => Self::from_kubeconfig(path.as_ref())
                .await
                .with_context(|| format!("the cluster of {KUBECONFIG}")),
            None => Self::start_embedded(logs).await,
        }
    }

    async fn start_embedded(logs: &Path) -> anyhow::Result<Self> {
        common::service::install_crypto();
        let logs = logs.to_owned();
        let api = ApiServer::start(ApiServerOptions { db: None, logs }).await?;
        let client = api.in_process_client("default");
        apply_crd(&client).await?;
        Ok(Self {
            client,
            namespace: "default".into(),
            server: ClusterBackend::Embedded { _api: api },
        })
    }

    /// Makes a namespace on the cluster of the kubeconfig's current context.
    pub async fn from_kubeconfig(path: &Path) -> anyhow::Result<Self> {
        common::service::install_crypto();
        let kubeconfig = Kubeconfig::read_from(path)?;
        let mut config =
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        config.default_namespace = make_namespace(&Client::try_from(config.clone())?).await?;
        let namespace = config.default_namespace.clone();
        let client = Client::try_from(config.clone())?;
        match std::env::var_os(GIVEN_CRD) {
            Some(_) => await_prowjobs(&client).await?,
            None => apply_crd(&client).await?,
        }
        Ok(Self {
            client,
            namespace: namespace.clone(),
            server: ClusterBackend::Given {
                config: Box::new(config),
                made: vec![namespace],
            },
        })
    }

    /// Makes one more namespace, which is deleted when the test ends.
    pub async fn another_namespace(&mut self) -> anyhow::Result<String> {
        let name = make_namespace(&self.client).await?;
        if let ClusterBackend::Given { made, .. } = &mut self.server {
            made.push(name.clone());
        }
        Ok(name)
    }

    /// A client with only the rights of a service account in the test's namespace. `None` on the
    /// embedded API, which has no RBAC.
    pub fn acting_as(&self, account: &str) -> anyhow::Result<Option<Client>> {
        let ClusterBackend::Given { config, .. } = &self.server else {
            return Ok(None);
        };
        let mut config = Config::clone(config);
        let user = format!("system:serviceaccount:{}:{account}", self.namespace);
        config.auth_info.impersonate = Some(user);
        Ok(Some(Client::try_from(config)?))
    }

    /// The client of a pod runner. Where it lists all namespaces, it gets only the test's
    /// namespace.
    pub fn node_client(&self) -> Client {
        let (client, namespace) = (self.client.clone(), self.namespace.clone());
        let service = tower::service_fn(move |mut request: http::Request<kube::client::Body>| {
            let uri = request.uri().to_string();
            if let Some(of_all) = uri.strip_prefix("/api/v1/")
                && !of_all.starts_with("namespaces/")
            {
                *request.uri_mut() = format!("/api/v1/namespaces/{namespace}/{of_all}")
                    .parse()
                    .expect("a namespace's name fits into a path");
            }
            let client = client.clone();
            async move { client.send(request).await }
        });
        Client::new(service, &self.namespace)
    }
}

impl Drop for TestCluster {
    /// Runs on its own thread, because the test's runtime waits for this function.
    fn drop(&mut self) {
        let ClusterBackend::Given { config, made } = &mut self.server else {
            return;
        };
        let (config, made) = (Config::clone(config), std::mem::take(made));
        let names = made.join(", ");
        let cleaning = std::thread::spawn(move || -> anyhow::Result<()> {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async {
                tokio::time::timeout(CLUSTER_TIMEOUT, delete_namespaces(config, made)).await?
            })
        });
        match cleaning.join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "namespaces of a test are left behind: {names}")
            }
            Err(_) => tracing::warn!("namespaces of a test are left behind: {names}"),
        }
    }
}

/// Pods are deleted first, with no grace period: the tests' nodes do not exist, so no kubelet would
/// confirm that they ended.
async fn delete_namespaces(config: Config, namespaces: Vec<String>) -> anyhow::Result<()> {
    let client = Client::try_from(config)?;
    let at_once = DeleteParams::default().grace_period(0);
    for name in namespaces {
        let pods = Api::<Pod>::namespaced(client.clone(), &name);
        pods.delete_collection(&at_once, &ListParams::default())
            .await?;
        Api::<Namespace>::all(client.clone())
            .delete(&name, &DeleteParams::default())
            .await?;
    }
    Ok(())
}

async fn make_namespace(client: &Client) -> anyhow::Result<String> {
    let namespace = serde_json::from_value(json!({"metadata": {"generateName": "prow-test-"}}))?;
    let namespace = Api::<Namespace>::all(client.clone())
        .create(&PostParams::default(), &namespace)
        .await?;
    let name = namespace
        .metadata
        .name
        .context("a namespace without a name")?;
    // Pods are refused until the account exists. Its controller may be slow, or missing.
    let account = serde_json::from_value(json!({"metadata": {"name": "default"}}))?;
    let accounts = Api::<ServiceAccount>::namespaced(client.clone(), &name);
    match accounts.create(&PostParams::default(), &account).await {
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(name),
        done => Ok(done.map(|_| name)?),
    }
}

/// Applies the CRD, so that `ProwJob`s are served.
async fn apply_crd(client: &Client) -> anyhow::Result<()> {
    let crd = prowjob::build_prowjob_crd();
    let name = crd
        .metadata
        .name
        .as_deref()
        .context("a CRD without a name")?;
    Api::<CustomResourceDefinition>::all(client.clone())
        .patch(
            name,
            &PatchParams::apply(CRD_FIELD_MANAGER),
            &Patch::Apply(&crd),
        )
        .await
        .context("applying the CRD of ProwJobs")?;
    await_prowjobs(client).await
}

async fn await_prowjobs(client: &Client) -> anyhow::Result<()> {
    let jobs = Api::<ProwJob>::default_namespaced(client.clone());
    let served = async {
        while let Err(error) = jobs.list_metadata(&ListParams::default()).await {
            match error {
                kube::Error::Api(status) if status.code == 404 => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                other => return Err(other),
            }
        }
        Ok(())
    };
    Ok(tokio::time::timeout(CLUSTER_TIMEOUT, served)
        .await
        .context("ProwJobs are not served")??)
}
