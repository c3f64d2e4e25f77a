//! Crier's files next to those of a job's pod.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    extract::{Path as UrlPath, State},
    http::{HeaderMap, StatusCode},
    routing::put,
};
use common::{
    prowjob::ProwJobState,
    storage::token::{self, keys::StorageKeys},
};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use kube::{Api, api::PostParams};
use plank::crier::CrierContext;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{
    cluster::{KEY, build_id, ended},
    world::{World, start},
};

const FINALIZER: &str = "prow.x-k8s.io/gcsk8sreporter";

impl World {
    pub(crate) fn storing(&self, bucket: &str) -> CrierContext {
        let mut ctx = self.context(json!({"plank": {"default_decoration_config_entries": [
            {"config": {"gcs_configuration": {"bucket": bucket, "path_strategy": "explicit"}}},
        ]}}));
        ctx.settings.github_workers = 0;
        ctx.settings.blob_storage_workers = 2;
        ctx.settings.kubernetes_blob_storage_workers = 2;
        ctx
    }

    pub(crate) fn bucket(&self) -> (PathBuf, String) {
        let dir = self.cluster.dir.path().join("bucket");
        let url = format!("file://{}", dir.display());
        (dir, url)
    }

    /// The folder of the job's run.
    async fn folder(&self, name: &str) -> String {
        let job = self
            .cluster
            .job(name, "a build id", |job| !build_id(job).is_empty())
            .await;
        format!("pr-logs/pull/acme_widgets/1/{name}/{}", build_id(&job))
    }

    pub(crate) async fn both_marked(&self, name: &str, state: ProwJobState) {
        for reporter in ["gcsreporter", "gcsk8sreporter"] {
            self.marked(name, reporter, state).await;
        }
    }

    async fn finalizers(&self, pod: &str) -> Vec<String> {
        let pod = self.cluster.pods().get(pod).await.unwrap();
        pod.metadata.finalizers.unwrap_or_default()
    }
}

