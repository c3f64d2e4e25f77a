//! The columns of each kind, as `kubectl get` shows them.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::resource::{self, ServedResource};
use super::jsonpath;

mod event;
mod node;

/// One column and the source of its cells.
pub(super) struct TableColumn {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) description: String,
    /// 0 is always shown, 1 only with `-o wide`.
    pub(super) priority: i64,
    source: ColumnSource,
    /// The cell of an object that has no value.
    absent: Value,
}

enum ColumnSource {
    Path(String),
    Code(fn(&Value, Timestamp) -> Value),
}

impl TableColumn {
    fn from_path(name: &str, kind: &str, priority: i64, path: &str) -> Self {
        let (name, kind) = (name.to_owned(), kind.to_owned());
        Self {
            name,
            kind,
            description: String::new(),
            priority,
            source: ColumnSource::Path(path.to_owned()),
            absent: Value::Null,
        }
    }

    fn from_fn(name: &str, code: fn(&Value, Timestamp) -> Value) -> Self {
        let (name, kind) = (name.to_owned(), "string".to_owned());
        Self {
            name,
            kind,
            description: String::new(),
            priority: 0,
            source: ColumnSource::Code(code),
            absent: Value::Null,
        }
    }

    fn in_wide_output(self) -> Self {
        let priority = 1;
        Self { priority, ..self }
    }

    fn or_none(self) -> Self {
        let absent = json!("<none>");
        Self { absent, ..self }
    }

    fn from_printer_column(column: &resource::PrinterColumn) -> Self {
        let description = column.description.clone();
        Self {
            description,
            ..Self::from_path(&column.name, &column.kind, column.priority, &column.path)
        }
    }

    pub(super) fn format(&self) -> &'static str {
        // kubectl hides all other columns with --no-headers=name. It finds the name column by its
        // format.
        if self.name == "Name" { "name" } else { "" }
    }

    pub(super) fn render_cell(&self, object: &Value, now: Timestamp) -> Value {
        let path = match &self.source {
            ColumnSource::Code(code) => return code(object, now),
            ColumnSource::Path(path) => path,
        };
        let Some(found) = jsonpath::find_path(object, path) else {
            return self.absent.clone();
        };
        match (self.kind.as_str(), found) {
            ("date", found) => format_age(found, now),
            (_, Value::Object(_) | Value::Array(_)) => Value::String(found.to_string()),
            ("string", Value::String(_)) => found.clone(),
            ("string", other) => Value::String(other.to_string()),
            (_, other) => other.clone(),
        }
    }
}

