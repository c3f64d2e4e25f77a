//! A cluster with the `ProwJob` kind, plank on it, and helpers that play the kubelet.

use std::{sync::Arc, time::Duration};

use common::{
    config::{Config, ConfigAgent},
    duration::GoDuration,
    kube::ClusterClients,
    prowjob::{ProwJob, ProwJobState, new_prowjob},
    service::{
        ServiceReadiness,
        lease::{LeaderCandidate, LeaderElectionOptions, LeaderFence},
    },
    storage::token::keys::StorageKeyFile,
};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use local::testing::{self, SCHEDULER};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// Generous: only a broken plank exceeds it.
const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const KEY: &[u8] = b"a key of more than sixteen bytes";

pub(crate) struct Cluster {
    pub(crate) client: Client,
    pub(crate) dir: TempDir,
    pub(crate) config: ConfigAgent,
    plank: Option<(CancellationToken, JoinHandle<anyhow::Result<()>>)>,
    pub(crate) on: testing::TestCluster,
}

/// `ProwJob`s and pods in `default`; [`Cluster::publish`] puts the test's namespace there.
pub(crate) fn config(plank: Value) -> Config {
    Config {
        prow: serde_json::from_value(json!({"plank": plank})).unwrap(),
        ..Config::default()
    }
}

impl Cluster {
    /// A cluster without plank.
    pub(crate) async fn new() -> Self {
        // Not below /tmp, which containers of the pod runner do not see.
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let on = testing::TestCluster::start_cluster(&dir.path().join("logs"))
            .await
            .unwrap();
        std::fs::write(dir.path().join("storage-key"), KEY).unwrap();
        let cluster = Self {
            client: on.client.clone(),
            dir,
            config: ConfigAgent::with_fixed_config(Config::default()).0,
            plank: None,
            on,
        };
        cluster.publish(json!({
            "job_url_template": "http://deck/view/prowjob/{{.Spec.Job}}/{{.Status.BuildID}}",
            "job_url_prefix_config": {"*": "http://deck/view"},
            "default_decoration_configs": {"nobody/else": {
                "gcs_configuration": {"bucket": "http://deck/storage"},
            }},
        }));
        cluster
    }

    /// Publishes another `plank` section.
    pub(crate) fn publish(&self, plank: Value) {
        let mut config = config(plank);
        config.prow.prowjob_namespace = self.on.namespace.clone();
        config.prow.pod_namespace = self.on.namespace.clone();
        self.config.set_config(config);
    }

    /// The current configuration, for a service that starts.
    pub(crate) fn configuration(&self) -> (ConfigAgent, watch::Receiver<Arc<Config>>) {
        ConfigAgent::with_fixed_config(Config {
            prow: self.config.current_config().prow.clone(),
            ..Config::default()
        })
    }

    pub(crate) async fn with_plank() -> Self {
        let mut cluster = Self::new().await;
        cluster.start_plank();
        cluster
    }

    pub(crate) fn start_plank(&mut self) {
        let clusters = ClusterClients::single_cluster(self.client.clone());
        self.start_plank_on(clusters);
    }

    /// Starts plank with a client of its own for everything.
    pub(crate) fn start_plank_through(&mut self, client: Client) {
        self.start_plank_on(ClusterClients::single_cluster(client));
    }

    pub(crate) fn start_plank_on(&mut self, clusters: ClusterClients) {
        let (agent, receiver) = self.configuration();
        self.config = agent;
        let ctx = plank::PlankContext {
            clusters,
            fence: LeaderFence::new_open(),
            config: receiver,
            metrics: plank::PlankMetrics::new(&mut Registry::default()),
            ready: ServiceReadiness::default(),
            tot: None,
            storage_key: Some(self.storage_key()),
            label_selector: String::new(),
            controllers: plank::EnabledControllers {
                plank: true,
                scheduler: true,
            },
            dry_run: false,
        };
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(plank::run_plank(ctx, shutdown.clone()));
        self.plank = Some((shutdown, running));
    }

    /// The file with [`KEY`].
    pub(crate) fn storage_key(&self) -> StorageKeyFile {
        StorageKeyFile::new(self.dir.path().join("storage-key"))
    }

    /// Ends plank at whatever it is doing.
    pub(crate) async fn kill_plank(&mut self) {
        let (_, running) = self.plank.take().expect("plank runs");
        running.abort();
        let _ = running.await;
    }

    pub(crate) fn jobs(&self) -> Api<ProwJob> {
        Api::default_namespaced(self.client.clone())
    }

    pub(crate) fn pods(&self) -> Api<Pod> {
        Api::default_namespaced(self.client.clone())
    }

    /// Creates a triggered `ProwJob`; `spec` adds to a plain periodic.
    pub(crate) async fn trigger(&self, name: &str, spec: Value) -> ProwJob {
        self.create(prowjob(name, spec)).await
    }