fn read(folder: &Path, name: &str) -> Value {
    let text = std::fs::read(folder.join(name));
    serde_json::from_slice(&text.unwrap_or_else(|error| panic!("{name}: {error}"))).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_leaves_its_object_its_end_and_its_pod() {
    let world = World::new().await;
    let (dir, url) = world.bucket();
    start(world.storing(&url));
    world.trigger("unit", json!({})).await;
    world.both_marked("unit", ProwJobState::Pending).await;
    let pod = world.cluster.pod("unit").await;
    assert_eq!(world.finalizers("unit").await, [FINALIZER]);
    let folder = dir.join(world.folder("unit").await);
    let started = read(&folder, "started.json");
    assert_eq!(started["metadata"]["uploader"], "crier");
    assert_eq!(started["repo-commit"], world.sha);
    assert_eq!(read(&folder, "prowjob.json")["status"]["state"], "pending");

    let namespace = &world.cluster.on.namespace;
    let event: Event = serde_json::from_value(json!({
        "metadata": {"name": "unit.1", "namespace": namespace}, "reason": "Pulled",
        "involvedObject": {"kind": "Pod", "name": "unit", "namespace": namespace, "uid": pod.metadata.uid},
    }))
    .unwrap();
    let events: Api<Event> = Api::default_namespaced(world.cluster.client.clone());
    events.create(&PostParams::default(), &event).await.unwrap();
    world.cluster.set_pod("unit", ended("Failed", 1)).await;
    world.both_marked("unit", ProwJobState::Failure).await;

    let finished = read(&folder, "finished.json");
    assert_eq!(
        (&finished["passed"], &finished["result"]),
        (&json!(false), &json!("failure"))
    );
    let job = read(&folder, "prowjob.json");
    assert_eq!(job["status"]["state"], "failure");
    assert_eq!(
        job["spec"]["pod_spec"]["containers"][0]["image"], "img",
        "the whole job"
    );
    let info = read(&folder, "podinfo.json");
    assert_eq!(info["pod"]["status"]["phase"], "Failed");
    assert_eq!(info["events"][0]["reason"], "Pulled");
    assert_eq!(world.finalizers("unit").await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_pod_wrote_is_left_alone() {
    let world = World::new().await;
    let (dir, url) = world.bucket();
    world.trigger("unit", json!({})).await;
    let folder = dir.join(world.folder("unit").await);
    std::fs::create_dir_all(&folder).unwrap();
    let own = r#"{"timestamp": 1, "passed": true, "result": "SUCCESS"}"#;
    for file in ["started.json", "finished.json"] {
        std::fs::write(folder.join(file), own).unwrap();
    }
    world.cluster.pod("unit").await;
    world.cluster.set_pod("unit", ended("Succeeded", 0)).await;
    world.cluster.complete("unit").await;
    start(world.storing(&url));
    world.both_marked("unit", ProwJobState::Success).await;
    for file in ["started.json", "finished.json"] {
        assert_eq!(
            std::fs::read_to_string(folder.join(file)).unwrap(),
            own,
            "{file}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aborted_job_is_stored_once_it_is_over() {
    let world = World::new().await;
    let (dir, url) = world.bucket();
    start(world.storing(&url));
    world.trigger("unit", json!({})).await;
    world.both_marked("unit", ProwJobState::Pending).await;
    world
        .cluster
        .patch_job("unit", json!({"status": {"state": "aborted"}}))
        .await;
    world.cluster.complete("unit").await;
    world.both_marked("unit", ProwJobState::Aborted).await;
    let folder = dir.join(world.folder("unit").await);
    assert_eq!(read(&folder, "finished.json")["result"], "aborted");
    assert!(read(&folder, "prowjob.json")["status"]["completionTime"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_without_a_bucket_is_marked_and_its_pod_not_held() {
    let world = World::new().await;
    let mut ctx = world.storing("");
    ctx.config = world.context(json!({})).config;
    start(ctx);
    world.trigger("unit", json!({})).await;
    world.both_marked("unit", ProwJobState::Pending).await;
    world.cluster.pod("unit").await;
    assert_eq!(world.finalizers("unit").await, [""; 0]);
}

type Stored = Arc<Mutex<Vec<String>>>;

/// Accepts what has a token for its folder, as Deck does.
async fn store(
    State(stored): State<Stored>,
    UrlPath(key): UrlPath<String>,
    headers: HeaderMap,
) -> StatusCode {
    let bearer = headers["authorization"].to_str().unwrap();
    let token = bearer.strip_prefix("Bearer ").unwrap();
    let keys = StorageKeys::new(Some(KEY), None).unwrap();
    let grant = token::verify_token(&keys, token, Timestamp::now());
    match grant.and_then(|grant| grant.check_key(&key).map(drop)) {
        Ok(()) => {
            stored.lock().unwrap().push(key);
            StatusCode::OK
        }
        Err(_) => StatusCode::FORBIDDEN,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn decks_own_storage_gets_a_token_for_the_run() {
    let world = World::new().await;
    let stored = Stored::default();
    let router = Router::new()
        .route("/storage/{*key}", put(store))
        .with_state(Arc::clone(&stored));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/storage", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, router).into_future());
    start(world.storing(&url));
    world.trigger("unit", json!({})).await;
    world.both_marked("unit", ProwJobState::Pending).await;
    world.cluster.set_pod("unit", ended("Succeeded", 0)).await;
    world.both_marked("unit", ProwJobState::Success).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    let folder = world.folder("unit").await;
    let mut stored = stored.lock().unwrap().clone();
    stored.sort();
    stored.dedup();
    let expected = [
        "finished.json",
        "podinfo.json",
        "prowjob.json",
        "started.json",
    ];
    assert_eq!(stored, expected.map(|file| format!("{folder}/{file}")));
}
