//! A separate Deck for each test.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use common::config::{Config, ConfigAgent, ConfigOptions, LoadMetrics};
use common::kube::{BuildClusterClient, ClusterClients};
use common::prowjob::ProwJob;
use common::service::{ServiceReadiness, install_crypto};
use common::storage::{ObjectAttributes, ObjectStorage, StorageCredentials, token};
use deck::{DeckContext, DeckMetrics, StorageOptions, Viewer};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use local::apiserver::{ApiServer, LogSource};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch::{self, Receiver};
use tokio_util::sync::CancellationToken;

pub(crate) const KEY: &[u8] = b"a key of plank and deck";
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Deck {
    pub(crate) base: String,
    pub(crate) client: kube::Client,
    pub(crate) http: reqwest::Client,
    pub(crate) folder: TempDir,
    shutdown: CancellationToken,
    _api: ApiServer,
    _agent: ConfigAgent,
}

/// What a test may change.
#[derive(Default)]
pub(crate) struct Setup {
    pub(crate) viewer: Viewer,
    pub(crate) deck: Value,
    /// A `config.yaml` that Deck follows, instead of `deck`.
    pub(crate) config_file: Option<PathBuf>,
    /// Jobs of the central configuration, as YAML.
    pub(crate) job_file: Option<&'static str>,
    /// The cluster accepts any object as a `ProwJob`.
    pub(crate) any_object: bool,
    pub(crate) allowed_hosts: Vec<String>,
    pub(crate) max_object_size: Option<u64>,
    pub(crate) max_job_size: Option<u64>,
    /// The address of a separate build cluster.
    pub(crate) build: Option<String>,
    /// The address of a cluster that holds the `ProwJob`s and may never list them.
    pub(crate) infra: Option<String>,
    pub(crate) credentials: StorageCredentials,
}

fn client_of(address: &str) -> kube::Client {
    kube::Client::try_from(kube::Config::new(address.parse().unwrap())).unwrap()
}

/// One cluster for the `ProwJob`s and their pods, or one for each.
fn clusters(infra: &kube::Client, build: Option<&str>) -> ClusterClients {
    let Some(address) = build else {
        return ClusterClients::single_cluster(infra.clone());
    };
    let client = client_of(address);
    let all = BTreeMap::from([("default".to_owned(), BuildClusterClient::new_ready(client))]);
    ClusterClients::new(infra.clone(), watch::channel(Arc::new(all)).1)
}

fn follow(file: &Path, jobs: Option<PathBuf>) -> (ConfigAgent, Receiver<Arc<Config>>) {
    let options = ConfigOptions {
        config_path: file.to_owned(),
        job_config_path: jobs,
        ..ConfigOptions::default()
    };
    ConfigAgent::watch_config(&options, &LoadMetrics::default()).unwrap()
}

impl Deck {
    pub(crate) async fn start() -> Self {
        Self::with(Setup::default()).await
    }

