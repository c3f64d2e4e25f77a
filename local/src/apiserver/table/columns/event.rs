//! The columns of an Event: what happened to which object, when, and how often.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{TableColumn, format_age};

pub(super) fn event_columns() -> Vec<TableColumn> {
    let text = |name: &str, priority: i64, path: &str| {
        TableColumn::from_path(name, "string", priority, path)
    };
    vec![
        TableColumn::from_fn("Last Seen", last_seen),
        text("Type", 0, ".type"),
        text("Reason", 0, ".reason"),
        TableColumn::from_fn("Object", |event, _| {
            let object = &event["involvedObject"];
            let kind = object["kind"].as_str().unwrap_or_default().to_lowercase();
            json!(format!(
                "{kind}/{}",
                object["name"].as_str().unwrap_or_default()
            ))
        }),
        text("Subobject", 1, ".involvedObject.fieldPath"),
        TableColumn::from_fn("Source", event_source).in_wide_output(),
        text("Message", 0, ".message"),
        TableColumn::from_fn("First Seen", first_seen).in_wide_output(),
        TableColumn::from_fn("Count", |event, _| {
            json!(event["count"].as_i64().unwrap_or(1).to_string())
        })
        .in_wide_output(),
        text("Name", 1, ".metadata.name"),
    ]
}

fn last_seen(event: &Value, now: Timestamp) -> Value {
    seen_age(event, "lastTimestamp", now)
}

fn first_seen(event: &Value, now: Timestamp) -> Value {
    seen_age(event, "firstTimestamp", now)
}

fn seen_age(event: &Value, field: &str, now: Timestamp) -> Value {
    let times = [
        &event[field],
        &event["eventTime"],
        &event["metadata"]["creationTimestamp"],
    ];
    let mut times = times.into_iter();
    let time = times.find(|time| time.is_string());
    time.map_or(Value::Null, |time| format_age(time, now))
}

fn event_source(event: &Value, _: Timestamp) -> Value {
    let part = |field: &str| {
        event["source"][field]
            .as_str()
            .filter(|part| !part.is_empty())
    };
    let parts: Vec<&str> = [part("component"), part("host")]
        .into_iter()
        .flatten()
        .collect();
    json!(parts.join(", "))
}
