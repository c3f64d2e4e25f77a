//! The watcher with kubeconfig files on disk, and a server that answers access reviews.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::SocketAddr,
    path::PathBuf,
    sync::{Mutex, MutexGuard},
};

use axum::{Json, Router, extract::State, http::HeaderMap, routing::post};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::*;
use crate::{kube::ClusterPermission, service::install_crypto};

const NEEDS: RequiredPermissions = RequiredPermissions {
    service: "plank",
    infra: &[ClusterPermission::essential(
        "prow.k8s.io",
        "prowjobs",
        &["list"],
    )],
    build: Some(&[
        ClusterPermission::essential("", "pods", &["list", "watch", "delete"]),
        ClusterPermission::only_for("word of a missing Secret", "events", &["list"]),
    ]),
};

/// A generous limit: only a broken watcher reaches it.
const PATIENCE: Duration = Duration::from_secs(30);

/// The requests of a cluster's clients, and what the cluster refuses.
#[derive(Clone, Default)]
struct Api(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    /// In the form `list pods`.
    refused: BTreeSet<&'static str>,
    tokens: Vec<String>,
}

impl Api {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap()
    }

    async fn serve(&self, listener: TcpListener) {
        let reviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let router = Router::new().route(reviews, post(review));
        let router = router.with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
    }

    /// Starts on a free port.
    async fn start() -> (Self, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (api, address) = (Self::default(), listener.local_addr().unwrap());
        api.serve(listener).await;
        (api, address)
    }
}

async fn review(
    State(api): State<Api>,
    headers: HeaderMap,
    Json(mut review): Json<Value>,
) -> Json<Value> {
    let asked = &review["spec"]["resourceAttributes"];
    let text = |key: &str| asked[key].as_str().unwrap_or_default().to_owned();
    let asked = format!("{} {}", text("verb"), text("resource"));
    let token = headers.get("authorization");
    let token = token.map(|it| it.to_str().unwrap().to_owned());
    let mut seen = api.seen();
    seen.tokens.extend(token);
    review["status"] = json!({"allowed": !seen.refused.contains(asked.as_str())});
    Json(review)
}

/// A folder with one kubeconfig, and what the watcher needs.
struct World {
    folder: TempDir,
    config: (ConfigAgent, watch::Receiver<Arc<Config>>),
    instrumentation: Instrumentation,
}

