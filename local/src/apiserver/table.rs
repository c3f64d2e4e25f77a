//! `kubectl get`: objects as rows, with the columns of their kind.

mod columns;
mod jsonpath;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::render::metadata;
use super::resource::Resource;
use super::status::{Failure, Result};

/// What a row carries of its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IncludeObject {
    Nothing,
    Metadata,
    Object,
}

impl IncludeObject {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        match text {
            "None" => Ok(Self::Nothing),
            "" | "Metadata" => Ok(Self::Metadata),
            "Object" => Ok(Self::Object),
            other => Err(Failure::bad_request(format!(
                "includeObject: {other:?} is not known"
            ))),
        }
    }
}

/// The objects as a `Table`.
pub(crate) fn table(
    resource: &Resource,
    meta: &Value,
    objects: &[Value],
    include: IncludeObject,
    now: Timestamp,
) -> Value {
    let columns = columns::of(resource);
    let definitions: Vec<Value> = columns
        .iter()
        .map(|column| {
            json!({
                "name": column.name, "type": column.kind, "format": column.format(),
                "description": column.description, "priority": column.priority,
            })
        })
        .collect();
    let rows: Vec<Value> = objects
        .iter()
        .map(|object| {
            let cells: Vec<Value> = columns
                .iter()
                .map(|column| column.cell(object, now))
                .collect();
            let object = match include {
                IncludeObject::Nothing => Value::Null,
                IncludeObject::Metadata => metadata(object),
                IncludeObject::Object => object.clone(),
            };
            json!({"cells": cells, "object": object})
        })
        .collect();
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": meta,
        "columnDefinitions": definitions, "rows": rows,
    })
}

/// A bookmark among tables: a row that shows nothing, around the bookmark's metadata.
pub(crate) fn bookmark(object: &Value) -> Value {
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {"resourceVersion": object["metadata"]["resourceVersion"]},
        "columnDefinitions": [], "rows": [{"cells": [], "object": metadata(object)}],
    })
}
