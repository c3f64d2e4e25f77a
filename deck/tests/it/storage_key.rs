//! The storage key in its Secret, with the objects of the manifests, on the embedded API or on the
//! cluster of `PROW_TEST_KUBECONFIG`, which enforces RBAC.

use std::path::Path;

use common::config::{Config, ConfigAgent};
use common::kube::ClusterClients;
use common::service::ServiceReadiness;
use common::storage::token::keys::StorageKeys;
use common::storage::{ObjectStorage, StorageCredentials};
use deck::{DeckContext, DeckMetrics, DeckStorage, KeyLocation, Viewer};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::{Api, Client};
use local::testing::TestCluster;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::harness::{PATIENCE, in_an_hour, until};

const FOLDER: &str = "logs/nightly/5";

/// Applies the objects of `k8s/base` for Deck, but for its pod, in the test's namespace.
pub(crate) async fn apply(cluster: &TestCluster) {
    let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../k8s/base/deck.yaml");
    let text = std::fs::read_to_string(manifests).unwrap();
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    let kinds = ["ServiceAccount", "Secret", "Role", "RoleBinding"];
    for mut document in documents {
        let kind = document["kind"].as_str().unwrap().to_owned();
        if document["metadata"]["namespace"] != "prow" || !kinds.contains(&&*kind) {
            continue;
        }
        document["metadata"]["namespace"] = cluster.namespace.clone().into();
        let subjects = document.get_mut("subjects").and_then(Value::as_array_mut);
        for subject in subjects.into_iter().flatten() {
            subject["namespace"] = cluster.namespace.clone().into();
        }
        let version = document["apiVersion"].as_str().unwrap();
        let (group, version) = version.split_once('/').unwrap_or(("", version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &kind));
        let api: Api<DynamicObject> =
            Api::namespaced_with(cluster.client.clone(), &cluster.namespace, &resource);
        let name = document["metadata"]["name"].as_str().unwrap();
        let params = PatchParams::apply("kubectl");
        let patch = Patch::Apply(&document);
        api.patch(name, &params, &patch).await.unwrap();
    }
}

/// A Deck with the rights of its service account.
pub(crate) struct Deck {
    pub(crate) base: String,
    _agent: ConfigAgent,
    _shutdown: DropGuard,
}

