//! Contract tests of `local::apiserver`.

mod crud;
mod kube_rs;
mod kubectl;
mod lifetime;
mod restart;

use std::path::Path;

use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use local::apiserver::{ApiServer, ApiServerOptions};
use serde_json::{Value, json};

/// An API in memory. Its logs are in a folder that is deleted with it.
struct Cluster {
    api: ApiServer,
    client: Client,
    folder: tempfile::TempDir,
}

impl Cluster {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let api = open(None, folder.path()).await;
        let client = api.in_process_client("default");
        Self {
            api,
            client,
            folder,
        }
    }

    fn pods(&self) -> kube::Api<Pod> {
        kube::Api::default_namespaced(self.client.clone())
    }

    /// Sends a request that no typed client would send. Returns the response's status and body.
    async fn send(&self, method: &str, uri: &str, content_type: &str, body: Value) -> (u16, Value) {
        send(
            &self.api,
            method,
            uri,
            &[("content-type", content_type)],
            &body.to_string(),
        )
        .await
    }

    async fn get(&self, uri: &str) -> (u16, Value) {
        send(&self.api, "GET", uri, &[], "").await
    }

    async fn create(&self, uri: &str, body: Value) -> Value {
        let (code, answer) = self.send("POST", uri, "application/json", body).await;
        assert_eq!(code, 201, "{answer}");
        answer
    }
}

async fn open(db: Option<&Path>, logs: &Path) -> ApiServer {
    ApiServer::start(ApiServerOptions {
        db: db.map(Path::to_owned),
        logs: logs.to_owned(),
    })
    .await
    .unwrap()
}

async fn send(
    api: &ApiServer,
    method: &str,
    uri: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (u16, Value) {
    use tower::ServiceExt;
    let mut request = http::Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request
        .body(axum::body::Body::from(body.to_owned()))
        .unwrap();
    let response = api.build_router().oneshot(request).await.unwrap();
    let code = response.status().as_u16();
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX)
        .await
        .unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    (
        code,
        serde_json::from_str(&text).unwrap_or(Value::String(text)),
    )
}

fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"containers": [{"name": "test", "image": "golang:1.18"}]},
    })
}

/// A custom kind with every rule that the embedded API supports.
fn job_crd() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "jobs.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"plural": "jobs", "kind": "ExampleJob", "shortNames": ["ej"]},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "additionalPrinterColumns": [
                    {"name": "State", "type": "string", "jsonPath": ".status.state"},
                    {"name": "Count", "type": "integer", "jsonPath": ".spec.count"},
                    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
                ],
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "required": ["job"], "properties": {
                        "job": {"type": "string"},
                        "type": {"type": "string", "enum": ["presubmit", "periodic"]},
                        "count": {"type": "integer", "minimum": 0},
                        "pod_spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                    }},
                    "status": {"type": "object", "properties": {"state": {"type": "string"}}},
                }}},
            }],
        },
    })
}

const CRDS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const JOBS: &str = "/apis/example.com/v1/namespaces/default/jobs";
const PODS: &str = "/api/v1/namespaces/default/pods";
const MERGE: &str = "application/merge-patch+json";
