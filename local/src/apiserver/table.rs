//! `kubectl get`: objects as table rows, with the columns of their kind.

mod columns;
mod jsonpath;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::render::partial_metadata;
use super::resource::ServedResource;
use super::status::{StatusError, StatusResult};

/// How much of its object a row contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IncludeObject {
    Nothing,
    Metadata,
    Object,
}

impl IncludeObject {
    pub(crate) fn parse_param(text: &str) -> StatusResult<Self> {
        match text {
            "None" => Ok(Self::Nothing),
            "" | "Metadata" => Ok(Self::Metadata),
            "Object" => Ok(Self::Object),
            other => Err(StatusError::bad_request(format!(
                "includeObject: {other:?} is not known"
            ))),
        }
    }
}

/// Renders the objects as a `Table`.
pub(crate) fn render_table(
    resource: &ServedResource,
    meta: &Value,
    objects: &[Value],
    include: IncludeObject,
    now: Timestamp,
) -> Value {
    let columns = columns::table_columns(resource);
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
                .map(|column| column.render_cell(object, now))
                .collect();
            let object = match include {
                IncludeObject::Nothing => Value::Null,
                IncludeObject::Metadata => partial_metadata(object),
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

/// A bookmark for clients that get tables: one empty row with the bookmark's metadata.
pub(crate) fn render_bookmark(object: &Value) -> Value {
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {"resourceVersion": object["metadata"]["resourceVersion"]},
        "columnDefinitions": [], "rows": [{"cells": [], "object": partial_metadata(object)}],
    })
}
