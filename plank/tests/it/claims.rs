//! A start is a claim: what a plank that is killed between two steps leaves, built by hand.

use common::prowjob::ProwJobState;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    ResourceExt,
    api::{DeleteParams, PostParams},
};
use local::testing::SCHEDULER;
use serde_json::{Value, json};

use crate::cluster::{Cluster, build_id, description, ended, label};

async fn make_pod(cluster: &Cluster, labels: Value) -> Pod {
    let pod = json!({
        "metadata": {"name": "pj", "labels": labels},
        "spec": {"schedulerName": SCHEDULER, "containers": [{"name": "test", "image": "img"}]},
    });
    let pod = serde_json::from_value(pod).unwrap();
    cluster
        .pods()
        .create(&PostParams::default(), &pod)
        .await
        .unwrap()
}

fn ours(build_id: &str) -> Value {
    json!({"created-by-prow": "true", "prow.k8s.io/id": "pj", "prow.k8s.io/build-id": build_id})
}

#[tokio::test]
async fn killed_between_claim_and_pod_the_job_gets_exactly_that_pod() {
    let mut cluster = Cluster::new().await;
    cluster.trigger("pj", json!({})).await;
    let claim = json!({"status": {"state": "pending", "build_id": "41", "pod_name": "pj", "description": "Job triggered."}});
    cluster.patch_job("pj", claim).await;
    cluster.start_plank();
    assert_eq!(
        label(&cluster.pod("pj").await, "prow.k8s.io/build-id"),
        "41"
    );
    assert_eq!(build_id(&cluster.jobs().get("pj").await.unwrap()), "41");
}

#[tokio::test]
async fn killed_after_the_pod_was_made_nothing_is_made_twice() {
    let mut cluster = Cluster::with_plank().await;
    cluster.trigger("pj", json!({})).await;
    let pod = cluster.pod("pj").await;
    cluster.kill_plank().await;
    let before = cluster.jobs().get("pj").await.unwrap();
    cluster.start_plank();
    cluster.rest().await;
    assert_eq!(cluster.pod("pj").await.uid(), pod.uid());
    assert_eq!(
        cluster.jobs().get("pj").await.unwrap().status,
        before.status
    );
    cluster.set_pod("pj", ended("Succeeded", 0)).await;
    assert_eq!(cluster.complete("pj").await.state(), ProwJobState::Success);
}

#[tokio::test]
async fn a_pod_that_ended_while_plank_was_away_is_judged() {
    let mut cluster = Cluster::with_plank().await;
    cluster.trigger("pj", json!({})).await;
    cluster.pod("pj").await;
    cluster.kill_plank().await;
    cluster.set_pod("pj", ended("Failed", 3)).await;
    cluster.start_plank();
    assert_eq!(cluster.complete("pj").await.state(), ProwJobState::Failure);
}

#[tokio::test]
async fn killed_in_a_revival_the_old_pod_goes_and_the_new_one_comes() {
    let mut cluster = Cluster::new().await;
    cluster.trigger("pj", json!({})).await;
    let old = make_pod(&cluster, ours("41")).await;
    cluster
        .set_pod("pj", json!({"phase": "Failed", "reason": "NodeLost"}))
        .await;
    let revived = json!({
        "metadata": {"annotations": {"prow.k8s.io/pod-revival-count": "1"}},
        "status": {"state": "pending", "build_id": "42", "pod_name": "pj", "pod_revival_count": 1},
    });
    cluster.patch_job("pj", revived).await;
    cluster.start_plank();
    cluster.pod_gone(&old).await;
    assert_eq!(
        label(&cluster.pod("pj").await, "prow.k8s.io/build-id"),
        "42"
    );
}

#[tokio::test]
async fn a_pod_of_a_triggered_job_is_adopted_with_its_build_id() {
    let mut cluster = Cluster::new().await;
    cluster.trigger("pj", json!({})).await;
    make_pod(&cluster, ours("41")).await;
    cluster.start_plank();
    assert_eq!(
        build_id(&cluster.state("pj", ProwJobState::Pending).await),
        "41"
    );
}

#[tokio::test]
async fn a_pod_of_a_deleted_job_of_the_same_name_is_not_taken_for_the_new_ones() {
    let cluster = Cluster::with_plank().await;
    cluster.trigger("pj", json!({})).await;
    let old = cluster.pod("pj").await;
    cluster.set_pod("pj", ended("Succeeded", 0)).await;
    let first = cluster.complete("pj").await;
    cluster
        .jobs()
        .delete("pj", &DeleteParams::default())
        .await
        .unwrap();
    cluster.rest().await;

    cluster.trigger("pj", json!({})).await;
    cluster.pod_gone(&old).await;
    let second = cluster.state("pj", ProwJobState::Pending).await;
    assert_ne!(build_id(&second), build_id(&first));
    let new = cluster.pod("pj").await;
    assert_eq!(
        label(&new, "prow.k8s.io/build-id"),
        build_id(&second),
        "it runs"
    );
}

#[tokio::test]
async fn somebody_elses_pod_is_not_taken_over() {
    let mut cluster = Cluster::new().await;
    cluster.trigger("pj", json!({})).await;
    let pod = make_pod(&cluster, json!({})).await;
    cluster.start_plank();
    let job = cluster.complete("pj").await;
    assert_eq!(job.state(), ProwJobState::Error);
    assert_eq!(
        description(&job),
        "Pod can not be created: a pod named pj that was not made for this run already exists"
    );
    cluster.rest().await;
    assert_eq!(
        cluster.pod("pj").await.uid(),
        pod.uid(),
        "and it is left alone"
    );
}

#[tokio::test]
async fn an_aborted_jobs_pod_that_no_cache_knows_is_ended_all_the_same() {
    let mut cluster = Cluster::new().await;
    cluster.trigger("pj", json!({})).await;
    let pod = make_pod(&cluster, ours("41")).await;
    let aborted = json!({"status": {"state": "aborted", "build_id": "41", "pod_name": "pj"}});
    cluster.patch_job("pj", aborted).await;
    cluster.start_plank();
    cluster.pod_gone(&pod).await;
    assert_eq!(cluster.complete("pj").await.state(), ProwJobState::Aborted);
}
