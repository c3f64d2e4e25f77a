//! What Prow needs of Kubernetes, tested on both: the embedded API, and with `make test-cluster` a
//! real one.
//!
//! The tests in `apiserver` are about the embedded API alone, and cover more of it.

mod asking;
mod changing;
mod going;
mod pods;
mod reading;

use common::prowjob::ProwJob;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::{Api, api::PostParams, core::Status};
use local::testing::{self, SCHEDULER};
use serde_json::{Value, json};

struct Cluster(testing::TestCluster);

impl Cluster {
    async fn start() -> Self {
        let logs = std::env::temp_dir();
        Self(testing::TestCluster::start_cluster(&logs).await.unwrap())
    }

    fn jobs(&self) -> Api<ProwJob> {
        Api::default_namespaced(self.0.client.clone())
    }

    fn pods(&self) -> Api<Pod> {
        Api::default_namespaced(self.0.client.clone())
    }

    fn maps(&self) -> Api<ConfigMap> {
        Api::default_namespaced(self.0.client.clone())
    }

    async fn pod(&self, name: &str) -> Pod {
        create(&self.pods(), pod(name)).await.unwrap()
    }

    async fn map(&self, metadata: Value) -> ConfigMap {
        create(&self.maps(), json!({"metadata": metadata}))
            .await
            .unwrap()
    }
}

fn pod(name: &str) -> Value {
    json!({
        "metadata": {"name": name},
        "spec": {"schedulerName": SCHEDULER, "containers": [{"name": "test", "image": "img"}]},
    })
}

fn job(name: &str, status: Value) -> Value {
    json!({
        "metadata": {"name": name},
        "spec": {"type": "periodic", "job": "unit"},
        "status": status,
    })
}

async fn create<K>(api: &Api<K>, object: Value) -> Result<K, Box<Status>>
where
    K: kube::Resource<DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + serde::Serialize
        + serde::de::DeserializeOwned,
{
    let object = serde_json::from_value(object).unwrap();
    refused(api.create(&PostParams::default(), &object).await)
}

/// Returns the server's refusal as an error. Any other failure ends the test.
fn refused<T>(answer: kube::Result<T>) -> Result<T, Box<Status>> {
    match answer {
        Ok(answer) => Ok(answer),
        Err(kube::Error::Api(status)) => Err(status),
        Err(error) => panic!("{error}"),
    }
}

fn code<T>(answer: kube::Result<T>) -> (u16, String) {
    match refused(answer) {
        Ok(_) => (200, String::new()),
        Err(status) => (status.code, status.reason),
    }
}
