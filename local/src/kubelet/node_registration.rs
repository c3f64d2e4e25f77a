//! Registers this machine as a Node object, which shows where a pod runs.
//!
//! The object does not identify the machine: a pod's node is published with its logs.

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

use super::NODE_NAME;
use super::status::NODE_ADDRESS;

/// Time between two heartbeats.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(60);
/// The namespace of nodes' leases.
const LEASE_NAMESPACE: &str = "kube-node-lease";
const FIELD_MANAGER: &str = "kubelet";

/// What the Node object says about the machine.
#[derive(Debug, Default, PartialEq, Eq)]
struct MachineInfo {
    cpus: usize,
    memory_kib: u64,
    kernel: String,
    system: String,
}

/// Keeps the Node object up to date. Ends only when dropped.
pub(crate) async fn sync_node_object(client: Client) {
    let machine = tokio::task::spawn_blocking(MachineInfo::read_machine);
    let machine = machine.await.unwrap_or_default();
    let since = Timestamp::now();
    let mut told = String::new();
    loop {
        let said = match apply_node(&client, &machine, since).await {
            Ok(()) => String::new(),
            Err(error) => error.to_string(),
        };
        if !said.is_empty() && said != told {
            tracing::warn!(error = said, "this machine cannot be written as a node");
        }
        told = said;
        tokio::time::sleep(HEARTBEAT_INTERVAL).await;
    }
}

async fn apply_node(client: &Client, machine: &MachineInfo, since: Timestamp) -> kube::Result<()> {
    let now = Timestamp::now();
    let nodes = Api::<Node>::all(client.clone());
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let node = Patch::Apply(node_object());
    nodes.patch(NODE_NAME, &params, &node).await?;
    let status = Patch::Apply(node_status_object(machine, since, now));
    nodes.patch_status(NODE_NAME, &params, &status).await?;
    let leases = Api::<Lease>::namespaced(client.clone(), LEASE_NAMESPACE);
    let lease = Patch::Apply(node_lease(now));
    leases.patch(NODE_NAME, &params, &lease).await.map(drop)
}

fn node_object() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": NODE_NAME, "labels": {
            "kubernetes.io/hostname": NODE_NAME, "kubernetes.io/os": "linux", "kubernetes.io/arch": go_architecture(),
        }},
    })
}

fn node_status_object(machine: &MachineInfo, since: Timestamp, now: Timestamp) -> Value {
    let version = concat!("v", env!("CARGO_PKG_VERSION"));
    let amounts = BTreeMap::from([
        ("cpu", machine.cpus.to_string()),
        ("memory", format!("{}Ki", machine.memory_kib)),
    ]);
    json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE_NAME},
        "status": {
            "capacity": amounts, "allocatable": amounts,
            "addresses": [
                {"type": "InternalIP", "address": NODE_ADDRESS}, {"type": "Hostname", "address": NODE_NAME},
            ],
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "KubeletReady",
                "message": "the pod runner takes pods",
                "lastHeartbeatTime": Time(now), "lastTransitionTime": Time(since),
            }],
            "nodeInfo": {
                "architecture": go_architecture(), "operatingSystem": "linux",
                "kernelVersion": machine.kernel, "osImage": machine.system,
                "kubeletVersion": version, "containerRuntimeVersion": format!("process://{version}"),
                "kubeProxyVersion": "", "machineID": "", "systemUUID": "", "bootID": "",
            },
        },
    })
}

fn node_lease(now: Timestamp) -> Value {
    let renewed = now.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string();
    json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": NODE_NAME, "namespace": LEASE_NAMESPACE},
        "spec": {
            "holderIdentity": NODE_NAME, "leaseDurationSeconds": 3 * HEARTBEAT_INTERVAL.as_secs(), "renewTime": renewed,
        },
    })
}

/// The architecture's name in Go and Kubernetes.
fn go_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

impl MachineInfo {
    /// Values that cannot be read stay empty.
    fn read_machine() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        Self {
            cpus: available_parallelism().map_or(1, Into::into),
            memory_kib: parse_mem_total(&read("/proc/meminfo")),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            system: parse_pretty_name(&read("/etc/os-release")),
        }
    }
}

/// The `MemTotal` of `/proc/meminfo`.
fn parse_mem_total(meminfo: &str) -> u64 {
    let mut lines = meminfo.lines();
    let total = lines.find_map(|line| line.strip_prefix("MemTotal:"));
    let number = total.and_then(|total| total.split_whitespace().next());
    number
        .and_then(|number| number.parse().ok())
        .unwrap_or_default()
}

/// The `PRETTY_NAME` of `/etc/os-release`.
fn parse_pretty_name(os_release: &str) -> String {
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
            parse_mem_total("MemTotal:       16374984 kB\nMemFree: 1 kB\n"),
            16_374_984
        );
        assert_eq!(parse_mem_total(""), 0);
        assert_eq!(
            parse_pretty_name("NAME=\"X\"\nPRETTY_NAME=\"Debian GNU/Linux 13\"\n"),
            "Debian GNU/Linux 13"
        );
    }

    #[test]
    fn the_objects_are_of_their_types() {
        let now = Timestamp::UNIX_EPOCH;
        let mut whole = node_object();
        whole["status"] = node_status_object(&MachineInfo::default(), now, now)["status"].take();
        serde_json::from_value::<Node>(whole).unwrap();
        serde_json::from_value::<Lease>(node_lease(now)).unwrap();
    }
}
