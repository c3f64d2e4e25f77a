//! What containers see of the machine, and of each other.

use std::path::Path;

use local::kubelet::Isolation::{Namespaces, Translate};
use serde_json::json;

use super::machine::{Machine, marker, phase, shell};

#[tokio::test]
async fn pods_side_by_side_never_share_a_path() {
    let machine = Machine::start(Namespaces).await;
    let name = format!("kubelet-test-{}", marker());
    // Each writes everywhere, waits for the other, and still finds its own files.
    let script = |word: &str| {
        format!(
            "set -e; for dir in /tmp /var/tmp /home /root /run /etc /opt /dev/shm /work; do mkdir -p $dir; echo {word} > $dir/{name}; done
             sleep 0.5; sort -u /tmp/{name} /var/tmp/{name} /home/{name} /root/{name} /run/{name} /etc/{name} /opt/{name} /dev/shm/{name} /work/{name}"
        )
    };
    let pod = |word: &str| {
        let mut container = shell("test", &script(word));
        container["volumeMounts"] = json!([{"name": "work", "mountPath": "/work"}]);
        json!({"volumes": [{"name": "work", "emptyDir": {}}], "containers": [container]})
    };
    machine.pod("left", pod("left")).await;
    machine.pod("right", pod("right")).await;
    for word in ["left", "right"] {
        let pod = machine.over(word).await;
        assert_eq!(
            (phase(&pod), machine.log(word).await),
            ("Succeeded", format!("{word}\n"))
        );
    }
    for dir in [
        "/tmp", "/var/tmp", "/home", "/root", "/run", "/etc", "/opt", "/dev/shm", "/work",
    ] {
        assert!(
            !Path::new(dir).join(&name).exists(),
            "{dir} of the machine was written to"
        );
    }
}

#[tokio::test]
async fn a_container_sees_its_own_processes_and_not_the_runners_files() {
    let machine = Machine::start(Namespaces).await;
    let state = machine.dir.path().join("state").display().to_string();
    machine.script("view", &format!("ls -d /proc/[0-9]* | wc -l | xargs test 9 -gt && ls -A {state} 2>/dev/null; hostname; git --version >/dev/null && echo tools")).await;
    machine.over("view").await;
    assert_eq!(machine.log("view").await, "view\ntools\n");
}

#[tokio::test]
async fn volumes_are_at_their_paths_with_sub_paths_and_read_only() {
    let machine = Machine::start(Namespaces).await;
    let mut container = shell(
        "test",
        "echo 1 > /a/deep/x; cat /b/x; (echo 2 > /ro/x) 2>/dev/null || echo refused; pwd",
    );
    container["workingDir"] = "/a/made/here".into();
    container["volumeMounts"] = json!([
        {"name": "v", "mountPath": "/a/deep", "subPath": "s"}, {"name": "w", "mountPath": "/a"},
        {"name": "v", "mountPath": "/b", "subPath": "s"}, {"name": "v", "mountPath": "/ro", "readOnly": true}]);
    machine.pod("paths", json!({"volumes": [{"name": "v", "emptyDir": {}}, {"name": "w", "emptyDir": {"medium": "Memory"}}], "containers": [container]})).await;
    machine.over("paths").await;
    assert_eq!(machine.log("paths").await, "1\nrefused\n/a/made/here\n");
}

#[tokio::test]
async fn without_namespaces_paths_are_translated_in_words_and_options() {
    let machine = Machine::start(Translate).await;
    let mut container = json!({"name": "test", "image": "debian", "command": ["sh", "-c", "echo hi > $0; cat \"$FILE\"; echo \"$TEST_OPTIONS\"", "/logs/out"]});
    container["env"] = json!([{"name": "FILE", "value": "/logs/out"}, {"name": "TEST_OPTIONS", "value": "{\"log\":\"/logs/out\"}"}]);
    container["volumeMounts"] = json!([{"name": "logs", "mountPath": "/logs"}]);
    let pod = machine
        .pod(
            "words",
            json!({"volumes": [{"name": "logs", "emptyDir": {}}], "containers": [container]}),
        )
        .await;
    machine.over("words").await;
    let state = machine.dir.path().canonicalize().unwrap().join("state");
    let file = state
        .join("pods")
        .join(pod.metadata.uid.unwrap())
        .join("volumes/logs/out");
    assert_eq!(
        machine.log("words").await,
        format!("hi\n{{\"log\":\"{}\"}}\n", file.display())
    );
}
