//! A cluster with some jobs and pods, and a sinker that cleans it up.

use std::{sync::Arc, time::Duration};

use common::{
    config::{Config, ConfigAgent, yaml},
    kube::ClusterClients,
    prowjob::{ProwJob, labels},
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use local::testing::{self, SCHEDULER};
use serde_json::{Value, json};
use sinker::{SinkerContext, SinkerMetrics};
use tokio_util::sync::CancellationToken;

const CONFIG: &str = "
sinker:
  resync_period: 1h
  max_prowjob_age: 48h
  max_pod_age: 12h
  terminated_pod_ttl: 1h
";

pub(crate) struct Cluster {
    pub(crate) on: testing::TestCluster,
    pod_namespace: String,
    /// The clusters that sinker uses.
    clusters: ClusterClients,
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        let mut on = testing::TestCluster::start_cluster(&std::env::temp_dir())
            .await
            .unwrap();
        let pod_namespace = on.another_namespace().await.unwrap();
        Self {
            clusters: ClusterClients::single_cluster(on.client.clone()),
            on,
            pod_namespace,
        }
    }

    /// The same cluster, where sinker uses other build clusters.
    pub(crate) fn with(self, clusters: ClusterClients) -> Self {
        Self { clusters, ..self }
    }

    pub(crate) fn jobs(&self) -> Api<ProwJob> {
        Api::namespaced(self.on.client.clone(), &self.on.namespace)
    }

    pub(crate) fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.on.client.clone(), &self.pod_namespace)
    }

    /// Creates a `ProwJob` that began and ended this many seconds ago.
    pub(crate) async fn job(&self, name: &str, began: i64, ended: Option<i64>) {
        let mut status = json!({"state": "pending", "startTime": ago(began)});
        if let Some(ended) = ended {
            status = json!({
                "state": "success", "startTime": ago(began), "completionTime": ago(ended),
            });
        }
        let job = json!({
            "apiVersion": "prow.k8s.io/v1",
            "kind": "ProwJob",
            "metadata": {"name": name},
            "spec": {"type": "presubmit", "job": "unit"},
            "status": status,
        });
        create(&self.jobs(), job).await;
    }

    /// Creates the pod of a `ProwJob`, as plank does, which began this many seconds ago.
    pub(crate) async fn pod(&self, name: &str, began: i64) {
        let metadata = json!({"name": name, "labels": {
            (labels::CREATED_BY_PROW): "true", (labels::ID): name,
        }});
        self.make_pod(name, metadata, began).await;
    }

    /// Creates a pod with crier's finalizer that is being deleted.
    pub(crate) async fn held_pod(&self, name: &str) {
        let metadata = json!({
            "name": name, "finalizers": ["prow.x-k8s.io/gcsk8sreporter"],
            "labels": {(labels::CREATED_BY_PROW): "true", (labels::ID): name},
        });
        self.make_pod(name, metadata, 3600).await;
        let at_once = DeleteParams::default().grace_period(0);
        self.pods().delete(name, &at_once).await.unwrap();
    }

    /// Creates a pod that does not belong to Prow.
    pub(crate) async fn foreign_pod(&self, name: &str, began: i64) {
        self.make_pod(name, json!({"name": name}), began).await;
    }

    async fn make_pod(&self, name: &str, metadata: Value, began: i64) {
        let pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": metadata,
            "spec": {
                "schedulerName": SCHEDULER,
                "containers": [{"name": "test", "image": "golang"}],
            },
        });
        create(&self.pods(), pod).await;
        let status = json!({"status": {"phase": "Succeeded", "startTime": ago(began)}});
        self.pods()
            .patch_status(name, &PatchParams::default(), &Patch::Merge(status))
            .await
            .unwrap();
    }

    pub(crate) async fn has_job(&self, name: &str) -> bool {
        self.jobs().get_opt(name).await.unwrap().is_some()
    }

    /// A pod that is being deleted counts as gone: its node ends it.
    pub(crate) async fn has_pod(&self, name: &str) -> bool {
        let pod = self.pods().get_opt(name).await.unwrap();
        pod.is_some_and(|pod| pod.metadata.deletion_timestamp.is_none())
    }

    /// Cleans up once and returns when everything is deleted.
    pub(crate) async fn look_once(&self, dry_run: bool) {
        self.try_look_once(dry_run).await.unwrap();
    }

    pub(crate) async fn try_look_once(&self, dry_run: bool) -> anyhow::Result<()> {
        let (context, _agent) = self.context(dry_run, true);
        let run = sinker::run_sinker(context, CancellationToken::new());
        tokio::time::timeout(Duration::from_secs(30), run)
            .await
            .expect("sinker ends by itself with --run-once")
    }

    /// Runs in the background until the guard is dropped.
    pub(crate) fn keep_looking(&self) -> tokio_util::sync::DropGuard {
        let (context, agent) = self.context(false, false);
        let shutdown = CancellationToken::new();
        let token = shutdown.clone();
        tokio::spawn(async move {
            let _agent = agent;
            sinker::run_sinker(context, token).await.unwrap();
        });
        shutdown.drop_guard()
    }

    fn context(&self, dry_run: bool, run_once: bool) -> (SinkerContext, ConfigAgent) {
        let mut config = Config {
            prow: yaml::parse_yaml("config.yaml", CONFIG).unwrap(),
            ..Config::default()
        };
        config.prow.prowjob_namespace = self.on.namespace.clone();
        config.prow.pod_namespace = self.pod_namespace.clone();
        let (agent, config) = ConfigAgent::with_fixed_config(config);
        let context = SinkerContext {
            clusters: self.clusters.clone(),
            config,
            metrics: SinkerMetrics::default(),
            ready: Default::default(),
            dry_run,
            run_once,
        };
        (context, agent)
    }
}

async fn create<K>(api: &Api<K>, object: Value) -> Arc<K>
where
    K: kube::Resource + Clone + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    let object = serde_json::from_value(object).unwrap();
    Arc::new(api.create(&PostParams::default(), &object).await.unwrap())
}

fn ago(seconds: i64) -> String {
    let at = Timestamp::now() - SignedDuration::from_secs(seconds);
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
