//! Pods that run to their end.

use local::kubelet::Isolation::{Namespaces, Translate};
use serde_json::json;

use super::machine::{Machine, ended, phase, shell};

#[tokio::test]
async fn a_pod_succeeds_and_its_log_can_be_followed() {
    for isolation in [Namespaces, Translate] {
        let machine = Machine::start(isolation).await;
        machine
            .script("good", "echo one; echo two >&2; sleep 0.2; echo three")
            .await;
        machine.follow("good", "three").await;
        let pod = machine.over("good").await;
        assert_eq!(
            (
                phase(&pod),
                ended(&pod).exit_code,
                ended(&pod).reason.as_deref()
            ),
            ("Succeeded", 0, Some("Completed"))
        );
        assert_eq!(machine.log("good").await, "one\ntwo\nthree\n");
        assert_eq!(pod.spec.unwrap().node_name.as_deref(), Some("local"));
    }
}

#[tokio::test]
async fn a_pod_fails_with_its_exit_code_and_last_words() {
    for isolation in [Namespaces, Translate] {
        let machine = Machine::start(isolation).await;
        let mut container = shell("test", "echo it is broken; exit 7");
        container["terminationMessagePolicy"] = "FallbackToLogsOnError".into();
        machine.pod("bad", json!({"containers": [container]})).await;
        machine.script("killed", "kill -9 $$$$").await;
        let pod = machine.over("bad").await;
        assert_eq!((phase(&pod), ended(&pod).exit_code), ("Failed", 7));
        assert_eq!(ended(&pod).message.as_deref(), Some("it is broken\n"));
        assert_eq!(ended(&machine.over("killed").await).exit_code, 137);
        // Without its own root a container would write to the machine's.
        if isolation == Namespaces {
            machine
                .script("told", "printf reason > /dev/termination-log; exit 1")
                .await;
            let long = "head -c 5000 /dev/zero | tr '\\0' x > /dev/termination-log; printf reason >> /dev/termination-log; exit 1";
            machine.script("long", long).await;
            assert_eq!(
                ended(&machine.over("told").await).message.as_deref(),
                Some("reason")
            );
            // As in kubelet, the end of a message that is too long is kept.
            let long = ended(&machine.over("long").await).message.clone();
            assert_eq!(long, Some("x".repeat(4090) + "reason"));
        }
    }
}

#[tokio::test]
async fn init_containers_run_one_after_the_other_and_sidecars_beside() {
    for isolation in [Namespaces, Translate] {
        let machine = Machine::start(isolation).await;
        let on_volume = |mut container: serde_json::Value| {
            container["volumeMounts"] = json!([{"name": "work", "mountPath": "/work-of-test"}]);
            container["workingDir"] = "/work-of-test".into();
            container
        };
        let mut proxy = on_volume(shell(
            "proxy",
            "trap 'echo bye; exit 0' TERM; touch up; while :; do sleep 0.05; done",
        ));
        proxy["restartPolicy"] = "Always".into();
        let pod = json!({
            "volumes": [{"name": "work", "emptyDir": {}}],
            "initContainers": [on_volume(shell("first", "sleep 0.1; echo 1 >> order")), proxy, on_volume(shell("second", "echo 2 >> order"))],
            "containers": [on_volume(shell("test", "while ! [ -e up ]; do sleep 0.05; done; echo 3 >> order; cat order")), shell("other", ":")],
        });
        machine.pod("turns", pod).await;
        let pod = machine.over("turns").await;
        assert_eq!(phase(&pod), "Succeeded");
        let params = kube::api::LogParams {
            container: Some("test".to_owned()),
            ..kube::api::LogParams::default()
        };
        assert_eq!(
            machine.pods().logs("turns", &params).await.unwrap(),
            "1\n2\n3\n"
        );
        let init = pod.status.unwrap().init_container_statuses.unwrap();
        assert!(
            init.iter().all(|status| status
                .state
                .as_ref()
                .unwrap()
                .terminated
                .as_ref()
                .unwrap()
                .exit_code
                == 0),
            "{init:?}"
        );
    }
}

#[tokio::test]
async fn a_failed_init_container_fails_the_pod_before_its_containers_run() {
    let machine = Machine::start(Namespaces).await;
    let pod = json!({"initContainers": [shell("clone", "exit 3")], "containers": [shell("test", "echo never")]});
    machine.pod("early", pod).await;
    let pod = machine.over("early").await;
    assert_eq!(phase(&pod), "Failed");
    let state = pod.status.unwrap().container_statuses.unwrap()[0]
        .state
        .clone()
        .unwrap();
    assert_eq!(
        state.waiting.unwrap().reason.as_deref(),
        Some("PodInitializing")
    );
}

#[tokio::test]
async fn the_environment_is_the_pods_and_path_alone() {
    assert!(
        std::env::var_os("HOME").is_some(),
        "HOME must be set here, or this shows nothing"
    );
    for isolation in [Namespaces, Translate] {
        let machine = Machine::start(isolation).await;
        let env = json!([{"name": "A", "value": "1"}, {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}, {"name": "B", "value": "$(A)$(POD)"}]);
        machine.pod("env", json!({"containers": [{"name": "c", "image": "i", "command": ["env"], "env": env}]})).await;
        machine.over("env").await;
        let log = machine.log("env").await;
        let mut lines: Vec<_> = log.lines().collect();
        lines.sort_unstable();
        let path = format!("PATH={}", std::env::var("PATH").unwrap());
        assert_eq!(lines, ["A=1", "B=1env", &path, "POD=env"]);
        machine
            .script("files", "ls /proc/self/fd; cat; umask")
            .await;
        machine.over("files").await;
        assert_eq!(machine.log("files").await, "0\n1\n2\n3\n0022\n");
    }
}

#[tokio::test]
async fn a_utility_image_runs_its_binary_by_its_name() {
    for isolation in [Namespaces, Translate] {
        let machine = Machine::start(isolation).await;
        machine.pod("utility", json!({"containers": [{"name": "c", "image": "registry/clonerefs:1", "args": ["-c", "echo $0"]}]})).await;
        assert_eq!(phase(&machine.over("utility").await), "Succeeded");
        assert_eq!(machine.log("utility").await, "clonerefs\n");
    }
}
