//! The embedded API with a pod runner on it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::AsyncBufReadExt as _;
use futures::TryStreamExt as _;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, Pod};
use kube::api::{DeleteParams, LogParams, PostParams};
use kube::runtime::wait::await_condition;
use kube::{Api, Client};
use local::apiserver::{self, ApiServer};
use local::kubelet::{self, Isolation, UtilityImage};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Long enough that only a broken runner reaches it.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Machine {
    pub(super) client: Client,
    pub(super) dir: TempDir,
    isolation: Isolation,
    kubelet: JoinHandle<anyhow::Result<()>>,
    shutdown: CancellationToken,
    pub(super) api: ApiServer,
}

impl Machine {
    pub(super) async fn start(isolation: Isolation) -> Self {
        // Not below /tmp, which containers do not see anyway.
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let api = ApiServer::start(apiserver::ApiServerOptions {
            db: None,
            logs: dir.path().join("logs"),
        })
        .await
        .unwrap();
        let client = api.in_process_client("default");
        let shutdown = CancellationToken::new();
        let kubelet = run(client.clone(), dir.path(), isolation, shutdown.clone());
        Self {
            client,
            dir,
            isolation,
            kubelet,
            shutdown,
            api,
        }
    }

    pub(super) fn pods(&self) -> Api<Pod> {
        Api::default_namespaced(self.client.clone())
    }

    /// Creates a pod of one container that runs `script` in a shell.
    pub(super) async fn script(&self, name: &str, script: &str) -> Pod {
        self.pod(name, json!({"containers": [shell("test", script)]}))
            .await
    }

    /// Creates a pod that is not restarted.
    pub(super) async fn pod(&self, name: &str, mut spec: Value) -> Pod {
        spec.as_object_mut()
            .unwrap()
            .entry("restartPolicy")
            .or_insert("Never".into());
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"of": name}}, "spec": spec});
        self.pods()
            .create(
                &PostParams::default(),
                &serde_json::from_value(pod).unwrap(),
            )
            .await
            .unwrap()
    }

    /// The pod, once `condition` holds.
    pub(super) async fn wait(&self, name: &str, condition: impl Fn(&Pod) -> bool) -> Pod {
        let held = await_condition(self.pods(), name, |pod: Option<&Pod>| {
            pod.is_some_and(&condition)
        });
        match tokio::time::timeout(PATIENCE, held).await {
            Ok(pod) => pod.unwrap().unwrap(),
            Err(_) => panic!(
                "{name} stays as it is: {:?}",
                self.pods().get(name).await.map(|pod| pod.status)
            ),
        }
    }

    /// The pod, once it is over.
    pub(super) async fn over(&self, name: &str) -> Pod {
        self.wait(name, |pod| matches!(phase(pod), "Succeeded" | "Failed"))
            .await
    }

    /// Waits until the pod's object is gone.
    pub(super) async fn gone(&self, pod: &Pod) {
        let condition = kube::runtime::conditions::is_deleted(pod.metadata.uid.as_deref().unwrap());
        let gone = await_condition(
            self.pods(),
            pod.metadata.name.as_deref().unwrap(),
            condition,
        );
        tokio::time::timeout(PATIENCE, gone)
            .await
            .expect("the pod stays")
            .unwrap();
    }

    /// What the first container of the pod has printed, complete once it is over.
    pub(super) async fn log(&self, name: &str) -> String {
        self.pods().logs(name, &LogParams::default()).await.unwrap()
    }

    /// Follows the log from when the pod runs until it has `line`.
    pub(super) async fn follow(&self, name: &str, line: &str) {
        self.wait(name, |pod| !matches!(phase(pod), "" | "Pending"))
            .await;
        let params = LogParams {
            follow: true,
            ..LogParams::default()
        };
        let read = async {
            let mut lines = self.pods().log_stream(name, &params).await.unwrap().lines();
            while let Some(next) = lines.try_next().await.unwrap() {
                if next == line {
                    return;
                }
            }
            panic!("{name} never printed {line:?}");
        };
        tokio::time::timeout(PATIENCE, read)
            .await
            .expect("the log stands still");
    }

    pub(super) async fn delete(&self, name: &str, grace: u32) {
        self.pods()
            .delete(name, &DeleteParams::default().grace_period(grace))
            .await
            .unwrap();
    }

    /// Ends the runner as a crash would: its processes stay, and no status is written.
    pub(super) async fn crash(&mut self) {
        self.kubelet.abort();
        assert!((&mut self.kubelet).await.unwrap_err().is_cancelled());
    }

    pub(super) fn start_again(&mut self) {
        self.kubelet = run(
            self.client.clone(),
            self.dir.path(),
            self.isolation,
            self.shutdown.clone(),
        );
    }

    /// Ends the runner as Ctrl-C does.
    pub(super) async fn stop(&mut self) {
        self.shutdown.cancel();
        tokio::time::timeout(PATIENCE, &mut self.kubelet)
            .await
            .expect("the runner does not end")
            .unwrap()
            .unwrap();
    }
}

fn run(
    client: Client,
    dir: &Path,
    isolation: Isolation,
    shutdown: CancellationToken,
) -> JoinHandle<anyhow::Result<()>> {
    let utility = UtilityImage {
        binary: PathBuf::from("/bin/sh"),
        argv0: "clonerefs".to_owned(),
    };
    tokio::spawn(kubelet::run_kubelet(
        kubelet::KubeletOptions {
            client,
            exe: env!("CARGO_BIN_EXE_container").into(),
            images: BTreeMap::from([("registry/clonerefs:1".to_owned(), utility)]),
            state: dir.join("state"),
            logs: dir.join("logs"),
            isolation,
        },
        shutdown,
    ))
}

/// A container that runs `script` in a shell.
pub(super) fn shell(name: &str, script: &str) -> Value {
    json!({"name": name, "image": "debian", "command": ["sh", "-c"], "args": [script]})
}

pub(super) fn phase(pod: &Pod) -> &str {
    pod.status
        .as_ref()
        .and_then(|status| status.phase.as_deref())
        .unwrap_or_default()
}

/// How the pod's only main container ended.
pub(super) fn ended(pod: &Pod) -> ContainerStateTerminated {
    let statuses = pod
        .status
        .as_ref()
        .unwrap()
        .container_statuses
        .as_ref()
        .unwrap();
    statuses[0]
        .state
        .as_ref()
        .unwrap()
        .terminated
        .clone()
        .expect("the container has not ended")
}

/// Reason and message of a waiting container.
pub(super) fn waiting(pod: &Pod) -> Option<(String, String)> {
    let waiting = pod.status.as_ref()?.container_statuses.as_ref()?[0]
        .state
        .as_ref()?
        .waiting
        .as_ref()?;
    Some((waiting.reason.clone()?, waiting.message.clone()?))
}

/// The number of processes of this machine that have `word` as an argument.
pub(super) fn processes(word: &str) -> usize {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines
        .filter(|line| {
            line.split(|byte| *byte == 0)
                .any(|argument| argument == word.as_bytes())
        })
        .count()
}

/// A sleep time that no other process of this machine uses, so that the test's processes can be
/// found.
pub(super) fn marker() -> String {
    format!(
        "9{}.{}",
        std::process::id(),
        uuid::Uuid::new_v4().as_fields().0
    )
}
