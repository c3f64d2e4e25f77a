//! Obstacles to the end of a run, which ends all the same.

use std::time::Duration;

use common::prowjob::ProwJobState;
use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::Time};
use kube::{
    ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use local::testing::SCHEDULER;
use serde_json::{Value, json};

use crate::{
    cluster::{Cluster, build_id, description, ended, label, prowjob},
    gate::{Gate, Passage},
};

const FINALIZER: &str = "prow.x-k8s.io/gcsk8sreporter";

async fn make_pod(cluster: &Cluster, name: &str) -> Pod {
    let pod = json!({
        "metadata": {
            "name": name,
            "labels": {
                "created-by-prow": "true", "prow.k8s.io/id": name, "prow.k8s.io/build-id": "41",
            },
        },
        "spec": {"schedulerName": SCHEDULER, "containers": [{"name": "test", "image": "img"}]},
    });
    let pod = serde_json::from_value(pod).unwrap();
    let pods = cluster.pods();
    pods.create(&PostParams::default(), &pod).await.unwrap()
}

/// Sets finalizers, as crier does when a job is pending.
async fn hold(cluster: &Cluster, name: &str, finalizers: Value) {
    let patch = Patch::Merge(json!({"metadata": {"finalizers": finalizers}}));
    let pods = cluster.pods();
    pods.patch_metadata(name, &PatchParams::default(), &patch)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_drained_pod_that_crier_holds_is_replaced() {
    let cluster = Cluster::with_plank().await;
    cluster.trigger("pj", json!({})).await;
    let first = cluster.pod("pj").await;
    hold(&cluster, "pj", json!([FINALIZER])).await;
    let drained = json!({"phase": "Running", "conditions": [{
        "type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
    }]});
    cluster.set_pod("pj", drained).await;
    let now = DeleteParams::default().grace_period(0);
    cluster.pods().delete("pj", &now).await.unwrap();
    cluster.pod_gone(&first).await;
    let second = cluster.pod("pj").await;
    let job = cluster.state("pj", ProwJobState::Pending).await;
    assert_eq!(label(&second, "prow.k8s.io/build-id"), build_id(&job));
    assert_eq!(job.pod_revival_count(), 1);
}

#[tokio::test]
async fn an_aborted_jobs_pod_is_kept_for_crier_and_does_not_keep_the_job() {
    let cluster = Cluster::with_plank().await;
    cluster.trigger("pj", json!({})).await;
    cluster.pod("pj").await;
    hold(&cluster, "pj", json!([FINALIZER])).await;
    let aborted = json!({"status": {"state": "aborted"}});
    cluster.patch_job("pj", aborted).await;
    cluster.complete("pj").await;
    cluster.rest().await;
    let pod = cluster.pod("pj").await;
    assert!(pod.metadata.deletion_timestamp.is_some(), "it is ended");
    assert_eq!(
        pod.finalizers(),
        [FINALIZER],
        "podinfo.json is yet to be written"
    );
    hold(&cluster, "pj", json!([])).await;
    cluster.pod_gone(&pod).await;
}

#[tokio::test]
async fn a_name_that_is_no_label_is_no_obstacle() {
    let cluster = Cluster::with_plank().await;
    let name = "4.9.0-0.ci-2021-08-30-101920-gcp-zstream-upgrade-build02-analysis-3";
    cluster.trigger(name, json!({"max_concurrency": 1})).await;
    let pod = cluster.pod(name).await;
    assert!(!pod.labels().contains_key("prow.k8s.io/id"));
    cluster.set_pod(name, ended("Succeeded", 0)).await;
    let job = cluster.complete(name).await;
    assert_eq!(job.state(), ProwJobState::Success);
    cluster.trigger("next", json!({"max_concurrency": 1})).await;
    cluster.pod("next").await;
}

#[tokio::test]
async fn pod_security_ends_a_job_with_the_field_to_set() {
    let mut cluster = Cluster::new().await;
    let client = Gate::default().client(&cluster.client, &cluster.on.namespace, |asked| {
        if asked.starts_with("POST") && asked.contains("/pods") {
            return Passage::Refused(
                403,
                "pods \"pj\" is forbidden: violates PodSecurity \"restricted:latest\": \
                 runAsNonRoot != true (pod or container \"test\" must set \
                 securityContext.runAsNonRoot=true)",
            );
        }
        Passage::Through
    });
    cluster.start_plank_through(client);
    cluster.trigger("pj", json!({})).await;
    let job = cluster.complete("pj").await;
    assert_eq!(job.state(), ProwJobState::Error);
    assert_eq!(
        description(&job),
        "Pod can not be created: Pod Security \"restricted:latest\" of the pods' namespace \
         forbids it. In the job's pod_spec, pod or container \"test\" must set \
         securityContext.runAsNonRoot=true."
    );
}

#[tokio::test]
async fn pods_that_cannot_be_deleted_hold_up_nobody() {
    let mut cluster = Cluster::new().await;
    for number in 0..25 {
        let name = format!("stuck-{number}");
        let mut job = prowjob(&name, json!({"job": name}));
        let status = job.status.as_mut().unwrap();
        status.state = ProwJobState::Aborted;
        status.build_id = "41".into();
        status.completion_time = Some(Time("2026-08-01T00:00:00Z".parse().unwrap()));
        cluster.create(job).await;
        make_pod(&cluster, &name).await;
    }
    let gate = Gate::default();
    let client = gate.client(&cluster.client, &cluster.on.namespace, |asked| {
        if asked.starts_with("DELETE") {
            return Passage::Refused(403, "pods is forbidden: User cannot delete resource");
        }
        Passage::Through
    });
    cluster.start_plank_through(client);
    for number in 0..25 {
        let stuck = json!({"phase": "Running"});
        cluster.set_pod(&format!("stuck-{number}"), stuck).await;
    }
    cluster.rest().await;
    cluster.trigger("pj", json!({})).await;
    cluster.pod("pj").await;
    cluster.set_pod("pj", ended("Succeeded", 0)).await;
    assert_eq!(cluster.complete("pj").await.state(), ProwJobState::Success);
    let seen = gate.seen();
    let tried = |number: u32| {
        let path = format!("/pods/stuck-{number}?");
        let mut all = seen.iter();
        all.any(|(asked, _)| asked.starts_with("DELETE") && asked.contains(&path))
    };
    assert!((0..25).all(tried), "each is tried: {seen:?}");
}

#[tokio::test]
async fn pods_of_jobs_that_nobody_knows_cost_nothing() {
    let mut cluster = Cluster::new().await;
    for number in 0..10 {
        make_pod(&cluster, &format!("foreign-{number}")).await;
    }
    let gate = Gate::default();
    let client = gate.client(&cluster.client, &cluster.on.namespace, |_| Passage::Through);
    cluster.start_plank_through(client);
    cluster.trigger("pj", json!({})).await;
    cluster.pod("pj").await;
    cluster
        .set_pod("foreign-1", json!({"phase": "Running"}))
        .await;
    cluster.rest().await;
    let seen = gate.seen();
    let asked: Vec<_> = seen
        .iter()
        .filter(|(asked, _)| asked.contains("foreign"))
        .collect();
    assert!(asked.is_empty(), "{asked:?}");
}

#[tokio::test]
async fn while_the_watch_is_silent_what_was_written_is_known() {
    let mut cluster = Cluster::new().await;
    cluster.trigger("pj", json!({})).await;
    let gate = Gate::default();
    let client = gate.client(&cluster.client, &cluster.on.namespace, |asked| {
        match asked.contains("/prowjobs?") && asked.contains("watch=") {
            true => Passage::Silence,
            false => Passage::Through,
        }
    });
    cluster.start_plank_through(client);
    cluster.pod("pj").await;
    cluster.set_pod("pj", json!({"phase": "Running"})).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    cluster.set_pod("pj", ended("Succeeded", 0)).await;
    assert_eq!(cluster.complete("pj").await.state(), ProwJobState::Success);
    let seen = gate.seen();
    let conflicts = seen.iter().filter(|(_, code)| code.as_u16() == 409).count();
    assert_eq!(conflicts, 0, "{seen:?}");
}
