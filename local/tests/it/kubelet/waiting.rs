//! Pods that cannot start yet, or never can.

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;
use kube::api::PostParams;
use local::kubelet::Isolation::{Namespaces, Translate};
use serde_json::json;

use super::machine::{Machine, ended, phase, shell, waiting};

#[tokio::test]
async fn a_secret_that_comes_late_is_waited_for() {
    for isolation in [Namespaces, Translate] {
        let machine = Machine::start(isolation).await;
        let mut container = json!({"name": "test", "image": "debian", "command": ["sh", "-c", "cat $0 $1; echo $KEY", "/secrets/token", "/projected/token"]});
        container["volumeMounts"] = json!([
            {"name": "token", "mountPath": "/secrets"},
            {"name": "all", "mountPath": "/projected"},
        ]);
        container["env"] = json!([{"name": "KEY", "valueFrom": {"configMapKeyRef": {"name": "later", "key": "k"}}}]);
        let volumes = json!([
            {"name": "token", "secret": {"secretName": "late", "defaultMode": 256}},
            {"name": "all", "projected": {"sources": [
                {"secret": {"name": "late"}},
                {"configMap": {"name": "later", "optional": true}},
            ]}},
        ]);
        machine
            .pod(
                "patient",
                json!({"volumes": volumes, "containers": [container]}),
            )
            .await;

        let pod = machine.wait("patient", |pod| waiting(pod).is_some()).await;
        let expected = (
            "ContainerCreating".to_owned(),
            "MountVolume.SetUp failed for volume \"token\": secret \"late\" not found".to_owned(),
        );
        assert_eq!((phase(&pod), waiting(&pod)), ("Pending", Some(expected)));

        let secret: Secret = serde_json::from_value(
            json!({"metadata": {"name": "late"}, "data": {"token": "aGkK"}}),
        )
        .unwrap();
        Api::default_namespaced(machine.client.clone())
            .create(&PostParams::default(), &secret)
            .await
            .unwrap();
        let config_error = |reason: &str| reason == "CreateContainerConfigError";
        let pod = machine
            .wait("patient", |pod| {
                waiting(pod).is_some_and(|(reason, _)| config_error(&reason))
            })
            .await;
        assert_eq!(waiting(&pod).unwrap().1, "configmap \"later\" not found");

        let map: ConfigMap =
            serde_json::from_value(json!({"metadata": {"name": "later"}, "data": {"k": "there"}}))
                .unwrap();
        Api::default_namespaced(machine.client.clone())
            .create(&PostParams::default(), &map)
            .await
            .unwrap();
        assert_eq!(phase(&machine.over("patient").await), "Succeeded");
        assert_eq!(machine.log("patient").await, "hi\nhi\nthere\n");
    }
}

#[tokio::test]
async fn what_is_not_supported_is_refused_with_the_reason() {
    let machine = Machine::start(Namespaces).await;
    let cases = [
        (
            "flags",
            json!({"containers": [{"name": "test", "image": "tool", "args": ["--flag"]}]}),
            "UnsupportedImage",
            "\"tool\"",
        ),
        (
            "image",
            json!({"containers": [{"name": "test", "image": "nginx"}]}),
            "UnsupportedImage",
            "\"nginx\"",
        ),
        (
            "host",
            json!({"volumes": [{"name": "h", "hostPath": {"path": "/"}}], "containers": [shell("test", ":")]}),
            "UnsupportedPodSpec",
            "volume h",
        ),
    ];
    for (name, spec, reason, part) in cases {
        machine.pod(name, spec).await;
        let status = machine.over(name).await.status.unwrap();
        let message = status.message.unwrap();
        assert_eq!(
            (status.phase.as_deref(), status.reason.as_deref()),
            (Some("Failed"), Some(reason))
        );
        assert!(message.contains(part), "{message}");
    }
}

#[tokio::test]
async fn a_program_that_is_not_there_is_a_start_error() {
    for isolation in [Namespaces, Translate] {
        let machine = Machine::start(isolation).await;
        machine.pod("absent", json!({"containers": [{"name": "c", "image": "i", "command": ["no-such-program"]}]})).await;
        let pod = machine.over("absent").await;
        let ended = ended(&pod);
        assert_eq!(
            (phase(&pod), ended.exit_code, ended.reason.as_deref()),
            ("Failed", 128, Some("StartError"))
        );
        let message = ended.message.unwrap();
        assert!(
            message.contains("no-such-program") && message.contains("No such file"),
            "{message}"
        );
    }
}
