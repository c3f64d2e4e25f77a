//! Pods that are ended from outside. None of their processes may stay.

use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use kube::api::{DeleteParams, Patch, PatchParams, WatchEvent, WatchParams};
use local::kubelet::Isolation::{Namespaces, Translate};
use serde_json::json;

use super::machine::{Machine, ended, marker, phase, processes, shell};

/// A script whose processes do not want to end: they ignore SIGTERM, and one is in a session of its
/// own.
fn stubborn(marker: &str) -> String {
    format!(
        "trap '' TERM; (setsid sh -c 'sleep {marker} &' &); sleep {marker} & echo up; while :; do sleep {marker}; done"
    )
}

#[tokio::test]
async fn a_deleted_pod_is_asked_to_end_and_then_ended_with_all_it_started() {
    for isolation in [Namespaces, Translate] {
        let machine = Machine::start(isolation).await;
        let marker = marker();
        let pod = machine.script("deaf", &stubborn(&marker)).await;
        machine.follow("deaf", "up").await;
        assert!(processes(&marker) > 0);
        machine.delete("deaf", 1).await;
        machine.gone(&pod).await;
        assert_eq!(processes(&marker), 0);
        let uid = pod.metadata.uid.unwrap();
        for dir in ["state/pods", "logs/default"] {
            let left = machine.dir.path().join(dir).join(&uid);
            for _ in 0..100 {
                if !left.exists() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            assert!(!left.exists(), "{dir} keeps the pod's files");
        }
    }
}

#[tokio::test]
async fn a_pod_that_listens_has_its_grace_period() {
    for isolation in [Namespaces, Translate] {
        let machine = Machine::start(isolation).await;
        let mut events = machine
            .pods()
            .watch(&WatchParams::default(), "0")
            .await
            .unwrap()
            .boxed();
        let pod = machine
            .script(
                "polite",
                "trap 'echo bye; exit 5' TERM; echo up; while :; do sleep 0.05; done",
            )
            .await;
        machine.follow("polite", "up").await;
        machine.delete("polite", 30).await;
        machine.gone(&pod).await;
        let mut last = None;
        while let Some(event) = events.try_next().await.unwrap() {
            match event {
                WatchEvent::Modified(pod) => last = Some(pod),
                WatchEvent::Deleted(_) => break,
                _ => {}
            }
        }
        let last = last.unwrap();
        assert_eq!((phase(&last), ended(&last).exit_code), ("Failed", 5));
    }
}

#[tokio::test]
async fn what_a_container_leaves_behind_ends_with_it() {
    for isolation in [Namespaces, Translate] {
        let machine = Machine::start(isolation).await;
        let marker = marker();
        machine
            .script(
                "leaves",
                &format!("(setsid sleep {marker} >/dev/null 2>&1 &); sleep {marker} & echo done"),
            )
            .await;
        assert_eq!(phase(&machine.over("leaves").await), "Succeeded");
        assert_eq!(
            (processes(&marker), machine.log("leaves").await),
            (0, "done\n".to_owned())
        );
    }
}

#[tokio::test]
async fn a_pod_past_its_deadline_fails() {
    let machine = Machine::start(Namespaces).await;
    machine
        .pod(
            "slow",
            json!({"activeDeadlineSeconds": 1, "containers": [shell("test", "sleep 1000")]}),
        )
        .await;
    let pod = machine.over("slow").await;
    assert_eq!(
        (phase(&pod), pod.status.as_ref().unwrap().reason.as_deref()),
        ("Failed", Some("DeadlineExceeded"))
    );
}

#[tokio::test]
async fn a_deadline_that_comes_later_ends_the_pod_and_keeps_its_log() {
    let machine = Machine::start(Namespaces).await;
    machine.script("slow", "echo up; sleep 1000").await;
    machine.follow("slow", "up").await;
    let patch = Patch::Merge(json!({"spec": {"activeDeadlineSeconds": 1}}));
    let pods = machine.pods();
    pods.patch("slow", &PatchParams::default(), &patch)
        .await
        .unwrap();
    let pod = machine.over("slow").await;
    assert_eq!(
        (phase(&pod), pod.status.as_ref().unwrap().reason.as_deref()),
        ("Failed", Some("DeadlineExceeded"))
    );
    assert_eq!(machine.log("slow").await, "up\n");
}

#[tokio::test]
async fn after_a_crash_processes_are_ended_and_the_pod_is_lost() {
    for isolation in [Namespaces, Translate] {
        let mut machine = Machine::start(isolation).await;
        let marker = marker();
        machine.script("running", &stubborn(&marker)).await;
        machine.follow("running", "up").await;
        let mut waiting = shell("test", "echo started");
        waiting["env"] =
            json!([{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]);
        machine
            .pod("waiting", json!({"containers": [waiting]}))
            .await;
        machine
            .wait("waiting", |pod| super::machine::waiting(pod).is_some())
            .await;
        machine.crash().await;
        assert!(
            processes(&marker) > 0,
            "a crash must leave processes, or this shows nothing"
        );

        machine.start_again();
        let pod = machine.over("running").await;
        assert_eq!(processes(&marker), 0);
        let status = pod.status.as_ref().unwrap();
        assert_eq!(
            (phase(&pod), status.reason.as_deref()),
            ("Failed", Some("NodeLost"))
        );
        assert_eq!(ended(&pod).exit_code, 137);

        // A pod that has not run anything is run.
        let secret =
            serde_json::from_value(json!({"metadata": {"name": "s"}, "stringData": {"k": "v"}}))
                .unwrap();
        let secrets = kube::Api::<k8s_openapi::api::core::v1::Secret>::default_namespaced(
            machine.client.clone(),
        );
        secrets
            .create(&kube::api::PostParams::default(), &secret)
            .await
            .unwrap();
        assert_eq!(phase(&machine.over("waiting").await), "Succeeded");
    }
}

#[tokio::test]
async fn shutting_down_ends_everything_that_runs() {
    for isolation in [Namespaces, Translate] {
        let mut machine = Machine::start(isolation).await;
        let marker = marker();
        machine.script("running", &stubborn(&marker)).await;
        machine.follow("running", "up").await;
        machine.stop().await;
        assert_eq!(processes(&marker), 0);
    }
}

#[tokio::test]
async fn a_pod_that_is_over_is_removed_at_once_and_its_name_is_free() {
    let machine = Machine::start(Namespaces).await;
    for round in ["one", "two"] {
        let pod = machine.script("again", &format!("echo {round}")).await;
        machine.over("again").await;
        assert_eq!(machine.log("again").await, format!("{round}\n"));
        machine
            .pods()
            .delete("again", &DeleteParams::default())
            .await
            .unwrap();
        machine.gone(&pod).await;
    }
}