    pub(crate) async fn with(setup: Setup) -> Self {
        install_crypto();
        let folder = tempfile::tempdir().unwrap();
        let options = local::apiserver::ApiServerOptions {
            db: None,
            logs: folder.path().join("logs"),
        };
        let api = ApiServer::start(options).await.unwrap();
        let client = api.in_process_client("default");
        let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
        crds.create(&PostParams::default(), &crd(setup.any_object))
            .await
            .unwrap();

        let key_file = folder.path().join("key");
        std::fs::write(&key_file, [KEY, b"\n"].concat()).unwrap();
        let storage = StorageOptions {
            storage_dir: Some(folder.path().join("storage")),
            storage_key_file: Some(key_file),
            storage_key_secret: None,
            storage_max_object_size: setup.max_object_size.unwrap_or(1 << 30),
            storage_max_job_size: setup.max_job_size.unwrap_or(1 << 30),
        };
        let (agent, config) = match (&setup.config_file, setup.job_file) {
            (Some(file), _) => follow(file, None),
            (None, Some(jobs)) => {
                let [config_file, job_file] =
                    ["config.yaml", "jobs.yaml"].map(|name| folder.path().join(name));
                let mut section = json!({
                    "skip_storage_path_validation": false,
                    "additional_allowed_buckets": ["http://deck/storage"],
                });
                merge(&mut section, &setup.deck);
                std::fs::write(&config_file, json!({"deck": section}).to_string()).unwrap();
                std::fs::write(&job_file, jobs).unwrap();
                follow(&config_file, Some(job_file))
            }
            (None, None) => {
                let mut config = Config::default();
                let section: Option<_> = serde_json::from_value(setup.deck).unwrap();
                config.prow.deck = section.unwrap_or_default();
                let validation = &mut config.prow.deck.skip_storage_path_validation;
                validation.get_or_insert(false);
                config.prow.plank = serde_json::from_value(json!({
                    "default_decoration_configs": {"*": {
                        "gcs_configuration": {"bucket": "http://deck/storage"},
                    }},
                }))
                .unwrap();
                ConfigAgent::with_fixed_config(config)
            }
        };
        let context = DeckContext {
            clusters: match &setup.infra {
                Some(address) => ClusterClients::single_cluster(client_of(address)),
                None => clusters(&client, setup.build.as_deref()),
            },
            config,
            load_status: agent.watch_status(),
            viewer: setup.viewer,
            storage: storage.open_storage().unwrap(),
            credentials: setup.credentials,
            metrics: DeckMetrics::register_metrics(&mut Registry::default()),
            allowed_hosts: setup.allowed_hosts,
            timeout: PATIENCE,
            ready: ServiceReadiness::default(),
        };
        let ready = context.ready.clone();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let shutdown = CancellationToken::new();
        tokio::spawn(deck::run_deck(context, listener, shutdown.clone()));
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        let deck = Self {
            base,
            client,
            http,
            folder,
            shutdown,
            _api: api,
            _agent: agent,
        };
        if setup.infra.is_none() {
            until("deck is ready", async || ready.is_ready().then_some(())).await;
        }
        deck
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let answer = self.http.get(self.url(path)).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Requests the page until it contains `text`.
    pub(crate) async fn page_with(&self, path: &str, text: &str) -> String {
        until(&format!("{path} says {text}"), async || {
            let (_, page) = self.get(path).await;
            page.contains(text).then_some(page)
        })
        .await
    }

    fn objects(&self) -> Api<DynamicObject> {
        let resource = kube::core::ApiResource::erase::<ProwJob>(&());
        Api::namespaced_with(self.client.clone(), "default", &resource)
    }

    pub(crate) async fn create(&self, object: Value) {
        let object: DynamicObject = serde_json::from_value(object).unwrap();
        self.objects()
            .create(&PostParams::default(), &object)
            .await
            .unwrap();
    }

    pub(crate) async fn patch(&self, name: &str, patch: Value) {
        self.objects()
            .patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .unwrap();
    }

    pub(crate) async fn delete(&self, name: &str) {
        self.objects()
            .delete(name, &DeleteParams::default())
            .await
            .unwrap();
    }

    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), "default")
    }

    /// Creates the run's pod, and returns the file that its container writes to.
    pub(crate) async fn pod(&self, name: &str) -> PathBuf {
        let pod = json!({
            "metadata": {"name": name},
            "spec": {"containers": [{"name": "test", "image": "x"}]},
        });
        let pod = self
            .pods()
            .create(
                &PostParams::default(),
                &serde_json::from_value(pod).unwrap(),
            )
            .await
            .unwrap();
        let logs = self.folder.path().join("logs");
        let source = LogSource::new(
            &logs,
            "default",
            pod.metadata.uid.as_deref().unwrap(),
            "test",
        );
        std::fs::create_dir_all(source.path().parent().unwrap()).unwrap();
        source.path().to_owned()
    }

    pub(crate) async fn end_pod(&self, name: &str) {
        let status = Patch::Merge(json!({"status": {"phase": "Succeeded"}}));
        self.pods()
            .patch_status(name, &PatchParams::default(), &status)
            .await
            .unwrap();
    }

    /// Removes an object as if it had never existed.
    pub(crate) fn remove(&self, key: &str) {
        std::fs::remove_file(self.folder.path().join("storage").join(key)).unwrap();
    }

    /// Uploads as the pod of the run in `dir` would.
    pub(crate) async fn put(&self, dir: &str, key: &str, body: &str) -> u16 {
        let token = token::sign_token(KEY, dir, in_an_hour());
        let request = self
            .http
            .put(self.url(&format!("/storage/{key}")))
            .bearer_auth(token);
        request
            .body(body.to_owned())
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    }
}

