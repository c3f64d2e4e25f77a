//! What a person asks of a cluster with `kubectl`: descriptions of kinds, logs, events.

use std::time::Duration;

use k8s_openapi::api::core::v1::Event;
use kube::{Api, ResourceExt, api::ListParams};
use serde_json::{Value, json};

use super::{Cluster, create, refused};

#[tokio::test]
async fn a_kind_is_described_with_its_fields() {
    let cluster = Cluster::start().await;
    let get = async |path: &str| {
        let request = http::Request::get(path).body(Vec::new()).unwrap();
        cluster.0.client.request::<Value>(request).await.ok()
    };
    let described = async |path: &str, group: &str, kind: &str| {
        let documents = get("/openapi/v3").await.unwrap();
        let url = documents["paths"][path]["serverRelativeURL"].as_str()?;
        let document = get(url).await?;
        let kind = json!({"group": group, "version": "v1", "kind": kind});
        let is_it = |schema: &&Value| {
            let kinds = schema["x-kubernetes-group-version-kind"].as_array();
            kinds.is_some_and(|kinds| kinds.contains(&kind))
        };
        let schemas = document["components"]["schemas"].as_object().unwrap();
        schemas.values().find(is_it).cloned()
    };
    let pod = described("api/v1", "", "Pod").await.unwrap();
    let spec = pod["properties"]["spec"].to_string();
    assert!(
        spec.contains("#/components/schemas/io.k8s.api.core.v1.PodSpec"),
        "{spec}"
    );
    // A real API serves the description some time after the kind exists.
    let mut job = None;
    for _ in 0..300 {
        job = described("apis/prow.k8s.io/v1", "prow.k8s.io", "ProwJob").await;
        if job.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let job = job.expect("ProwJobs are described");
    assert_eq!(
        job["properties"]["spec"]["properties"]["job"]["type"],
        "string"
    );
    assert_eq!(job["properties"]["kind"]["type"], "string");
    assert!(
        job["properties"]["metadata"]
            .to_string()
            .contains("ObjectMeta")
    );
}

#[tokio::test]
async fn what_of_a_log_cannot_be_asked_for() {
    let cluster = Cluster::start().await;
    cluster.pod("a").await;
    for (query, message) in [
        (
            "sinceSeconds=0",
            "sinceSeconds: Invalid value: 0: must be greater than 0",
        ),
        (
            "limitBytes=0",
            "limitBytes: Invalid value: 0: must be greater than 0",
        ),
        (
            "tailLines=-1",
            "tailLines: Invalid value: -1: must be greater than or equal to 0",
        ),
        (
            "sinceSeconds=5&sinceTime=2026-08-01T00:00:00Z",
            "[]: Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified",
        ),
    ] {
        let uri = format!(
            "/api/v1/namespaces/{}/pods/a/log?{query}",
            cluster.0.namespace
        );
        let request = http::Request::get(uri).body(Vec::new()).unwrap();
        let refusal = refused(cluster.0.client.request_text(request).await).unwrap_err();
        assert_eq!(
            (refusal.code, &*refusal.reason),
            (422, "Invalid"),
            "{query}"
        );
        let expected = format!("PodLogOptions \"a\" is invalid: {message}");
        assert_eq!(refusal.message, expected);
    }
}

#[tokio::test]
async fn events_are_found_by_what_they_are_about() {
    let cluster = Cluster::start().await;
    let events: Api<Event> = Api::default_namespaced(cluster.0.client.clone());
    for (name, about, kind) in [
        ("a.1", "a", "Normal"),
        ("a.2", "a", "Warning"),
        ("b.1", "b", "Warning"),
    ] {
        let namespace = &cluster.0.namespace;
        let about = json!({"kind": "Pod", "name": about, "namespace": namespace, "uid": about});
        let event = json!({
            "metadata": {"name": name}, "involvedObject": about, "type": kind,
            "reason": "Started", "message": "Started container test",
            "firstTimestamp": "2026-08-01T00:00:00Z", "lastTimestamp": "2026-08-01T00:00:00Z", "count": 1,
        });
        create(&events, event).await.unwrap();
    }
    for (selector, expected) in [
        (
            "involvedObject.uid=a,involvedObject.kind=Pod",
            &["a.1", "a.2"][..],
        ),
        ("involvedObject.name=a,type=Warning", &["a.2"]),
        ("type!=Normal", &["a.2", "b.1"]),
    ] {
        let found = events
            .list(&ListParams::default().fields(selector))
            .await
            .unwrap();
        let names: Vec<_> = found.iter().map(ResourceExt::name_any).collect();
        assert_eq!(names, expected, "{selector}");
    }
}
