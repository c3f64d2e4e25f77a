//! The patch formats: functions from a document and a patch to a document.

use axum::body::Bytes;
use serde_json::Value;

use super::status::{StatusError, StatusResult};

mod strategic;

pub(crate) use strategic::strategic_merge_patch;

fn parse_patch(body: &Bytes) -> StatusResult<Value> {
    serde_json::from_slice(body)
        .map_err(|error| StatusError::bad_request(format!("the patch is not JSON: {error}")))
}

/// RFC 7386.
pub(crate) fn merge_patch(object: &Value, body: &Bytes) -> StatusResult<Value> {
    let patch = parse_patch(body)?;
    if !patch.is_object() {
        return Err(StatusError::bad_request("a merge patch is an object"));
    }
    let mut patched = object.clone();
    json_patch::merge(&mut patched, &patch);
    Ok(patched)
}

/// RFC 6902.
pub(crate) fn json_patch(object: &Value, body: &Bytes) -> StatusResult<Value> {
    let operations: json_patch::Patch = serde_json::from_slice(body).map_err(|error| {
        StatusError::bad_request(format!("the patch is not a JSON patch: {error}"))
    })?;
    let mut patched = object.clone();
    json_patch::patch(&mut patched, &operations).map_err(|error| {
        StatusError::bad_request(format!("the JSON patch does not apply: {error}"))
    })?;
    Ok(patched)
}

/// Removes from `object` what decoding has removed from `shaped`. Adds nothing: defaults are not
/// applied fields.
pub(crate) fn retain_known_fields(object: &mut Value, shaped: &Value) {
    match (object, shaped) {
        (Value::Object(object), Value::Object(shaped)) => {
            object.retain(|name, _| shaped.contains_key(name));
            for (name, one) in object.iter_mut() {
                retain_known_fields(one, &shaped[name]);
            }
        }
        (Value::Array(object), Value::Array(shaped)) => {
            object
                .iter_mut()
                .zip(shaped)
                .for_each(|(one, shaped)| retain_known_fields(one, shaped));
        }
        _ => {}
    }
}
