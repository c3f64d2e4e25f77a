//! The columns of a Node.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Column;

/// What a label of this prefix ends with is a role.
const ROLE: &str = "node-role.kubernetes.io/";

pub(super) fn columns(age: Column) -> Vec<Column> {
    let info = |name: &str, field: &str| {
        let path = format!(".status.nodeInfo.{field}");
        Column::path(name, "string", 1, &path).or_none()
    };
    vec![
        Column::code("Status", status),
        Column::code("Roles", roles),
        age,
        Column::path("Version", "string", 0, ".status.nodeInfo.kubeletVersion"),
        Column::code("Internal-IP", |node, _| address(node, "InternalIP")).wide(),
        Column::code("External-IP", |node, _| address(node, "ExternalIP")).wide(),
        info("OS-Image", "osImage"),
        info("Kernel-Version", "kernelVersion"),
        info("Container-Runtime", "containerRuntimeVersion"),
    ]
}

fn status(node: &Value, _: Timestamp) -> Value {
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

fn roles(node: &Value, _: Timestamp) -> Value {
    let labels = node["metadata"]["labels"].as_object().into_iter().flatten();
    let roles: Vec<&str> = labels
        .filter_map(|(label, _)| label.strip_prefix(ROLE))
        .collect();
    json!(match roles.is_empty() {
        true => "<none>".to_owned(),
        false => roles.join(","),
    })
}

fn address(node: &Value, kind: &str) -> Value {
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
        assert_eq!(status(&json!({}), now), "Unknown");
        let node = json!({
            "metadata": {"labels": {"kubernetes.io/os": "linux", "node-role.kubernetes.io/worker": ""}},
            "spec": {"unschedulable": true},
            "status": {
                "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
                "conditions": [{"type": "Ready", "status": "True"}],
            },
        });
        assert_eq!(status(&node, now), "Ready,SchedulingDisabled");
        assert_eq!(
            (roles(&node, now), roles(&json!({}), now)),
            (json!("worker"), json!("<none>"))
        );
        assert_eq!(address(&node, "InternalIP"), "10.0.0.1");
        assert_eq!(address(&node, "ExternalIP"), "<none>");
    }
}
