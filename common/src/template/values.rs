//! Data as templates see it. A struct is a function from a field's name to its value, and a map
//! is a map, so that an unknown field is an error and an unknown key is not, as in Go.

use std::{collections::BTreeMap, sync::Arc};

use gotmpl::{TemplateError, Value};
use serde_json::{Map, Value as Json};

use super::go_structs::{GoFieldKind, GoStruct, PROW_JOB};
use crate::{config::nearest_name, prowjob::ProwJob};

/// A `ProwJob` with Go's field names.
pub(super) fn job_value(job: &ProwJob) -> Value {
    let json = serde_json::to_value(job).expect("a ProwJob is JSON");
    struct_value(&PROW_JOB, &json)
}

/// As [`job_value`], with each text replaced by `write` of its field's name and the text.
pub(super) fn escaped_job_value(job: &ProwJob, write: &dyn Fn(&str, &str) -> String) -> Value {
    let mut json = serde_json::to_value(job).expect("a ProwJob is JSON");
    rewrite_texts(&mut json, "", write);
    struct_value(&PROW_JOB, &json)
}

fn rewrite_texts(json: &mut Json, field: &str, write: &dyn Fn(&str, &str) -> String) {
    match json {
        Json::String(text) => *text = write(field, text),
        Json::Array(items) => items
            .iter_mut()
            .for_each(|item| rewrite_texts(item, field, write)),
        Json::Object(fields) => {
            // Their keys are the job's own, not names of fields.
            let is_map = matches!(field, "annotations" | "labels");
            for (name, value) in fields {
                rewrite_texts(value, if is_map { field } else { name }, write);
            }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

/// Plain data; its objects are structs with the keys as fields.
pub(super) fn data_value(json: &Json) -> Value {
    json_to_value(json, &|object| {
        let fields = object
            .iter()
            .map(|(key, value)| (key.clone(), data_value(value)))
            .collect();
        strict_struct("the data".into(), fields)
    })
}

fn struct_value(shape: &'static GoStruct, json: &Json) -> Value {
    let mut fields = BTreeMap::new();
    for (json_name, embedded) in shape.embedded {
        let inner = json.get(json_name).unwrap_or(&Json::Null);
        for field in embedded.fields {
            fields.insert(
                field.go.into(),
                field_value(&field.kind, inner.get(field.json)),
            );
        }
        fields.insert(embedded.name.into(), struct_value(embedded, inner));
    }
    for field in shape.fields {
        fields.insert(
            field.go.into(),
            field_value(&field.kind, json.get(field.json)),
        );
    }
    strict_struct(format!("a {}", shape.name), fields)
}

fn field_value(kind: &'static GoFieldKind, json: Option<&Json>) -> Value {
    let json = json.filter(|json| !json.is_null());
    match (kind, json) {
        (GoFieldKind::Text, None) => text_value(""),
        (GoFieldKind::Number, None) => Value::Int(0),
        (GoFieldKind::Flag, None) => Value::Bool(false),
        (GoFieldKind::Texts | GoFieldKind::Structs(_), None) => Value::List(Arc::from([])),
        (GoFieldKind::TextMap, None) => Value::Map(Arc::default()),
        (GoFieldKind::Time, json) => text_value(&go_time(json.and_then(Json::as_str))),
        (GoFieldKind::Struct(shape), json) => struct_value(shape, json.unwrap_or(&Json::Null)),
        (GoFieldKind::Pointer(_) | GoFieldKind::TimePointer | GoFieldKind::Loose, None) => {
            Value::Nil
        }
        (GoFieldKind::Pointer(shape), Some(json)) => struct_value(shape, json),
        (GoFieldKind::TimePointer, Some(json)) => text_value(&go_time(json.as_str())),
        (GoFieldKind::Structs(shape), Some(json)) => {
            let items = json.as_array().into_iter().flatten();
            Value::List(items.map(|item| struct_value(shape, item)).collect())
        }
        (GoFieldKind::TextMap, Some(json)) => {
            let entries = json.as_object().into_iter().flatten();
            let entries = entries.map(|(key, value)| (key.as_str().into(), loose_value(value)));
            Value::Map(Arc::new(entries.collect()))
        }
        (
            GoFieldKind::Text
            | GoFieldKind::Number
            | GoFieldKind::Flag
            | GoFieldKind::Texts
            | GoFieldKind::Loose,
            Some(json),
        ) => loose_value(json),
    }
}

/// Kubernetes' own types, whose fields are not listed here. Fields are found by their JSON names,
/// without regard to case and underscores. A field that is not set is nil.
fn loose_value(json: &Json) -> Value {
    json_to_value(json, &|object: &Map<String, Json>| {
        let fields: BTreeMap<String, Value> = object
            .iter()
            .map(|(key, value)| (fold_name(key), loose_value(value)))
            .collect();
        Value::Function(Arc::new(move |arguments| {
            let name = arguments
                .first()
                .and_then(Value::as_str)
                .unwrap_or_default();
            Ok(fields.get(&fold_name(name)).cloned().unwrap_or(Value::Nil))
        }))
    })
}

fn fold_name(name: &str) -> String {
    name.replace('_', "").to_ascii_lowercase()
}

fn json_to_value(json: &Json, object: &dyn Fn(&Map<String, Json>) -> Value) -> Value {
    match json {
        Json::Null => Value::Nil,
        Json::Bool(flag) => Value::Bool(*flag),
        Json::Number(number) => match number.as_i64() {
            Some(number) => Value::Int(number),
            None => Value::Float(number.as_f64().unwrap_or_default()),
        },
        Json::String(value) => text_value(value),
        Json::Array(items) => Value::List(
            items
                .iter()
                .map(|item| json_to_value(item, object))
                .collect(),
        ),
        Json::Object(entries) => object(entries),
    }
}

/// A struct with these fields and no others.
fn strict_struct(what: String, fields: BTreeMap<String, Value>) -> Value {
    Value::Function(Arc::new(move |arguments| {
        let name = arguments
            .first()
            .and_then(Value::as_str)
            .unwrap_or_default();
        fields.get(name).cloned().ok_or_else(|| {
            let hint = nearest_name(name, fields.keys().map(String::as_str))
                .map(|known| format!("; did you mean {known}?"))
                .unwrap_or_default();
            TemplateError::Exec(format!("{what} has no field {name}{hint}"))
        })
    }))
}

fn text_value(text: &str) -> Value {
    Value::String(text.into())
}

/// A time as Go prints it; an unset one is in the year 1.
fn go_time(time: Option<&str>) -> String {
    time.and_then(|time| time.parse::<jiff::Timestamp>().ok())
        .map_or_else(
            || "0001-01-01 00:00:00 +0000 UTC".into(),
            |time| time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC").to_string(),
        )
}
