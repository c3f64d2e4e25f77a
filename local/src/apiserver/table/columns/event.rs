//! The columns of an Event: what happened to what, when, how often.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Column, since};

pub(super) fn columns() -> Vec<Column> {
    let text = |name: &str, priority: i64, path: &str| Column::path(name, "string", priority, path);
    vec![
        Column::code("Last Seen", last_seen),
        text("Type", 0, ".type"),
        text("Reason", 0, ".reason"),
        Column::code("Object", |event, _| {
            let object = &event["involvedObject"];
            let kind = object["kind"].as_str().unwrap_or_default().to_lowercase();
            json!(format!(
                "{kind}/{}",
                object["name"].as_str().unwrap_or_default()
            ))
        }),
        text("Subobject", 1, ".involvedObject.fieldPath"),
        Column::code("Source", source).wide(),
        text("Message", 0, ".message"),
        Column::code("First Seen", first_seen).wide(),
        Column::code("Count", |event, _| {
            json!(event["count"].as_i64().unwrap_or(1).to_string())
        })
        .wide(),
        text("Name", 1, ".metadata.name"),
    ]
}

fn last_seen(event: &Value, now: Timestamp) -> Value {
    seen(event, "lastTimestamp", now)
}

fn first_seen(event: &Value, now: Timestamp) -> Value {
    seen(event, "firstTimestamp", now)
}

fn seen(event: &Value, field: &str, now: Timestamp) -> Value {
    let times = [
        &event[field],
        &event["eventTime"],
        &event["metadata"]["creationTimestamp"],
    ];
    let mut times = times.into_iter();
    let time = times.find(|time| time.is_string());
    time.map_or(Value::Null, |time| since(time, now))
}

fn source(event: &Value, _: Timestamp) -> Value {
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