pub(super) fn table_columns(resource: &ServedResource) -> Vec<TableColumn> {
    let name = TableColumn::from_path("Name", "string", 0, ".metadata.name");
    let age = || TableColumn::from_path("Age", "date", 0, ".metadata.creationTimestamp");
    let text = |name: &str, path: &str| TableColumn::from_path(name, "string", 0, path);
    let wide = |name: &str, path: &str| TableColumn::from_path(name, "string", 1, path);
    let mut columns = match &**resource.id() {
        "pods" => vec![
            TableColumn::from_fn("Ready", pod_ready),
            TableColumn::from_fn("Status", pod_status),
            TableColumn::from_fn("Restarts", pod_restarts),
            age(),
            wide("IP", ".status.podIP").or_none(),
            wide("Node", ".spec.nodeName").or_none(),
            wide("Nominated Node", ".status.nominatedNodeName").or_none(),
            TableColumn::from_fn("Readiness Gates", |_, _| json!("<none>")).in_wide_output(),
        ],
        "nodes" => node::node_columns(age()),
        "namespaces" => vec![text("Status", ".status.phase"), age()],
        "secrets" => vec![
            text("Type", ".type"),
            TableColumn::from_fn("Data", data_count),
            age(),
        ],
        "configmaps" => vec![TableColumn::from_fn("Data", data_count), age()],
        "services" => vec![
            TableColumn::from_fn("Type", |service, _| {
                text_or_default(&service["spec"]["type"], "ClusterIP")
            }),
            TableColumn::from_fn("Cluster-IP", |service, _| {
                text_or_default(&service["spec"]["clusterIP"], "<none>")
            }),
            TableColumn::from_fn("External-IP", |_, _| json!("<none>")),
            TableColumn::from_fn("Port(s)", service_ports),
            age(),
        ],
        "deployments.apps" => vec![
            TableColumn::from_fn("Ready", |deployment, _| {
                let count = |value: &Value| value.as_i64().unwrap_or_default();
                let wanted = deployment["spec"]["replicas"].as_i64().unwrap_or(1);
                json!(format!(
                    "{}/{wanted}",
                    count(&deployment["status"]["readyReplicas"])
                ))
            }),
            TableColumn::from_path("Up-to-date", "integer", 0, ".status.updatedReplicas"),
            TableColumn::from_path("Available", "integer", 0, ".status.availableReplicas"),
            age(),
        ],
        "events" => event::event_columns(),
        "leases.coordination.k8s.io" => vec![text("Holder", ".spec.holderIdentity"), age()],
        "customresourcedefinitions.apiextensions.k8s.io" => {
            vec![text("Created At", ".metadata.creationTimestamp")]
        }
        _ if resource.columns.is_empty() => vec![age()],
        _ => resource
            .columns
            .iter()
            .map(TableColumn::from_printer_column)
            .collect(),
    };
    // The useful name of an event is what happened, not its object name.
    if &**resource.id() != "events" {
        columns.insert(0, name);
    }
    columns
}

fn text_or_default(value: &Value, default: &str) -> Value {
    json!(
        value
            .as_str()
            .filter(|text| !text.is_empty())
            .unwrap_or(default)
    )
}

fn data_count(object: &Value, _: Timestamp) -> Value {
    let count = |field: &str| object[field].as_object().map_or(0, serde_json::Map::len);
    json!((count("data") + count("binaryData")).to_string())
}

fn service_ports(service: &Value, _: Timestamp) -> Value {
    let ports = service["spec"]["ports"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|port| {
            let protocol = port["protocol"].as_str().unwrap_or("TCP");
            match port["nodePort"].as_i64() {
                Some(node) => format!("{}:{node}/{protocol}", port["port"]),
                None => format!("{}/{protocol}", port["port"]),
            }
        });
    let ports: Vec<String> = ports.collect();
    json!(if ports.is_empty() {
        "<none>".to_owned()
    } else {
        ports.join(",")
    })
}

fn container_statuses(pod: &Value) -> impl DoubleEndedIterator<Item = &Value> {
    pod["status"]["containerStatuses"]
        .as_array()
        .into_iter()
        .flatten()
}

fn pod_ready(pod: &Value, _: Timestamp) -> Value {
    let ready = container_statuses(pod)
        .filter(|status| status["ready"] == true)
        .count();
    let all = pod["spec"]["containers"].as_array().map_or(0, Vec::len);
    json!(format!("{ready}/{all}"))
}

/// The number of container restarts, and when a container last ended before one.
fn pod_restarts(pod: &Value, now: Timestamp) -> Value {
    let counts = container_statuses(pod).filter_map(|status| status["restartCount"].as_i64());
    let count = counts.sum::<i64>();
    let ended = |status: &Value| {
        let finished = status["lastState"]["terminated"]["finishedAt"].as_str()?;
        finished.parse::<Timestamp>().ok()
    };
    let last = container_statuses(pod).filter_map(ended).max();
    json!(match last.filter(|_| count > 0) {
        Some(last) => format!(
            "{count} ({} ago)",
            human_duration(now.duration_since(last).as_secs())
        ),
        None => count.to_string(),
    })
}

