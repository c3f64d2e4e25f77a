//! The form of a response: the object, its metadata alone, or a table for kubectl.

use std::sync::Arc;

use axum::body::Bytes;
use http::{HeaderMap, header};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::object::ApiObject;
use super::request::QueryParams;
use super::resource::ServedResource;
use super::status::StatusResult;
use super::table::{self, IncludeObject};

/// The form that a client accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResponseFormat {
    Object,
    Metadata,
    Table(IncludeObject),
}

impl ResponseFormat {
    /// The first supported form in `Accept`.
    pub(crate) fn negotiate_format(
        headers: &HeaderMap,
        params: &QueryParams,
    ) -> StatusResult<Self> {
        let accept = headers
            .get(header::ACCEPT)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        for media in accept.split(',') {
            let mut parts = media.split(';').map(str::trim);
            if parts.next() != Some("application/json") {
                continue;
            }
            let parts: Vec<&str> = parts.collect();
            let form = parts.iter().find_map(|part| part.strip_prefix("as="));
            let known = parts.contains(&"g=meta.k8s.io") && parts.contains(&"v=v1");
            match form {
                None => return Ok(Self::Object),
                Some("Table") if known => {
                    return Ok(Self::Table(IncludeObject::parse_param(
                        params.get_text("includeObject"),
                    )?));
                }
                Some("PartialObjectMetadata" | "PartialObjectMetadataList") if known => {
                    return Ok(Self::Metadata);
                }
                Some(_) => {}
            }
        }
        Ok(Self::Object)
    }

    pub(crate) fn render_object(
        self,
        resource: &ServedResource,
        object: &ApiObject,
        now: Timestamp,
    ) -> Bytes {
        match self {
            Self::Object => object.text.clone(),
            Self::Metadata => partial_metadata(&object.to_value()).to_string().into(),
            Self::Table(include) => {
                let meta = json!({"resourceVersion": object.version.to_string()});
                table::render_table(resource, &meta, &[object.to_value()], include, now)
                    .to_string()
                    .into()
            }
        }
    }

    pub(crate) fn render_list(
        self,
        resource: &ServedResource,
        meta: &Value,
        objects: &[Arc<ApiObject>],
        now: Timestamp,
    ) -> Bytes {
        match self {
            Self::Object => {
                let head = json!({"kind": format!("{}List", resource.kind), "apiVersion": resource.api_version()});
                list_text(
                    &head,
                    meta,
                    objects.iter().map(|object| object.text.clone()),
                )
            }
            Self::Metadata => {
                let head =
                    json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1"});
                list_text(
                    &head,
                    meta,
                    objects
                        .iter()
                        .map(|object| partial_metadata(&object.to_value()).to_string().into()),
                )
            }
            Self::Table(include) => {
                let values: Vec<Value> = objects.iter().map(|object| object.to_value()).collect();
                table::render_table(resource, meta, &values, include, now)
                    .to_string()
                    .into()
            }
        }
    }

    /// A bookmark in the same form as the other events.
    pub(crate) fn render_bookmark(self, object: Value) -> Bytes {
        let rendered = match self {
            Self::Object => object,
            Self::Metadata => partial_metadata(&object),
            Self::Table(_) => table::render_bookmark(&object),
        };
        rendered.to_string().into()
    }
}

pub(super) fn partial_metadata(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
}

/// Joins the texts of a list's items without parsing them.
fn list_text(head: &Value, meta: &Value, items: impl Iterator<Item = Bytes>) -> Bytes {
    let mut text = head.to_string();
    text.pop();
    let mut text = text.into_bytes();
    text.extend_from_slice(format!(",\"metadata\":{meta},\"items\":[").as_bytes());
    for (index, item) in items.enumerate() {
        if index > 0 {
            text.push(b',');
        }
        text.extend_from_slice(&item);
    }
    text.extend_from_slice(b"]}");
    text.into()
}