impl Deck {
    pub(crate) async fn start(cluster: &TestCluster, folder: &Path) -> Self {
        let client = cluster.acting_as("deck").unwrap();
        let client = client.unwrap_or_else(|| cluster.client.clone());
        let mut config = Config::default();
        config.prow.prowjob_namespace.clone_from(&cluster.namespace);
        let (agent, config) = ConfigAgent::with_fixed_config(config);
        let url = format!("file://{}", folder.display());
        let context = DeckContext {
            clusters: ClusterClients::single_cluster(client),
            config,
            load_status: agent.watch_status(),
            viewer: Viewer::Public,
            storage: Some(DeckStorage {
                storage: ObjectStorage::open_bucket(&url, &StorageCredentials::default()).unwrap(),
                key: KeyLocation::Secret("storage-key".into()),
                max_object_size: 1 << 20,
                max_job_size: 1 << 20,
            }),
            credentials: StorageCredentials::default(),
            metrics: DeckMetrics::register_metrics(&mut Registry::default()),
            timeout: PATIENCE,
            ready: ServiceReadiness::default(),
            allowed_hosts: Vec::new(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let shutdown = CancellationToken::new();
        tokio::spawn(deck::run_deck(context, listener, shutdown.clone()));
        Self {
            base,
            _agent: agent,
            _shutdown: shutdown.drop_guard(),
        }
    }

    async fn put(&self, token: &str) -> u16 {
        let url = format!("{}/storage/{FOLDER}/build-log.txt", self.base);
        let request = reqwest::Client::new().put(url).bearer_auth(token).body("x");
        request.send().await.unwrap().status().as_u16()
    }
}

fn keys(secret: &Secret) -> Option<StorageKeys> {
    let field = |name: &str| Some(secret.data.as_ref()?.get(name)?.0.as_slice());
    StorageKeys::new(field("key"), field("key.previous")).ok()
}

async fn filled(secrets: &Api<Secret>) -> Secret {
    until("Deck fills the key", async || {
        let secret = secrets.get("storage-key").await.unwrap();
        let is_filled = secret
            .data
            .as_ref()
            .is_some_and(|data| data.contains_key("key"));
        is_filled.then_some(secret)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn deck_fills_it_once_and_a_rotation_overlaps() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = TestCluster::start_cluster(&dir.path().join("logs"))
        .await
        .unwrap();
    let secrets: Api<Secret> = Api::default_namespaced(cluster.client.clone());
    apply(&cluster).await;
    assert!(secrets.get("storage-key").await.unwrap().data.is_none());

    let folder = dir.path().join("storage");
    let deck = Deck::start(&cluster, &folder).await;
    let first = filled(&secrets).await;
    let token = keys(&first).unwrap().sign_token(FOLDER, in_an_hour());
    let opens = async |deck: &Deck, token: &str| {
        until("Deck knows the key", async || match deck.put(token).await {
            503 => None,
            status => Some(status),
        })
        .await
    };
    assert_eq!(opens(&deck, &token).await, 201);

    apply(&cluster).await;
    drop(deck);
    let deck = Deck::start(&cluster, &folder).await;
    assert_eq!(opens(&deck, &token).await, 201);
    let again = secrets.get("storage-key").await.unwrap();
    assert_eq!(again.data, first.data, "applied again, and started again");

    // As the README says.
    let moved = json!({"data": {"key": null, "key.previous": first.data.unwrap()["key"]}});
    let patch = Patch::Merge(moved);
    let params = PatchParams::default();
    secrets.patch("storage-key", &params, &patch).await.unwrap();
    let forged = StorageKeys::new(Some(b"a key that nobody has"), None).unwrap();
    let forged = forged.sign_token(FOLDER, in_an_hour());
    // Deck reloads the keys when a token has another key, and at intervals.
    assert_eq!(deck.put(&forged).await, 403);
    let rotated = keys(&filled(&secrets).await).unwrap();
    let new = rotated.sign_token(FOLDER, in_an_hour());
    assert_ne!(new, token);
    for token in [&token, &new] {
        assert_eq!(deck.put(token).await, 201);
    }
    assert_eq!(deck.put(&forged).await, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn decks_rights_end_at_that_one_name() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = TestCluster::start_cluster(&dir.path().join("logs"))
        .await
        .unwrap();
    apply(&cluster).await;
    let secret = |name: &str| -> Secret {
        serde_json::from_value(json!({"metadata": {"name": name}})).unwrap()
    };
    let secrets: Api<Secret> = Api::default_namespaced(cluster.client.clone());
    secrets
        .create(&PostParams::default(), &secret("hmac-token"))
        .await
        .unwrap();
    let of = |client: Client| Api::<Secret>::default_namespaced(client);
    // The embedded API has no RBAC: test only that the name is enough.
    let Some(client) = cluster.acting_as("deck").unwrap() else {
        assert!(secrets.get("storage-key").await.is_ok());
        return;
    };
    let deck = of(client);
    let patch = Patch::Merge(json!({"metadata": {"labels": {"a": "b"}}}));
    let params = PatchParams::default();
    let is_forbidden =
        |error: kube::Error| matches!(error, kube::Error::Api(status) if status.code == 403);
    assert!(deck.get("storage-key").await.is_ok());
    assert!(deck.patch("storage-key", &params, &patch).await.is_ok());
    for refused in [
        deck.get("hmac-token").await.map(drop),
        deck.patch("hmac-token", &params, &patch).await.map(drop),
        deck.list(&Default::default()).await.map(drop),
        deck.create(&PostParams::default(), &secret("x"))
            .await
            .map(drop),
        deck.delete("storage-key", &Default::default())
            .await
            .map(drop),
    ] {
        assert!(is_forbidden(refused.unwrap_err()));
    }
    let crier = of(cluster.acting_as("crier").unwrap().unwrap());
    assert!(is_forbidden(crier.get("storage-key").await.unwrap_err()));
}
