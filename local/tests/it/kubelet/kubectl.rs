//! Pods as a person sees them with `kubectl`.

use std::ops::Deref;
use std::time::Duration;

use local::kubelet::Isolation::Auto;
use serde_json::{Value, json};

use super::machine::{Machine, shell};
use crate::served::Served;

struct Person {
    machine: Machine,
    kubectl: Served,
}

impl Person {
    async fn start() -> Self {
        let machine = Machine::start(Auto).await;
        let kubectl = Served::start(&machine.api, machine.dir.path()).await;
        Self { machine, kubectl }
    }

    /// Repeats a kubectl command until it prints `part`. Returns what it printed.
    async fn sees(&self, arguments: &[&str], part: &str) -> String {
        let mut printed = String::new();
        for _ in 0..200 {
            printed = self.kubectl(arguments).await;
            if printed.contains(part) {
                return printed;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("kubectl {arguments:?} never shows {part:?}: {printed}");
    }
}

impl Deref for Person {
    type Target = Served;

    fn deref(&self) -> &Served {
        &self.kubectl
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_is_run_followed_waited_for_and_described() {
    let person = Person::start().await;
    let script = "echo one; sleep 1.2; echo two";
    let run = [
        "run",
        "hello",
        "--image=busybox",
        "--restart=Never",
        "--",
        "sh",
        "-c",
        script,
    ];
    assert_eq!(person.kubectl(&run).await, "pod/hello created\n");
    let done = "--for=jsonpath={.status.phase}=Succeeded";
    person
        .kubectl(&["wait", done, "pod/hello", "--timeout=30s"])
        .await;

    assert_eq!(person.kubectl(&["logs", "-f", "hello"]).await, "one\ntwo\n");
    let stamped = person.kubectl(&["logs", "hello", "--timestamps"]).await;
    let lines: Vec<(&str, &str)> = stamped
        .lines()
        .filter_map(|line| line.split_once(' '))
        .collect();
    let [(first, "one"), (second, "two")] = lines[..] else {
        panic!("{stamped}");
    };
    let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap();
    assert!(
        at(second).duration_since(at(first)).as_millis() > 1000,
        "{stamped}"
    );
    let since = format!("--since-time={second}");
    assert_eq!(person.kubectl(&["logs", "hello", &since]).await, "two\n");
    assert_eq!(
        person
            .kubectl(&["logs", "hello", "--since=1h", "--tail=1"])
            .await,
        "two\n"
    );
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(person.kubectl(&["logs", "hello", "--since=1s"]).await, "");

    let events = person
        .sees(&["events", "--for=pod/hello"], "Started container hello")
        .await;
    for part in [
        "Successfully assigned default/hello to local",
        "Created container: hello",
    ] {
        assert!(events.contains(part), "{events}");
    }
    let described = person.kubectl(&["describe", "pod", "hello"]).await;
    assert!(described.contains("Started container hello"), "{described}");

    let nodes = person.kubectl(&["get", "nodes", "--no-headers"]).await;
    assert!(nodes.starts_with("local   Ready"), "{nodes}");
    let node = person.kubectl(&["describe", "node", "local"]).await;
    for part in [
        "KubeletReady",
        "InternalIP:  127.0.0.1",
        "cpu:",
        "HolderIdentity:  local",
    ] {
        assert!(node.contains(part), "{part} is not in {node}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_may_is_started_again_and_says_so() {
    let person = Person::start().await;
    let run = [
        "run",
        "again",
        "--image=busybox",
        "--",
        "sh",
        "-c",
        "echo run; exit 3",
    ];
    person.kubectl(&run).await;
    let table = person
        .sees(&["get", "pod", "again"], "CrashLoopBackOff")
        .await;
    assert!(table.contains("1 ("), "{table}");
    assert_eq!(
        person.kubectl(&["logs", "again", "--previous"]).await,
        "run\n"
    );
    assert_eq!(person.kubectl(&["logs", "-f", "again"]).await, "run\n");
    let described = person.sees(&["describe", "pod", "again"], "BackOff").await;
    for part in [
        "Last State:",
        "Exit Code:    3",
        "Restart Count:  1",
        "(x2 over",
    ] {
        assert!(described.contains(part), "{part} is not in {described}");
    }
    person
        .kubectl(&["delete", "pod", "again", "--timeout=30s"])
        .await;

    let once = json!({"restartPolicy": "OnFailure", "containers": [shell("test", "echo fine")]});
    person.machine.pod("once", once).await;
    let done = "--for=jsonpath={.status.phase}=Succeeded";
    person
        .kubectl(&["wait", done, "pod/once", "--timeout=30s"])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_does_not_run_says_why_wherever_one_asks() {
    let person = Person::start().await;
    person.kubectl(&["run", "web", "--image=nginx"]).await;
    person
        .sees(&["get", "pod", "web"], "UnsupportedImage")
        .await;
    let log = person.refused(&["logs", "web"], None).await;
    let event = person
        .sees(&["events", "--for=pod/web"], "UnsupportedImage")
        .await;
    for told in [log, event] {
        assert!(
            told.contains("the entry point of \"nginx\" is not known; set `command`"),
            "{told}"
        );
    }

    let mut container = shell("test", "sleep 60");
    container["volumeMounts"] = json!([{"name": "token", "mountPath": "/token"}]);
    let volumes = json!([{"name": "token", "secret": {"secretName": "late"}}]);
    person
        .machine
        .pod(
            "patient",
            json!({"volumes": volumes, "containers": [container]}),
        )
        .await;
    let event = person
        .sees(&["events", "--for=pod/patient"], "FailedMount")
        .await;
    assert!(event.contains("secret \"late\" not found"), "{event}");
    let log = person.refused(&["logs", "patient"], None).await;
    assert!(log.contains("secret \"late\" not found"), "{log}");
    let list = person.kubectl(&["get", "events", "-o", "json"]).await;
    let list: Value = serde_json::from_str(&list).unwrap();
    assert!(list["items"].as_array().unwrap().len() < 6, "{list:#}");

    person
        .kubectl(&["create", "secret", "generic", "late", "--from-literal=a=b"])
        .await;
    person
        .kubectl(&[
            "wait",
            "--for=condition=Ready",
            "pod/patient",
            "--timeout=30s",
        ])
        .await;
    person
        .kubectl(&[
            "delete",
            "pod",
            "patient",
            "--grace-period=1",
            "--timeout=30s",
        ])
        .await;
    person
        .sees(&["events", "--for=pod/patient"], "Stopping container test")
        .await;
}
