//! What a person asks of a small cluster, and the messages about what is not supported.

use std::time::Duration;

use serde_json::json;

use super::super::{CRDS, JOBS, PODS, job_crd, pod};
use super::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_patches_custom_kinds_as_the_refusal_says() {
    let scene = Scene::start().await;
    scene.cluster.create(CRDS, job_crd()).await;
    let job = json!({
        "apiVersion": "example.com/v1", "kind": "ExampleJob", "metadata": {"name": "a"}, "spec": {"job": "x"},
    });
    scene.cluster.create(JOBS, job).await;
    let patch = json!({"metadata": {"labels": {"by": "a-patch"}}}).to_string();
    let refused = scene
        .refused(&["patch", "ej", "a", "-p", &patch], None)
        .await;
    let (_, accepted) = refused
        .split_once("accepted media types include: ")
        .unwrap();
    let accepted: Vec<&str> = accepted.trim().split(", ").collect();
    assert_eq!(
        accepted,
        [
            "application/json-patch+json",
            "application/merge-patch+json",
            "application/apply-patch+yaml"
        ]
    );
    scene
        .kubectl(&["patch", "ej", "a", "--type=merge", "-p", &patch])
        .await;
    let replace = json!([{"op": "replace", "path": "/metadata/labels/by", "value": "json"}]);
    let replace = replace.to_string();
    scene
        .kubectl(&["patch", "ej", "a", "--type=json", "-p", &replace])
        .await;
    let labels = scene
        .kubectl(&["get", "ej", "a", "-o", "jsonpath={.metadata.labels.by}"])
        .await;
    assert_eq!(labels, "json");
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_waits_for_a_field_and_for_the_end() {
    let scene = Scene::start().await;
    scene.cluster.create(PODS, pod("a")).await;
    let soon = async |method, path, media, body| {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let uri = format!("{PODS}/a{path}");
        let done = scene.cluster.send(method, &uri, media, body).await;
        assert_eq!(done.0, 200, "{}", done.1);
    };
    let (waited, ()) = tokio::join!(
        scene.kubectl(&[
            "wait",
            "--for=jsonpath={.status.phase}=Running",
            "pod/a",
            "--timeout=15s"
        ]),
        soon(
            "PATCH",
            "/status",
            super::MERGE,
            json!({"status": {"phase": "Running"}})
        ),
    );
    assert_eq!(waited, "pod/a condition met\n");
    let at_once = json!({"gracePeriodSeconds": 0});
    tokio::join!(
        scene.kubectl(&["wait", "--for=delete", "pod/a", "--timeout=15s"]),
        soon("DELETE", "", "application/json", at_once),
    );
    scene.refused(&["get", "pod", "a"], None).await;
}

/// kubectl sends neither in JSON, so the answer must come before the body is read.
#[tokio::test(flavor = "multi_thread")]
async fn kubectl_is_told_what_is_not_run_and_what_to_do() {
    let scene = Scene::start().await;
    let created = scene
        .refused(&["create", "job", "a", "--image=i", "--", "true"], None)
        .await;
    let job = json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a"},
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}},
    });
    let applied = scene.refused(&["apply", "-f", "-"], Some(&job)).await;
    let by_server = scene
        .refused(&["apply", "--server-side", "-f", "-"], Some(&job))
        .await;
    for told in [created, applied, by_server] {
        assert!(told.contains("not Jobs of batch/v1"), "{told}");
        assert!(told.contains("kubectl run NAME --image=IMAGE"), "{told}");
    }
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {
            "metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]},
        }},
    });
    let stored = scene.run(&["create", "-f", "-"], Some(&deployment)).await;
    let warning = String::from_utf8(stored.stderr).unwrap();
    assert!(
        warning.contains("Warning: the embedded API stores a Deployment and runs nothing for it"),
        "{warning}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_shows_nodes_and_events_in_their_columns() {
    let scene = Scene::start().await;
    let node = json!({
        "metadata": {"name": "n"}, "spec": {},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    });
    scene.cluster.create("/api/v1/nodes", node.clone()).await;
    scene
        .cluster
        .send("PATCH", "/api/v1/nodes/n/status", super::MERGE, node)
        .await;
    let event = json!({
        "metadata": {"name": "e"}, "involvedObject": {"apiVersion": "v1", "kind": "Pod", "name": "a", "namespace": "default"},
        "type": "Warning", "reason": "BackOff", "message": "again and again", "count": 3,
        "source": {"component": "kubelet", "host": "n"},
        "firstTimestamp": "2026-08-01T00:00:00Z", "lastTimestamp": jiff::Timestamp::now(),
    });
    scene
        .cluster
        .create("/api/v1/namespaces/default/events", event)
        .await;
    let cells = |table: &str| -> Vec<Vec<String>> {
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect();
        table.lines().map(words).collect()
    };
    let nodes = cells(&scene.kubectl(&["get", "nodes"]).await);
    assert_eq!(nodes[0], ["NAME", "STATUS", "ROLES", "AGE", "VERSION"]);
    assert_eq!(nodes[1][..3], ["n", "Ready", "<none>"]);
    let wide = scene.kubectl(&["get", "nodes", "-o", "wide"]).await;
    assert!(wide.contains("CONTAINER-RUNTIME"), "{wide}");
    let events = cells(&scene.kubectl(&["get", "events"]).await);
    assert_eq!(
        events[0],
        ["LAST", "SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]
    );
    assert_eq!(events[1][1..4], ["Warning", "BackOff", "pod/a"]);
    let told = scene
        .kubectl(&["events", "--for=pod/a", "--types=Warning"])
        .await;
    assert!(
        told.contains("(x3 over") && told.contains("again and again"),
        "{told}"
    );
}
