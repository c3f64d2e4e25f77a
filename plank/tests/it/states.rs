//! A job's states, with a pod whose status the test sets.

use std::time::Instant;

use common::{prowjob::ProwJobState, storage::token};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, api::DeleteParams};
use serde_json::json;

use crate::cluster::{Cluster, build_id, description, ended, label, presubmit};

#[tokio::test]
async fn a_job_gets_its_pod_at_once_and_ends_with_it() {
    let cluster = Cluster::with_plank().await;
    cluster.trigger("warm", json!({})).await;
    cluster.pod("warm").await;

    let asked = Instant::now();
    cluster.trigger("pj", json!({})).await;
    let pod = cluster.pod("pj").await;
    assert!(
        asked.elapsed().as_millis() < 1000,
        "took {:?}",
        asked.elapsed()
    );

    let job = cluster.state("pj", ProwJobState::Pending).await;
    let status = job.status.clone().unwrap();
    assert_eq!(description(&job), "Job triggered.");
    assert_eq!(status.pod_name, "pj");
    assert!(status.pending_time.is_some());
    assert_eq!(
        status.url,
        format!("http://deck/view/prowjob/unit/{}", status.build_id)
    );
    assert_eq!(label(&pod, "prow.k8s.io/build-id"), status.build_id);
    assert_eq!(label(&pod, "prow.k8s.io/id"), "pj");

    cluster.set_pod("pj", ended("Succeeded", 0)).await;
    let job = cluster.complete("pj").await;
    assert_eq!(
        (job.state(), description(&job)),
        (ProwJobState::Success, "Job succeeded.")
    );
}

#[tokio::test]
async fn a_failed_pod_fails_its_job_and_the_end_stays() {
    let cluster = Cluster::with_plank().await;
    cluster.trigger("pj", json!({})).await;
    cluster.pod("pj").await;
    cluster.set_pod("pj", ended("Failed", 1)).await;
    let ended = cluster.complete("pj").await;
    assert_eq!(
        (ended.state(), description(&ended)),
        (
            ProwJobState::Failure,
            "Job failed. Container test ended with exit code 1."
        )
    );
    cluster
        .pods()
        .delete("pj", &DeleteParams::default().grace_period(0))
        .await
        .unwrap();
    cluster.rest().await;
    assert_eq!(cluster.jobs().get("pj").await.unwrap().status, ended.status);
    assert!(cluster.pods().get_opt("pj").await.unwrap().is_none());
}

#[tokio::test]
async fn an_evicted_pod_is_replaced_and_counted() {
    let cluster = Cluster::with_plank().await;
    cluster.trigger("pj", json!({})).await;
    let first = cluster.pod("pj").await;
    cluster
        .set_pod("pj", json!({"phase": "Failed", "reason": "Evicted"}))
        .await;
    cluster.pod_gone(&first).await;
    let second = cluster.pod("pj").await;
    let job = cluster.jobs().get("pj").await.unwrap();
    assert_eq!(job.state(), ProwJobState::Pending);
    assert_eq!(job.pod_revival_count(), 1);
    assert_ne!(label(&first, "prow.k8s.io/build-id"), build_id(&job));
    assert_eq!(label(&second, "prow.k8s.io/build-id"), build_id(&job));
}

