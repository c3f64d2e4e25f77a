//! Where results may go: buckets of the configuration, and Deck's storage once there is a key.

use std::sync::{Arc, Mutex};

use axum::{Router, extract::State, http::Uri};
use common::prowjob::{ProwJobState, WAITING_PREFIX};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, api::ListParams};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{
    cluster::{Cluster, KEY, build_id, description, ended},
    world::{World, start},
};

type Asked = Arc<Mutex<Vec<String>>>;

/// A server that accepts everything and keeps the requested paths.
async fn server() -> (String, Asked) {
    let asked = Asked::default();
    let take = async |State(asked): State<Asked>, uri: Uri| {
        asked.lock().unwrap().push(uri.to_string());
    };
    let router = Router::new().fallback(take).with_state(Arc::clone(&asked));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/storage", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, router).into_future());
    (url, asked)
}

fn decorated(bucket: &str) -> Value {
    json!({"decoration_config": {
        "skip_cloning": true,
        "utility_images": {"clonerefs": "c", "initupload": "i", "entrypoint": "e", "sidecar": "s"},
        "gcs_configuration": {"bucket": bucket, "path_strategy": "explicit"},
    }})
}

async fn secrets(cluster: &Cluster) -> Vec<Secret> {
    let secrets: Api<Secret> = Api::default_namespaced(cluster.client.clone());
    secrets.list(&ListParams::default()).await.unwrap().items
}

#[tokio::test]
async fn until_there_is_a_key_jobs_wait_and_say_why() {
    let mut cluster = Cluster::new().await;
    cluster.publish(json!({
        "max_concurrency": 1,
        "default_decoration_configs": {"*": {
            "gcs_configuration": {"bucket": "http://deck/storage"},
        }},
    }));
    let key = cluster.storage_key().path().to_owned();
    std::fs::remove_file(&key).unwrap();
    cluster.start_plank();
    cluster
        .trigger("pj", decorated("http://deck/storage"))
        .await;
    let says = |text: &'static str| {
        move |job: &common::prowjob::ProwJob| {
            description(job).starts_with(WAITING_PREFIX) && description(job).contains(text)
        }
    };
    let missing = says("there is no storage key yet: Deck makes it");
    let job = cluster.job("pj", "word of the key", missing).await;
    assert_eq!(job.state(), ProwJobState::Triggered);
    assert_eq!(build_id(&job), "", "it is not claimed");

    // A job that needs no key does not wait, although only one may run at a time.
    cluster.trigger("other", json!({})).await;
    cluster.pod("other").await;
    cluster.set_pod("other", ended("Succeeded", 0)).await;
    cluster.complete("other").await;

    std::fs::write(&key, "short").unwrap();
    let short = says("the storage key is shorter than");
    cluster.job("pj", "word of the short key", short).await;
    assert!(cluster.pods().get_opt("pj").await.unwrap().is_none());

    // Written as the kubelet writes it, without a restart of plank.
    std::fs::write(&key, KEY).unwrap();
    cluster.pod("pj").await;
    let job = cluster.state("pj", ProwJobState::Pending).await;
    assert!(
        !description(&job).starts_with(WAITING_PREFIX),
        "{}",
        description(&job)
    );
}

#[tokio::test]
async fn a_pod_gets_no_token_for_a_place_that_only_its_job_names() {
    let cluster = Cluster::with_plank().await;
    for (name, bucket) in [
        ("server", "http://evil.example/storage"),
        ("folder", "file:///etc"),
    ] {
        cluster.trigger(name, decorated(bucket)).await;
        let job = cluster.complete(name).await;
        assert_eq!(job.state(), ProwJobState::Error);
        let says = description(&job);
        assert!(
            says.contains(bucket) && says.contains("configuration"),
            "{says}"
        );
        assert!(cluster.pods().get_opt(name).await.unwrap().is_none());
    }
    let mut inside = decorated("http://deck/storage");
    inside["decoration_config"]["gcs_configuration"]["path_prefix"] = "logs/victim/1".into();
    cluster.trigger("inside", inside).await;
    let job = cluster.complete("inside").await;
    assert!(
        description(&job).contains("path_prefix"),
        "{}",
        description(&job)
    );
    assert!(secrets(&cluster).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_only_the_job_names_is_left_alone() {
    let world = World::new().await;
    let (_, own) = world.bucket();
    let (url, asked) = server().await;
    let folder = world.cluster.dir.path().join("of-the-job");
    start(world.storing(&own));
    for (name, bucket) in [
        ("server", url),
        ("folder", format!("file://{}", folder.display())),
    ] {
        world.trigger(name, decorated(&bucket)).await;
        // Plank refuses its pod; crier reports the job all the same, but stores nothing there.
        world.both_marked(name, ProwJobState::Error).await;
    }
    world.cluster.rest().await;
    assert_eq!(*asked.lock().unwrap(), [""; 0]);
    assert!(!folder.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn crier_waits_for_the_key() {
    let world = World::new().await;
    let (url, asked) = server().await;
    let key = world.cluster.storage_key().path().to_owned();
    std::fs::remove_file(&key).unwrap();
    start(world.storing(&url));
    world.trigger("unit", json!({})).await;
    world.cluster.pod("unit").await;
    world.cluster.rest().await;
    assert_eq!(*asked.lock().unwrap(), [""; 0]);
    std::fs::write(&key, KEY).unwrap();
    world.both_marked("unit", ProwJobState::Pending).await;
    assert!(!asked.lock().unwrap().is_empty());
}
