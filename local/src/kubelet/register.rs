//! This machine as a Node object, so that whoever asks where a pod runs finds out.
//!
//! It says nothing by which the machine could be told from others: a pod's node is published beside its logs.

use std::collections::BTreeMap;
use std::fs;
use std::thread::available_parallelism;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::NODE;
use super::status::ADDRESS;

/// Between two words that it is still there.
const BEAT: Duration = Duration::from_secs(60);
/// The namespace of nodes' leases.
const LEASES: &str = "kube-node-lease";
const MANAGER: &str = "kubelet";

/// What a Node object says of a machine.
#[derive(Debug, Default, PartialEq, Eq)]
struct Machine {
    cpus: usize,
    memory_kib: u64,
    kernel: String,
    system: String,
}

/// Keeps the Node object true. Ends only by being dropped.
pub(crate) async fn keep(client: Client) {
    let machine = tokio::task::spawn_blocking(Machine::look);
    let machine = machine.await.unwrap_or_default();
    let since = Timestamp::now();
    let mut told = String::new();
    loop {
        let said = match write(&client, &machine, since).await {
            Ok(()) => String::new(),
            Err(error) => error.to_string(),
        };
        if !said.is_empty() && said != told {
            tracing::warn!(error = said, "this machine cannot be written as a node");
        }
        told = said;
        tokio::time::sleep(BEAT).await;
    }
}

async fn write(client: &Client, machine: &Machine, since: Timestamp) -> kube::Result<()> {
    let now = Timestamp::now();
    let nodes = Api::<Node>::all(client.clone());
    let params = PatchParams::apply(MANAGER).force();
    let node = Patch::Apply(node());
    nodes.patch(NODE, &params, &node).await?;
    let status = Patch::Apply(status(machine, since, now));
    nodes.patch_status(NODE, &params, &status).await?;
    let leases = Api::<Lease>::namespaced(client.clone(), LEASES);
    let lease = Patch::Apply(lease(now));
    leases.patch(NODE, &params, &lease).await.map(drop)
}

fn node() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": NODE, "labels": {
            "kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux", "kubernetes.io/arch": architecture(),
        }},
    })
}

fn status(machine: &Machine, since: Timestamp, now: Timestamp) -> Value {
    let version = concat!("v", env!("CARGO_PKG_VERSION"));
    let amounts = BTreeMap::from([
        ("cpu", machine.cpus.to_string()),
        ("memory", format!("{}Ki", machine.memory_kib)),
    ]);
    json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE},
        "status": {
            "capacity": amounts, "allocatable": amounts,
            "addresses": [
                {"type": "InternalIP", "address": ADDRESS}, {"type": "Hostname", "address": NODE},
            ],
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "KubeletReady",
                "message": "the pod runner takes pods",
                "lastHeartbeatTime": Time(now), "lastTransitionTime": Time(since),
            }],
            "nodeInfo": {
                "architecture": architecture(), "operatingSystem": "linux",
                "kernelVersion": machine.kernel, "osImage": machine.system,
                "kubeletVersion": version, "containerRuntimeVersion": format!("process://{version}"),
                "kubeProxyVersion": "", "machineID": "", "systemUUID": "", "bootID": "",
            },
        },
    })
}

fn lease(now: Timestamp) -> Value {
    let renewed = now.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string();
    json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": NODE, "namespace": LEASES},
        "spec": {
            "holderIdentity": NODE, "leaseDurationSeconds": 3 * BEAT.as_secs(), "renewTime": renewed,
        },
    })
}

/// As Go names it, and so Kubernetes.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

impl Machine {
    /// What is not told stays empty.
    fn look() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        Self {
            cpus: available_parallelism().map_or(1, Into::into),
            memory_kib: memory(&read("/proc/meminfo")),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            system: system(&read("/etc/os-release")),
        }
    }
}

/// The `MemTotal` of `/proc/meminfo`.
fn memory(meminfo: &str) -> u64 {
    let mut lines = meminfo.lines();
    let total = lines.find_map(|line| line.strip_prefix("MemTotal:"));
    let number = total.and_then(|total| total.split_whitespace().next());
    number
        .and_then(|number| number.parse().ok())
        .unwrap_or_default()
}

/// The `PRETTY_NAME` of `/etc/os-release`.
fn system(os_release: &str) -> String {
    let mut lines = os_release.lines();
    let name = lines.find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.unwrap_or_default().trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_read_from_its_files() {
        assert_eq!(
            memory("MemTotal:       16374984 kB\nMemFree: 1 kB\n"),
            16_374_984
        );
        assert_eq!(memory(""), 0);
        assert_eq!(
            system("NAME=\"X\"\nPRETTY_NAME=\"Debian GNU/Linux 13\"\n"),
            "Debian GNU/Linux 13"
        );
    }

    #[test]
    fn the_objects_are_of_their_types() {
        let now = Timestamp::UNIX_EPOCH;
        let mut whole = node();
        whole["status"] = status(&Machine::default(), now, now)["status"].take();
        serde_json::from_value::<Node>(whole).unwrap();
        serde_json::from_value::<Lease>(lease(now)).unwrap();
    }
}
