//! The columns of a Node.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::TableColumn;

/// The rest of a label with this prefix is a role.
const ROLE_LABEL_PREFIX: &str = "node-role.kubernetes.io/";

pub(super) fn node_columns(age: TableColumn) -> Vec<TableColumn> {
    let info = |name: &str, field: &str| {
        let path = format!(".status.nodeInfo.{field}");
        TableColumn::from_path(name, "string", 1, &path).or_none()
    };
    vec![
        TableColumn::from_fn("Status", node_status),
        TableColumn::from_fn("Roles", node_roles),
        age,
        TableColumn::from_path("Version", "string", 0, ".status.nodeInfo.kubeletVersion"),
        TableColumn::from_fn("Internal-IP", |node, _| node_address(node, "InternalIP"))
            .in_wide_output(),
        TableColumn::from_fn("External-IP", |node, _| node_address(node, "ExternalIP"))
            .in_wide_output(),
        info("OS-Image", "osImage"),
        info("Kernel-Version", "kernelVersion"),
        info("Container-Runtime", "containerRuntimeVersion"),
    ]
}

fn node_status(node: &Value, _: Timestamp) -> Value {
    let mut conditions = node["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten();
    let ready = conditions.find(|condition| condition["type"] == "Ready");
    let mut status = match ready.map(|condition| condition["status"] == "True") {
        Some(true) => "Ready",
        Some(false) => "NotReady",
        None => "Unknown",
    }
    .to_owned();
    if node["spec"]["unschedulable"] == true {
        status.push_str(",SchedulingDisabled");
    }
    json!(status)
}

fn node_roles(node: &Value, _: Timestamp) -> Value {
    let labels = node["metadata"]["labels"].as_object().into_iter().flatten();
    let roles: Vec<&str> = labels
        .filter_map(|(label, _)| label.strip_prefix(ROLE_LABEL_PREFIX))
        .collect();
    json!(match roles.is_empty() {
        true => "<none>".to_owned(),
        false => roles.join(","),
    })
}

fn node_address(node: &Value, kind: &str) -> Value {
    let mut addresses = node["status"]["addresses"].as_array().into_iter().flatten();
    let found = addresses.find(|address| address["type"] == kind);
    found.map_or_else(|| json!("<none>"), |found| found["address"].clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nodes_state_roles_and_addresses() {
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(node_status(&json!({}), now), "Unknown");
        let node = json!({
            "metadata": {"labels": {"kubernetes.io/os": "linux", "node-role.kubernetes.io/worker": ""}},
            "spec": {"unschedulable": true},
            "status": {
                "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
                "conditions": [{"type": "Ready", "status": "True"}],
            },
        });
        assert_eq!(node_status(&node, now), "Ready,SchedulingDisabled");
        assert_eq!(
            (node_roles(&node, now), node_roles(&json!({}), now)),
            (json!("worker"), json!("<none>"))
        );
        assert_eq!(node_address(&node, "InternalIP"), "10.0.0.1");
        assert_eq!(node_address(&node, "ExternalIP"), "<none>");
    }
}
