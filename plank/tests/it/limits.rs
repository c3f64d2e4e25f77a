//! Limits: who waits, what its description says, and who goes next.

use common::prowjob::ProwJobState;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{ResourceExt, api::ListParams};
use serde_json::{Value, json};

use crate::cluster::{Cluster, description, ended, prowjob};

async fn waits(cluster: &Cluster, name: &str, text: &str) {
    let job = cluster
        .job(name, text, |job| description(job) == text)
        .await;
    assert_eq!(job.state(), ProwJobState::Triggered);
}

fn job(name: &str, spec: Value) -> (String, Value) {
    let mut spec = spec;
    spec["job"] = name.into();
    (name.to_owned(), spec)
}

#[tokio::test]
async fn a_job_that_waits_says_for_which_limit_and_an_end_starts_the_next() {
    let mut cluster = Cluster::new().await;
    cluster.publish(json!({
        "job_queue_capacities": {"big": 1},
        "build_cluster_capacities": {"default": 3},
    }));
    cluster.start_plank();
    for (running, waiting, text) in [
        (
            job("own-1", json!({"max_concurrency": 1})),
            job("own-2", json!({"job": "own-1", "max_concurrency": 1})),
            "Waiting: max_concurrency of job own-1 is reached.",
        ),
        (
            job("queued-1", json!({"job_queue_name": "big"})),
            job("queued-2", json!({"job_queue_name": "big"})),
            "Waiting: job queue big is full.",
        ),
        (
            job("there-1", json!({})),
            job("there-2", json!({})),
            "Waiting: build cluster default is full.",
        ),
    ] {
        let ((running, spec), (waiting, mut next)) = (running, waiting);
        if waiting == "own-2" {
            next["job"] = "own-1".into();
        }
        cluster.trigger(&running, spec).await;
        cluster.pod(&running).await;
        cluster.trigger(&waiting, next).await;
        waits(&cluster, &waiting, text).await;
    }
    cluster.set_pod("queued-1", ended("Succeeded", 0)).await;
    cluster.pod("queued-2").await;
    cluster.set_pod("own-1", ended("Succeeded", 0)).await;
    let job = cluster.state("own-2", ProwJobState::Pending).await;
    assert_eq!(description(&job), "Job triggered.");
    cluster.set_pod("there-1", ended("Failed", 1)).await;
    cluster.pod("there-2").await;
}

#[tokio::test]
async fn a_queue_that_nobody_knows_is_named_until_it_is_known() {
    let cluster = Cluster::with_plank().await;
    cluster
        .trigger("pj", json!({"job_queue_name": "later"}))
        .await;
    let text = "Waiting: job queue later is not in plank.job_queue_capacities.";
    waits(&cluster, "pj", text).await;
    cluster.publish(json!({"job_queue_capacities": {"later": -1}}));
    cluster.pod("pj").await;
}

#[tokio::test]
async fn jobs_that_were_there_first_go_first_and_the_limit_holds() {
    let mut cluster = Cluster::new().await;
    cluster.publish(json!({"max_concurrency": 2}));
    for number in 0..6 {
        let name = format!("pj-{number}");
        let mut job = prowjob(&name, json!({"job": name}));
        let time = format!("2026-08-01T00:00:0{number}Z").parse().unwrap();
        job.status.as_mut().unwrap().start_time = Some(Time(time));
        cluster.create(job).await;
    }
    cluster.start_plank();
    for number in 0..6 {
        let name = format!("pj-{number}");
        cluster.pod(&name).await;
        let pods = cluster.pods().list(&ListParams::default()).await.unwrap();
        let going = pods.items.iter().filter(|pod| {
            let phase = pod.status.as_ref().and_then(|it| it.phase.clone());
            phase.as_deref() != Some("Succeeded")
        });
        let going: Vec<String> = going.map(ResourceExt::name_any).collect();
        assert!(going.len() <= 2, "{going:?} at once");
        cluster.set_pod(&name, ended("Succeeded", 0)).await;
        cluster.complete(&name).await;
    }
}