    /// Creates a `ProwJob` as it is, in the test's namespace.
    pub(crate) async fn create(&self, mut job: ProwJob) -> ProwJob {
        job.metadata.namespace = Some(self.on.namespace.clone());
        let jobs = self.jobs();
        jobs.create(&PostParams::default(), &job).await.unwrap()
    }

    /// Waits until `is` is true of the job.
    pub(crate) async fn job(
        &self,
        name: &str,
        what: &str,
        is: impl Fn(&ProwJob) -> bool,
    ) -> ProwJob {
        let mut last = None;
        for _ in 0..PATIENCE.as_millis() / 5 {
            let job = self.jobs().get(name).await.unwrap();
            if is(&job) {
                return job;
            }
            last = job.status;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{name} never got {what}: {last:?}");
    }

    pub(crate) async fn state(&self, name: &str, state: ProwJobState) -> ProwJob {
        self.job(name, state.as_str(), |job| job.state() == state)
            .await
    }

    pub(crate) async fn complete(&self, name: &str) -> ProwJob {
        self.job(name, "complete", ProwJob::is_complete).await
    }

    /// Waits for the job's pod.
    pub(crate) async fn pod(&self, name: &str) -> Pod {
        for _ in 0..PATIENCE.as_millis() / 5 {
            if let Some(pod) = self.pods().get_opt(name).await.unwrap() {
                return pod;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{name} never got a pod");
    }

    pub(crate) async fn pod_gone(&self, pod: &Pod) {
        let name = pod.metadata.name.as_deref().unwrap();
        for _ in 0..PATIENCE.as_millis() / 5 {
            let now = self.pods().get_opt(name).await.unwrap();
            if now.and_then(|pod| pod.metadata.uid) != pod.metadata.uid {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("pod {name} is never deleted");
    }

    /// Plays the kubelet: writes a pod's status.
    pub(crate) async fn set_pod(&self, name: &str, status: Value) {
        let patch = Patch::Merge(json!({"status": status}));
        self.pods()
            .patch_status(name, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    pub(crate) async fn patch_job(&self, name: &str, patch: Value) {
        let patch = Patch::Merge(patch);
        self.jobs()
            .patch(name, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    /// Waits long enough for plank to do what it should not.
    pub(crate) async fn rest(&self) {
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// A triggered job that runs `true`.
pub(crate) fn prowjob(name: &str, spec: Value) -> ProwJob {
    let mut all = json!({
        "type": "periodic", "agent": "kubernetes", "job": "unit", "cluster": "default",
        "pod_spec": {"containers": [{"image": "img", "command": ["true"]}]},
    });
    for (key, value) in spec.as_object().unwrap() {
        all[key] = value.clone();
    }
    if let Value::Object(pod) = &mut all["pod_spec"] {
        pod.insert("schedulerName".into(), SCHEDULER.into());
        // Upstream's CRD requires a name, so whoever creates ProwJobs writes one.
        let containers = pod.get_mut("containers").and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            let container = container.as_object_mut().unwrap();
            container.entry("name").or_insert_with(|| "".into());
        }
    }
    let spec = serde_json::from_value(all).unwrap();
    let (none, state) = (Default::default(), ProwJobState::Triggered);
    new_prowjob(
        name.into(),
        "default",
        spec,
        &none,
        &none,
        state,
        Timestamp::now(),
    )
}

pub(crate) fn presubmit(pull: u64, sha: &str) -> Value {
    json!({
        "type": "presubmit", "context": "unit", "report": true,
        "refs": {"org": "o", "repo": "r", "base_ref": "main", "base_sha": "base",
            "pulls": [{"number": pull, "author": "a", "sha": sha}]},
    })
}

/// The status of a pod whose one container ended.
pub(crate) fn ended(phase: &str, exit_code: i32) -> Value {
    json!({
        "phase": phase,
        "containerStatuses": [{
            "name": "test", "image": "img", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"terminated": {"exitCode": exit_code, "finishedAt": "2026-08-01T00:00:00Z"}},
        }],
    })
}

pub(crate) fn description(job: &ProwJob) -> &str {
    &job.status.as_ref().unwrap().description
}

pub(crate) fn build_id(job: &ProwJob) -> &str {
    &job.status.as_ref().unwrap().build_id
}

pub(crate) fn label<'a>(pod: &'a Pod, key: &str) -> &'a str {
    &pod.metadata.labels.as_ref().unwrap()[key]
}

/// A candidate of this identity, faster than by default: 10 s, 7 s and 2 s.
pub(crate) fn candidate(identity: &str) -> LeaderCandidate {
    let timing = LeaderElectionOptions {
        lease_duration: GoDuration::from_secs(10),
        renew_deadline: GoDuration::from_secs(7),
        ..LeaderElectionOptions::default()
    };
    LeaderCandidate {
        identity: identity.to_owned(),
        timing,
    }
}
