//! The API of a scene, reached directly: what the hand and the record see, whatever the weather.

use std::time::Duration;

use common::prowjob::{self, ProwJob};
use k8s_openapi::api::core::v1::{Namespace, Pod, ServiceAccount};
use kube::{
    Api, Client, Resource,
    api::{DeleteParams, ListParams, PostParams},
    config::{Config, KubeConfigOptions, Kubeconfig},
};
use local::apiserver::{self, ApiServer};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// A cluster that is there already, in place of the embedded API.
const GIVEN: &str = "PROW_TEST_KUBECONFIG";

pub(crate) struct Cluster {
    pub(crate) client: Client,
    /// For the `ProwJob`s and the pods of this scene alone.
    pub(crate) namespace: String,
    _embedded: Option<ApiServer>,
}

impl Cluster {
    pub(crate) async fn start(logs: &std::path::Path) -> Self {
        let (client, embedded) = match std::env::var_os(GIVEN) {
            Some(path) => {
                let kubeconfig = Kubeconfig::read_from(path).unwrap();
                let options = KubeConfigOptions::default();
                let mut config = Config::from_custom_kubeconfig(kubeconfig, &options)
                    .await
                    .unwrap();
                // The proxy passes on what the API says.
                config.default_retry = false;
                (Client::try_from(config).unwrap(), None)
            }
            None => {
                let options = apiserver::Options {
                    db: None,
                    logs: logs.to_owned(),
                };
                let api = ApiServer::start(options).await.unwrap();
                (api.client("default"), Some(api))
            }
        };
        let cluster = Self {
            namespace: format!("faults-{}", std::process::id()),
            client,
            _embedded: embedded,
        };
        cluster.prepare().await;
        cluster
    }

    async fn prepare(&self) {
        make(Api::all(self.client.clone()), &prowjob::crd()).await;
        let served = async {
            while self.jobs().list(&ListParams::default()).await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), served)
            .await
            .expect("the API serves ProwJobs");
        let name = &self.namespace;
        let namespace: Namespace = object(json!({"metadata": {"name": name}}));
        make(Api::all(self.client.clone()), &namespace).await;
        // Where no controller makes it, no pod may be made without.
        let account: ServiceAccount = object(json!({"metadata": {"name": "default"}}));
        make(Api::namespaced(self.client.clone(), name), &account).await;
    }

    pub(crate) fn jobs(&self) -> Api<ProwJob> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub(crate) fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Deletes what the scene left; nobody may be there to delete the namespace itself.
    pub(crate) async fn clean(&self) {
        let (now, all) = (
            DeleteParams::default().grace_period(0),
            ListParams::default(),
        );
        self.jobs().delete_collection(&now, &all).await.unwrap();
        self.pods().delete_collection(&now, &all).await.unwrap();
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        namespaces.delete(&self.namespace, &now).await.unwrap();
    }
}

fn object<K: DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).expect("it is of this kind")
}

async fn make<K>(api: Api<K>, object: &K)
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + Serialize + DeserializeOwned,
{
    match api.create(&PostParams::default(), object).await {
        Err(kube::Error::Api(status)) if status.is_already_exists() => {}
        done => drop(done.unwrap()),
    }
}