impl World {
    fn new() -> Self {
        install_crypto();
        Self {
            folder: tempfile::tempdir().unwrap(),
            config: ConfigAgent::with_fixed_config(Config::default()),
            instrumentation: Instrumentation::default(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes each context with its API's address and its user's fields; the first is current.
    fn write(&self, contexts: &[(&str, SocketAddr, Value)]) {
        let entries = |entry: &dyn Fn(&(&str, SocketAddr, Value)) -> Value| -> Vec<Value> {
            contexts.iter().map(entry).collect()
        };
        let file = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": contexts[0].0,
            "clusters": entries(&|(name, at, _)| json!({
                "name": name, "cluster": {"server": format!("http://{at}")},
            })),
            "users": entries(&|(name, _, user)| json!({"name": name, "user": user})),
            "contexts": entries(&|(name, _, _)| json!({
                "name": name, "context": {"cluster": name, "user": name},
            })),
        });
        let (path, new) = (self.path("config"), self.path("new"));
        fs::write(&new, file.to_string()).unwrap();
        fs::rename(new, path).unwrap();
    }

    async fn follow(&mut self) -> ClusterClients {
        let options = KubernetesOptions {
            kubeconfig: Some(self.path("config")),
            no_in_cluster_config: true,
            ..KubernetesOptions::default()
        };
        let (loads, config) = (LoadMetrics::default(), self.config.1.clone());
        let on = &mut self.instrumentation;
        ClusterClients::discover_and_watch(&options, &config, NEEDS, &loads, on)
            .await
            .unwrap()
    }
}

/// The clusters, as soon as `wanted` accepts them.
async fn until(clusters: &mut ClusterClients, wanted: impl Fn(&BuildClusterClients) -> bool) {
    let found = async {
        while !wanted(&clusters.build_clusters()) {
            clusters.await_change().await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, found).await;
    let there: BTreeMap<_, _> = clusters
        .build_clusters()
        .iter()
        .map(|(alias, it)| (alias.clone(), it.obstacle.clone()))
        .collect();
    found.unwrap_or_else(|_| panic!("{there:?}"));
}

fn names(clusters: &BuildClusterClients) -> Vec<&str> {
    clusters.keys().map(String::as_str).collect()
}

fn is_ready(clusters: &BuildClusterClients, alias: &str) -> bool {
    clusters.get(alias).is_some_and(|it| it.obstacle.is_none())
}

fn all_ready(clusters: &BuildClusterClients) -> bool {
    clusters.values().all(|it| it.obstacle.is_none())
}

#[tokio::test]
async fn contexts_come_go_and_change_and_a_bad_file_changes_nothing() {
    let (mut world, (_api, at)) = (World::new(), Api::start().await);
    world.write(&[("a", at, json!({})), ("b", at, json!({}))]);
    let mut clusters = world.follow().await;
    until(&mut clusters, |it| {
        names(it) == ["a", "b", "default"] && all_ready(it)
    })
    .await;
    let before = clusters.build_clusters();

    fs::write(world.path("config"), "not yaml: [").unwrap();
    let change = tokio::time::timeout(Duration::from_secs(2), clusters.await_change()).await;
    assert!(change.is_err(), "a bad file changes nothing");

    world.write(&[("a", at, json!({})), ("c", at, json!({"token": "t"}))]);
    until(&mut clusters, |it| {
        names(it) == ["a", "c", "default"] && all_ready(it)
    })
    .await;
    let now = clusters.build_clusters();
    for alias in ["a", "default"] {
        assert!(Arc::ptr_eq(&before[alias], &now[alias]), "{alias} stays");
    }
    world.write(&[("a", at, json!({})), ("c", at, json!({"token": "rotated"}))]);
    until(&mut clusters, |it| {
        is_ready(it, "c") && !Arc::ptr_eq(&it["c"], &now["c"])
    })
    .await;
    assert!(Arc::ptr_eq(&now["a"], &clusters.build_clusters()["a"]));
}

#[tokio::test]
async fn a_context_default_without_a_client_is_tried_again_and_never_the_infrastructure() {
    let mut world = World::new();
    let ((infra, infra_at), (build, build_at)) = (Api::start().await, Api::start().await);
    let token = world.path("token");
    let user = json!({"tokenFile": token});
    world.write(&[("infra", infra_at, json!({})), ("default", build_at, user)]);
    let mut clusters = world.follow().await;
    let no_client = |it: &BuildClusterClients| {
        let obstacle = &it["default"].obstacle;
        matches!(obstacle, Some(ClusterObstacle::NoClient(why)) if why.contains("token"))
    };
    until(&mut clusters, no_client).await;
    let client = clusters.build_client("default").unwrap();
    let error = client.apiserver_version().await.unwrap_err();
    let error = format!("{:#}", anyhow::Error::from(error));
    assert!(error.contains("no client"), "{error}");

    // The kubeconfig does not change.
    fs::write(&token, "secret").unwrap();
    until(&mut clusters, |it| is_ready(it, "default")).await;
    assert!(build.seen().tokens.iter().all(|it| it == "Bearer secret"));
    assert!(!build.seen().tokens.is_empty());
    assert!(infra.seen().tokens.is_empty());
}

#[tokio::test]
async fn disabled_clusters_are_left_out_and_a_disabled_default_is_not_replaced() {
    let (mut world, (_api, at)) = (World::new(), Api::start().await);
    let all = [
        ("infra", at, json!({})),
        ("default", at, json!({})),
        ("b", at, json!({})),
    ];
    world.write(&all);
    let mut clusters = world.follow().await;
    until(&mut clusters, |it| names(it) == ["b", "default", "infra"]).await;
    let mut config = Config::default();
    config.prow.disabled_clusters = vec!["b".into(), "default".into()];
    world.config.0.set_config(config);
    until(&mut clusters, |it| names(it) == ["infra"]).await;
    world.config.0.set_config(Config::default());
    until(&mut clusters, |it| {
        names(it) == ["b", "default", "infra"] && all_ready(it)
    })
    .await;
}

#[tokio::test]
async fn a_cluster_that_is_away_is_heard_of_when_it_answers_again() {
    let mut world = World::new();
    let (_api, at) = Api::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let away = listener.local_addr().unwrap();
    drop(listener);
    world.write(&[("infra", at, json!({})), ("away", away, json!({}))]);
    let mut clusters = world.follow().await;
    let no_answer = |it: &BuildClusterClients| {
        matches!(&it["away"].obstacle, Some(ClusterObstacle::NoAnswer(_)))
            && is_ready(it, "default")
    };
    until(&mut clusters, no_answer).await;
    world.instrumentation.ready.set_ready(true);
    assert!(
        world.instrumentation.ready.is_ready(),
        "one cluster of several"
    );
    Api::default()
        .serve(TcpListener::bind(away).await.unwrap())
        .await;
    until(&mut clusters, |it| is_ready(it, "away")).await;
}

/// The log lines of this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(text)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let lines = text.lines().filter(|line| line.contains("missing right"));
        lines.map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn a_missing_right_is_named_once_and_its_cluster_is_ready_when_it_is_granted() {
    let (mut world, log) = (World::new(), Log::default());
    let writer = log.clone();
    let logs = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _logs = tracing::subscriber::set_default(logs);
    let ((_infra, infra_at), (build, build_at)) = (Api::start().await, Api::start().await);
    build.seen().refused = ["watch pods", "delete pods", "list events"].into();
    world.write(&[("infra", infra_at, json!({})), ("b", build_at, json!({}))]);
    let mut clusters = world.follow().await;
    let forbidden = |it: &BuildClusterClients| {
        matches!(it["b"].obstacle, Some(ClusterObstacle::Forbidden(_))) && is_ready(it, "default")
    };
    until(&mut clusters, forbidden).await;
    let obstacle = clusters.build_clusters()["b"].obstacle.clone().unwrap();
    let text = "may not watch, delete pods in namespace default";
    assert!(obstacle.to_string().starts_with(text), "{obstacle}");
    // It is checked again, but not logged again.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let lines = log.lines();
    let of_pods: Vec<_> = lines.iter().filter(|it| it.contains(text)).collect();
    assert_eq!(of_pods.len(), 1, "{lines:#?}");
    for part in [
        "cluster=\"b\"",
        "namespace=\"default\"",
        "verb=\"watch,delete\"",
        "resource=\"pods\"",
        "k8s/base/plank.yaml",
    ] {
        assert!(of_pods[0].contains(part), "{part}: {}", of_pods[0]);
    }

    build.seen().refused = ["list events"].into();
    until(&mut clusters, |it| is_ready(it, "b")).await;
    let lines = log.lines();
    let told = "there is no word of a missing Secret in this cluster";
    assert!(lines.iter().any(|it| it.contains(told)), "{lines:#?}");
}

#[tokio::test]
async fn a_service_is_not_ready_without_its_rights_where_the_prowjobs_are() {
    let (mut world, (api, at)) = (World::new(), Api::start().await);
    api.seen().refused = ["list prowjobs"].into();
    world.write(&[("infra", at, json!({}))]);
    let _clusters = world.follow().await;
    let ready = world.instrumentation.ready.clone();
    ready.set_ready(true);
    let becomes = async |expected: bool| {
        let seen = async {
            while ready.is_ready() != expected {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, seen).await.unwrap();
    };
    becomes(false).await;
    api.seen().refused.clear();
    becomes(true).await;
}

#[tokio::test]
async fn the_infrastructures_rotated_token_is_taken_over() {
    let (mut world, (api, at)) = (World::new(), Api::start().await);
    world.write(&[("infra", at, json!({"token": "old"}))]);
    let mut clusters = world.follow().await;
    until(&mut clusters, all_ready).await;
    let client = clusters.infra().clone();
    assert!(api.seen().tokens.iter().all(|it| it == "Bearer old"));
    world.write(&[("infra", at, json!({"token": "new"}))]);
    let rotated = async {
        loop {
            let namespace = "default".into();
            let _ = super::super::permissions::find_missing_permissions(
                &client,
                &namespace,
                NEEDS.infra,
            )
            .await;
            if api
                .seen()
                .tokens
                .last()
                .is_some_and(|it| it == "Bearer new")
            {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, rotated).await.unwrap();
}