/// The phase, or something more exact: running init containers, a container's error, a deletion.
fn pod_status(pod: &Value, _: Timestamp) -> Value {
    let text = |value: &Value| {
        value
            .as_str()
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    let mut shown = text(&pod["status"]["reason"])
        .or_else(|| text(&pod["status"]["phase"]))
        .unwrap_or_default();
    let init = pod["status"]["initContainerStatuses"].as_array();
    let total = pod["spec"]["initContainers"].as_array().map_or(0, Vec::len);
    let pending = init
        .into_iter()
        .flatten()
        .enumerate()
        .find(|(_, status)| status["state"]["terminated"]["exitCode"] != 0);
    if let Some((done, status)) = pending {
        let state = &status["state"];
        let trouble = text(&state["terminated"]["reason"]).or_else(|| {
            text(&state["waiting"]["reason"]).filter(|reason| reason != "PodInitializing")
        });
        shown = trouble.map_or_else(
            || format!("Init:{done}/{total}"),
            |reason| format!("Init:{reason}"),
        );
    } else {
        // As in Kubernetes, the first container's reason wins.
        for status in container_statuses(pod).rev() {
            let state = &status["state"];
            if let Some(reason) =
                text(&state["waiting"]["reason"]).or_else(|| text(&state["terminated"]["reason"]))
            {
                shown = reason;
            }
        }
        if shown == "Completed"
            && container_statuses(pod).any(|status| status["state"]["running"].is_object())
        {
            shown = "NotReady".to_owned();
        }
    }
    let deleted = pod["metadata"]["deletionTimestamp"].is_string();
    json!(if deleted && pod["status"]["reason"] != "NodeLost" {
        "Terminating".to_owned()
    } else {
        shown
    })
}

/// A time as in kubectl: how long ago, in one or two units.
fn format_age(time: &Value, now: Timestamp) -> Value {
    let Some(at) = time.as_str().and_then(|at| at.parse::<Timestamp>().ok()) else {
        return json!("<unknown>");
    };
    json!(human_duration(now.duration_since(at).as_secs()))
}

fn human_duration(seconds: i64) -> String {
    let two = |large: i64, unit: &str, small: i64, second: &str| {
        if small == 0 {
            format!("{large}{unit}")
        } else {
            format!("{large}{unit}{small}{second}")
        }
    };
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1..=0 => "0s".to_owned(),
        1..120 => format!("{seconds}s"),
        120..600 => two(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, "d", hours % 24, "h"),
        691_200..63_072_000 => format!("{days}d"),
        _ => two(days / 365, "y", days % 365, "d"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages() {
        for (seconds, expected) in [
            (-5, "<invalid>"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (150, "2m30s"),
            (3600, "60m"),
            (11_000, "3h3m"),
            (30_000, "8h"),
            (200_000, "2d7h"),
            (864_000, "10d"),
            (70_000_000, "2y80d"),
        ] {
            assert_eq!(human_duration(seconds), expected, "{seconds}");
        }
    }

    #[test]
    fn pod_states() {
        let status = |status: Value| {
            let pod =
                json!({"spec": {"initContainers": [{}, {}], "containers": [{}]}, "status": status});
            pod_status(&pod, Timestamp::UNIX_EPOCH)
        };
        let done = json!({"state": {"terminated": {"exitCode": 0, "reason": "Completed"}}});
        let running = json!({"state": {"running": {}}});
        assert_eq!(status(json!({"phase": "Pending"})), "Pending");
        assert_eq!(
            status(json!({"phase": "Pending", "initContainerStatuses": [done, running]})),
            "Init:1/2"
        );
        let failed = json!({"state": {"terminated": {"exitCode": 1, "reason": "Error"}}});
        assert_eq!(
            status(json!({"initContainerStatuses": [failed]})),
            "Init:Error"
        );
        assert_eq!(
            status(json!({"phase": "Succeeded", "containerStatuses": [done]})),
            "Completed"
        );
        assert_eq!(
            status(json!({"phase": "Failed", "containerStatuses": [failed, done]})),
            "Error"
        );
        assert_eq!(
            status(json!({"phase": "Running", "containerStatuses": [running]})),
            "Running"
        );
    }
}