impl Deck {
    /// Sends this request head, and returns the status of the answer.
    pub(crate) async fn raw(&self, head: &str) -> u16 {
        let address = self.base.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("{head}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// Stores an object in Deck's own storage, but not through Deck's routes.
    pub(crate) async fn store(&self, key: &str, body: &str, content_type: &str) {
        let url = format!("file://{}/storage", self.folder.path().display());
        let storage = ObjectStorage::open_bucket(&url, &StorageCredentials::default()).unwrap();
        let attributes = ObjectAttributes {
            content_type: Some(content_type.to_owned()),
            ..ObjectAttributes::default()
        };
        storage
            .put_object(key, body.to_owned(), &attributes)
            .await
            .unwrap();
    }
}

impl Drop for Deck {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

pub(crate) fn in_an_hour() -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second() + 3600).unwrap()
}

/// The CRD as shipped, or one that accepts everything.
fn crd(any_object: bool) -> CustomResourceDefinition {
    let mut crd = serde_json::to_value(common::prowjob::build_prowjob_crd()).unwrap();
    if any_object {
        crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"] =
            json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    }
    serde_json::from_value(crd).unwrap()
}

/// A presubmit of `o/r#7` by alice; `extra` is merged in.
pub(crate) fn prowjob(name: &str, job: &str, minute: u32, state: &str, extra: &Value) -> Value {
    let mut object = json!({
        "apiVersion": "prow.k8s.io/v1",
        "kind": "ProwJob",
        "metadata": {"name": name},
        "spec": {
            "type": "presubmit",
            "agent": "kubernetes",
            "job": job,
            "refs": {
                "org": "o", "repo": "r", "base_ref": "main", "base_sha": "b".repeat(40),
                "pulls": [{"number": 7, "author": "alice", "sha": "c".repeat(40), "title": "Mend <it>"}],
            },
        },
        "status": {
            "state": state,
            "startTime": format!("2026-01-01T00:{minute:02}:00Z"),
            "build_id": format!("10{name}"),
            "pod_name": name,
        },
    });
    if !["triggered", "pending", "scheduling"].contains(&state) {
        object["status"]["completionTime"] = "2026-01-01T01:00:00Z".into();
    }
    merge(&mut object, extra);
    object
}

/// Where a decorated job of these tests stores its files.
pub(crate) fn decorated() -> Value {
    json!({"spec": {"decoration_config": {
        "gcs_configuration": {"bucket": "http://deck/storage", "path_strategy": "explicit"},
    }}})
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

/// Waits until `ask` finds something.
pub(crate) async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let waited = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Some(found) = ask().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    waited
        .await
        .unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
}

/// Reads chunks of a streamed answer until they contain `text`.
pub(crate) async fn read_until(answer: &mut reqwest::Response, text: &str) -> String {
    let mut seen = String::new();
    let reading = async {
        while !seen.contains(text) {
            match answer.chunk().await.unwrap() {
                Some(chunk) => seen.push_str(&String::from_utf8_lossy(&chunk)),
                None => break,
            }
        }
    };
    let timely = tokio::time::timeout(PATIENCE, reading).await.is_ok();
    assert!(timely && seen.contains(text), "no {text:?} in {seen:?}");
    seen
}
