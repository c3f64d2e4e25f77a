//! The API on a port: used by `kubectl` (1.20 and later), and refused to everybody without the
//! token.

mod asking;
mod explain;

use std::time::Duration;

use local::apiserver::LogSource;
use serde_json::{Value, json};

use super::{Cluster, MERGE, job_crd, pod};
use crate::served::Served;

struct Scene {
    cluster: Cluster,
    served: Served,
}

impl Scene {
    async fn start() -> Self {
        let cluster = Cluster::start().await;
        let served = Served::start(&cluster.api, cluster.folder.path()).await;
        Self { cluster, served }
    }
}

impl std::ops::Deref for Scene {
    type Target = Served;

    fn deref(&self) -> &Served {
        &self.served
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_creates_reads_changes_and_deletes() {
    let served = Scene::start().await;
    served.kubectl(&["create", "namespace", "prow"]).await;
    served
        .kubectl(&[
            "-n",
            "prow",
            "create",
            "secret",
            "generic",
            "hmac-token",
            "--from-literal=hmac=abc",
        ])
        .await;
    let secret = served
        .kubectl(&[
            "-n",
            "prow",
            "get",
            "secret",
            "hmac-token",
            "-o",
            "jsonpath={.data.hmac}",
        ])
        .await;
    assert_eq!(secret, "YWJj");
    served
        .kubectl_with(&["create", "-f", "-"], Some(&pod("a")))
        .await;
    let table = served.kubectl(&["get", "pods"]).await;
    let cells: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(cells[0], ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]);
    assert_eq!(cells[1][..4], ["a", "0/1", "Pending", "0"]);
    let wide = served
        .kubectl(&["get", "po", "-o", "wide", "--all-namespaces"])
        .await;
    assert!(
        wide.starts_with("NAMESPACE") && wide.contains("NODE"),
        "{wide}"
    );
    let yaml = served.kubectl(&["get", "pod/a", "-o", "yaml"]).await;
    assert!(yaml.contains("image: golang:1.18"), "{yaml}");

    let described = served.kubectl(&["describe", "pod", "a"]).await;
    assert!(
        described.contains("golang:1.18") && described.contains("Events:"),
        "{described}"
    );
    served.kubectl(&["describe", "namespace", "prow"]).await;
    served.kubectl(&["get", "all"]).await;
    assert_eq!(
        served.kubectl(&["auth", "can-i", "create", "pods"]).await,
        "yes\n"
    );

    served.kubectl(&["delete", "pod", "a"]).await;
    let gone = served.refused(&["get", "pod", "a"], None).await;
    assert!(gone.contains("pods \"a\" not found"), "{gone}");
    served.kubectl(&["delete", "namespace", "prow"]).await;
    served.refused(&["get", "namespace", "prow"], None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_labels_and_patches() {
    let served = Scene::start().await;
    served
        .cluster
        .create("/api/v1/namespaces/default/pods", pod("a"))
        .await;
    served.kubectl(&["label", "pod", "a", "app=hook"]).await;
    assert_eq!(
        served
            .kubectl(&["get", "pods", "-l", "app in (hook)", "-o", "name"])
            .await,
        "pod/a\n"
    );
    for (kind, patch, expected) in [
        (
            "merge",
            json!({"metadata": {"annotations": {"by": "merge"}}}),
            "merge",
        ),
        (
            "strategic",
            json!({"metadata": {"annotations": {"by": "strategic"}}}),
            "strategic",
        ),
        (
            "json",
            json!([{"op": "replace", "path": "/metadata/annotations/by", "value": "json"}]),
            "json",
        ),
    ] {
        served
            .kubectl(&[
                "patch",
                "pod",
                "a",
                "--type",
                kind,
                "-p",
                &patch.to_string(),
            ])
            .await;
        let by = served
            .kubectl(&[
                "get",
                "pod",
                "a",
                "-o",
                "jsonpath={.metadata.annotations.by}",
            ])
            .await;
        assert_eq!(by, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_applies_twice_and_once_more_with_a_change() {
    let served = Scene::start().await;
    let deployment = |image: &str| {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "hook", "namespace": "default"},
            "spec": {
                "selector": {"matchLabels": {"app": "hook"}},
                "template": {
                    "metadata": {"labels": {"app": "hook"}},
                    "spec": {"containers": [{"name": "hook", "image": image, "ports": [{"containerPort": 8888}]}]},
                },
            },
        })
    };
    let apply = async |object: &Value, more: &[&str]| {
        let arguments = [&["apply", "-f", "-"], more].concat();
        served.kubectl_with(&arguments, Some(object)).await
    };
    assert_eq!(
        apply(&deployment("a"), &[]).await,
        "deployment.apps/hook created\n"
    );
    assert_eq!(
        apply(&deployment("a"), &[]).await,
        "deployment.apps/hook unchanged\n"
    );
    assert_eq!(
        apply(&deployment("b"), &[]).await,
        "deployment.apps/hook configured\n"
    );
    let path = "jsonpath={.spec.template.spec.containers[0].image}";
    assert_eq!(
        served
            .kubectl(&["get", "deployment", "hook", "-o", path])
            .await,
        "b"
    );

    let map = |value: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m", "namespace": "default"}, "data": {"k": value}});
    apply(&map("1"), &["--server-side"]).await;
    let conflict = served
        .refused(
            &["apply", "-f", "-", "--server-side", "--field-manager=other"],
            Some(&map("2")),
        )
        .await;
    assert!(conflict.contains("conflict with \"kubectl\""), "{conflict}");
    apply(
        &map("2"),
        &[
            "--server-side",
            "--field-manager=other",
            "--force-conflicts",
        ],
    )
    .await;
    assert_eq!(
        served
            .kubectl(&["get", "cm", "m", "-o", "jsonpath={.data.k}"])
            .await,
        "2"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_sees_custom_kinds_with_their_columns() {
    let served = Scene::start().await;
    let crd = served
        .kubectl_with(&["apply", "-f", "-"], Some(&job_crd()))
        .await;
    assert!(crd.ends_with("created\n"), "{crd}");
    served
        .kubectl(&[
            "wait",
            "--for=condition=Established",
            "crd/jobs.example.com",
        ])
        .await;
    let job = |count: Value| {
        json!({
            "apiVersion": "example.com/v1", "kind": "ExampleJob", "metadata": {"name": "a"},
            "spec": {"job": "x", "count": count},
        })
    };
    served
        .kubectl_with(&["apply", "-f", "-"], Some(&job(json!(3))))
        .await;
    let again = served
        .kubectl_with(&["apply", "-f", "-"], Some(&job(json!(4))))
        .await;
    assert!(again.ends_with("configured\n"), "{again}");
    served
        .kubectl(&[
            "patch",
            "ej",
            "a",
            "--type=merge",
            "-p",
            r#"{"status":{"state":"success"}}"#,
        ])
        .await;
    let table = served.kubectl(&["get", "ej"]).await;
    let cells: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(cells[0], ["NAME", "STATE", "COUNT", "AGE"]);
    assert_eq!(cells[1][..3], ["a", "success", "4"]);
    let refused = served
        .refused(&["apply", "-f", "-"], Some(&job(json!("many"))))
        .await;
    assert!(refused.contains("spec.count"), "{refused}");
    served.kubectl(&["delete", "crd", "jobs.example.com"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_waits_watches_and_follows_logs() {
    let served = Scene::start().await;
    let uri = "/api/v1/namespaces/default/pods";
    let created = served.cluster.create(uri, pod("a")).await;
    let uid = created["metadata"]["uid"].as_str().unwrap();
    let log = LogSource::new(served.cluster.folder.path(), "default", uid, "test");
    std::fs::create_dir_all(log.path().parent().unwrap()).unwrap();
    std::fs::write(log.path(), "one\ntwo\n").unwrap();
    assert_eq!(served.kubectl(&["logs", "a", "--tail=1"]).await, "two\n");

    let finish = async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        std::fs::write(log.path(), "one\ntwo\nthree\n").unwrap();
        let status = json!({"status": {
            "phase": "Succeeded", "conditions": [{"type": "Ready", "status": "True"}],
        }});
        served
            .cluster
            .send("PATCH", &format!("{uri}/a/status"), MERGE, status)
            .await;
    };
    let (followed, waited, watched, ()) = tokio::join!(
        served.kubectl(&["logs", "-f", "a"]),
        served.kubectl(&["wait", "--for=condition=Ready", "pod/a", "--timeout=15s"]),
        served.run(
            &["get", "pods", "-w", "--no-headers", "--request-timeout=4s"],
            None
        ),
        finish,
    );
    assert_eq!(followed, "one\ntwo\nthree\n");
    assert_eq!(waited, "pod/a condition met\n");
    let watched = String::from_utf8(watched.stdout).unwrap();
    let states: Vec<&str> = watched
        .lines()
        .filter_map(|line| line.split_whitespace().nth(2))
        .collect();
    assert_eq!(states, ["Pending", "Succeeded"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_refused() {
    use std::os::unix::fs::PermissionsExt;
    let served = Scene::start().await;
    let mode = std::fs::metadata(&served.kubeconfig)
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let anonymous = served
        .refused(&["get", "pods", "--token=wrong"], None)
        .await;
    assert!(
        anonymous.contains("Unauthorized") || anonymous.contains("must be logged in"),
        "{anonymous}"
    );

    common::service::install_crypto();
    let ca = reqwest::Certificate::from_pem(served.endpoint.ca_pem.as_bytes()).unwrap();
    let client = reqwest::Client::builder()
        .tls_certs_only([ca])
        .build()
        .unwrap();
    let url = format!("{}/api/v1/pods", served.endpoint.url);
    let token = format!("Bearer {}", served.endpoint.token);
    for (headers, code) in [
        (vec![("authorization", token.as_str())], 200),
        (vec![], 401),
        (vec![("authorization", "Bearer wrong")], 401),
        (
            vec![("authorization", token.as_str()), ("host", "evil.example")],
            403,
        ),
        (
            vec![
                ("authorization", token.as_str()),
                ("origin", "http://127.0.0.1:8080"),
            ],
            403,
        ),
    ] {
        let mut request = client.get(&url);
        for (name, value) in &headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), code, "{headers:?}");
        if code != 200 {
            assert_eq!(response.json::<Value>().await.unwrap()["kind"], "Status");
        }
    }
}