#[tokio::test]
async fn an_aborted_job_is_complete_when_its_pod_is_gone() {
    let cluster = Cluster::with_plank().await;
    cluster.trigger("pj", json!({})).await;
    let pod = cluster.pod("pj").await;
    cluster
        .patch_job(
            "pj",
            json!({"status": {"state": "aborted", "description": "by hand"}}),
        )
        .await;
    let deleting = cluster.job("pj", "a pod that is ending", |_| true).await;
    assert_eq!(deleting.state(), ProwJobState::Aborted);
    // The embedded API keeps a pod that is being deleted until the runner confirms.
    for _ in 0..400 {
        match cluster.pods().get_opt("pj").await.unwrap() {
            Some(pod) if pod.metadata.deletion_timestamp.is_none() => {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            Some(_) => {
                let job = cluster.jobs().get("pj").await.unwrap();
                let now = DeleteParams::default().grace_period(0);
                match cluster.pods().delete("pj", &now).await {
                    Ok(_) => assert!(!job.is_complete(), "its pod was still there"),
                    // A real API does not keep a pod that no node has.
                    Err(kube::Error::Api(status)) if status.code == 404 => {}
                    Err(error) => panic!("{error}"),
                }
                break;
            }
            None => break,
        }
    }
    cluster.pod_gone(&pod).await;
    let job = cluster.complete("pj").await;
    assert_eq!(
        (job.state(), description(&job)),
        (ProwJobState::Aborted, "by hand")
    );
}

#[tokio::test]
async fn a_newer_push_aborts_the_older_run() {
    let cluster = Cluster::with_plank().await;
    cluster.trigger("old", presubmit(1, "a")).await;
    let pod = cluster.pod("old").await;
    cluster.trigger("other", presubmit(2, "a")).await;
    cluster.trigger("new", presubmit(1, "b")).await;
    cluster.pod("new").await;
    let old = cluster.state("old", ProwJobState::Aborted).await;
    let told = &old.status.as_ref().unwrap().prev_report_states["github-reporter"];
    assert_eq!(
        *told,
        ProwJobState::Aborted,
        "its status would hide the newer run's"
    );
    let _ = cluster
        .pods()
        .delete("old", &DeleteParams::default().grace_period(0))
        .await;
    cluster.pod_gone(&pod).await;
    cluster.complete("old").await;
    for name in ["other", "new"] {
        assert_eq!(
            cluster.jobs().get(name).await.unwrap().state(),
            ProwJobState::Pending
        );
    }
}

#[tokio::test]
async fn limits_hold_and_an_end_starts_the_next() {
    let cluster = Cluster::with_plank().await;
    cluster
        .trigger("first", json!({"max_concurrency": 1}))
        .await;
    cluster.pod("first").await;
    cluster
        .trigger("second", json!({"max_concurrency": 1}))
        .await;
    cluster.rest().await;
    assert_eq!(
        cluster.jobs().get("second").await.unwrap().state(),
        ProwJobState::Triggered
    );
    cluster.set_pod("first", ended("Succeeded", 0)).await;
    cluster.pod("second").await;

    cluster.publish(json!({"max_concurrency": 1}));
    cluster.trigger("third", json!({"job": "other"})).await;
    cluster.rest().await;
    assert_eq!(
        cluster.jobs().get("third").await.unwrap().state(),
        ProwJobState::Triggered
    );
    cluster.publish(json!({}));
    cluster.pod("third").await;
}

#[tokio::test]
async fn what_can_never_run_says_why_and_holds_up_nothing() {
    let cluster = Cluster::with_plank().await;
    cluster.trigger("nowhere", json!({"cluster": "mars"})).await;
    cluster.trigger("podless", json!({"pod_spec": null})).await;
    cluster.trigger("fine", json!({})).await;
    for (name, text) in [
        (
            "nowhere",
            "Terminal error: no client for build cluster \"mars\".",
        ),
        ("podless", "Pod can not be created: the job has no pod_spec"),
    ] {
        let job = cluster.complete(name).await;
        assert_eq!(
            (job.state(), description(&job)),
            (ProwJobState::Error, text)
        );
    }
    cluster.pod("fine").await;
}

#[tokio::test]
async fn a_pod_that_cannot_start_ends_its_job_and_is_deleted() {
    let cluster = Cluster::with_plank().await;
    cluster.trigger("pj", json!({})).await;
    let pod = cluster.pod("pj").await;
    let status = json!({
        "phase": "Pending", "startTime": Timestamp::now(),
        "containerStatuses": [{
            "name": "test", "image": "img", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": "InvalidImageName", "message": "bad reference"}},
        }],
    });
    cluster.set_pod("pj", status).await;
    let job = cluster.complete("pj").await;
    assert_eq!(job.state(), ProwJobState::Error);
    assert_eq!(
        description(&job),
        "Pod could not start: container test: InvalidImageName: bad reference"
    );
    let _ = cluster
        .pods()
        .delete("pj", &DeleteParams::default().grace_period(0))
        .await;
    cluster.pod_gone(&pod).await;
}

#[tokio::test]
async fn results_in_decks_storage_get_a_token_for_their_own_folder() {
    let cluster = Cluster::with_plank().await;
    cluster
        .trigger("pj", json!({"decoration_config": {
            "skip_cloning": true,
            "utility_images": {"clonerefs": "c", "initupload": "i", "entrypoint": "e", "sidecar": "s"},
            "gcs_configuration": {"bucket": "http://deck/storage", "path_strategy": "explicit"},
        }}))
        .await;
    let pod = cluster.pod("pj").await;
    let job = cluster.state("pj", ProwJobState::Pending).await;
    let run = build_id(&job).to_owned();
    assert_eq!(
        job.status.unwrap().url,
        format!("http://deck/view/storage/logs/unit/{run}"),
        "Deck shows it from its own storage"
    );
    let secrets: Api<Secret> = Api::default_namespaced(cluster.client.clone());
    let mut found = None;
    for _ in 0..400 {
        found = secrets.get_opt(&format!("pj-storage-{run}")).await.unwrap();
        if found.is_some() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let secret = found.expect("the secret is made");
    assert_eq!(
        secret.metadata.owner_references.as_ref().unwrap()[0].uid,
        pod.metadata.uid.unwrap()
    );
    let token = match (&secret.data, &secret.string_data) {
        (Some(data), _) => String::from_utf8(data["token"].0.clone()).unwrap(),
        (None, Some(text)) => text["token"].clone(),
        (None, None) => panic!("the secret is empty"),
    };
    let keys = cluster.storage_key().read_keys().unwrap();
    let grant = token::verify_token(&keys, &token, Timestamp::now()).unwrap();
    assert_eq!(grant.folder(), format!("logs/unit/{run}"));
    // For as long as the pod may live, and not for ever.
    let later = |hours| Timestamp::now() + SignedDuration::from_hours(hours);
    assert!(token::verify_token(&keys, &token, later(48)).is_ok());
    assert!(token::verify_token(&keys, &token, later(50)).is_err());
}
