//! An undecorated job on the pod runner: real processes, nothing simulated.

use std::{collections::BTreeMap, path::PathBuf};

use common::prowjob::ProwJobState;
use local::{
    apiserver::LogSource,
    kubelet::{self, Isolation},
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::cluster::{Cluster, build_id, description};

/// The binary that the pod runner executes for each container, next to the test's own folder.
fn container_binary() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(|deps| deps.parent()).unwrap();
    let binary = folder.join("container");
    assert!(
        binary.exists(),
        "{} is missing: build the whole workspace, or `cargo build -p local`",
        binary.display()
    );
    binary
}

fn start_node(
    cluster: &Cluster,
    shutdown: &CancellationToken,
) -> tokio::task::JoinHandle<anyhow::Result<()>> {
    tokio::spawn(kubelet::run_kubelet(
        kubelet::KubeletOptions {
            client: cluster.on.node_client(),
            exe: container_binary(),
            images: BTreeMap::new(),
            state: cluster.dir.path().join("state"),
            logs: cluster.dir.path().join("logs"),
            isolation: Isolation::Auto,
        },
        shutdown.clone(),
    ))
}

#[tokio::test]
async fn a_volume_whose_secret_is_missing_ends_its_job_with_the_secrets_name() {
    let mut cluster = Cluster::new().await;
    cluster.publish(json!({"pod_missing_reference_timeout": "1s"}));
    cluster.start_plank();
    let shutdown = CancellationToken::new();
    let node = start_node(&cluster, &shutdown);
    // With an init container, as every decorated pod.
    let container = json!({"name": "test", "image": "img", "command": ["true"],
        "volumeMounts": [{"name": "s", "mountPath": "/s"}]});
    let init = json!({"name": "first", "image": "img", "command": ["true"]});
    let pod = json!({
        "containers": [container], "initContainers": [init],
        "volumes": [{"name": "s", "secret": {"secretName": "not-there"}}],
    });
    cluster.trigger("pj", json!({"pod_spec": pod})).await;
    let job = cluster.complete("pj").await;
    assert_eq!(job.state(), ProwJobState::Error);
    let text = description(&job);
    assert!(text.starts_with("Pod could not start: "), "{text}");
    assert!(text.contains("not-there"), "{text}");
    shutdown.cancel();
    node.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_undecorated_job_runs_as_a_process() {
    let cluster = Cluster::with_plank().await;
    let shutdown = CancellationToken::new();
    let node = start_node(&cluster, &shutdown);
    let script = |text: &str| {
        json!({"pod_spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [{"image": "img", "command": ["sh", "-c", text]}],
        }})
    };
    cluster
        .trigger(
            "good",
            script("echo $JOB_NAME $BUILD_ID $CI; test \"$PROW_JOB_ID\" = good"),
        )
        .await;
    cluster.trigger("bad", script("exit 3")).await;

    let good = cluster.complete("good").await;
    assert_eq!(
        (good.state(), description(&good)),
        (ProwJobState::Success, "Job succeeded.")
    );
    // A real API asks the pod's node for the log, and this node is no server.
    let uid = cluster.pod("good").await.metadata.uid.unwrap();
    let logs = cluster.dir.path().join("logs");
    let log = LogSource::new(&logs, &cluster.on.namespace, &uid, "test");
    let log = std::fs::read_to_string(log.path()).unwrap();
    assert_eq!(log, format!("unit {} true\n", build_id(&good)));
    assert_eq!(cluster.complete("bad").await.state(), ProwJobState::Failure);

    cluster.trigger("long", script("exec sleep 1000")).await;
    let pod = cluster.pod("long").await;
    cluster
        .patch_job("long", json!({"status": {"state": "aborted"}}))
        .await;
    cluster.complete("long").await;
    cluster.pod_gone(&pod).await;
    shutdown.cancel();
    node.await.unwrap().unwrap();
}
