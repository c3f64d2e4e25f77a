//! GET: one object, or a list in pages.

use std::sync::Arc;

use axum::body::Bytes;
use axum::response::Response;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::object::ApiObject;
use super::super::render::ResponseFormat;
use super::super::request::QueryParams;
use super::super::status::{StatusError, StatusResult};
use super::super::store::CommittedState;
use super::{ResourceRequest, json_response};

/// Where the next page starts, and the version of the first page. A watch from that version misses
/// nothing.
#[derive(Debug, Serialize, Deserialize)]
struct ContinueToken {
    version: u64,
    namespace: String,
    name: String,
}

pub(super) fn get_resource(call: &ResourceRequest) -> StatusResult<Response> {
    let render = ResponseFormat::negotiate_format(&call.headers, &call.params)?;
    let state = call.store().read_state();
    check_version(&call.params, &state)?;
    let object = state.get(&call.object_key()).cloned();
    drop(state);
    let object = object.ok_or_else(|| StatusError::not_found(&call.resource, &call.name))?;
    let text = render.render_object(&call.resource, &object, call.now);
    Ok(json_response(StatusCode::OK, text, &[]))
}

pub(super) fn list_resource(call: &ResourceRequest) -> StatusResult<Response> {
    let render = ResponseFormat::negotiate_format(&call.headers, &call.params)?;
    let selector = call.params.parse_selector()?;
    selector.check_fields(call.resource.id())?;
    let limit = call
        .params
        .get_number::<u64>("limit")?
        .filter(|limit| *limit > 0);
    let limit = limit
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(usize::MAX);
    let from = parse_continue(call.params.get_text("continue"))?;

    let state = call.store().read_state();
    if from.is_none() {
        check_version(&call.params, &state)?;
    }
    let version = from
        .as_ref()
        .map_or(state.latest_version(), |from| from.version);
    let after = from
        .as_ref()
        .map(|from| (from.namespace.as_str(), from.name.as_str()));
    let namespace = Some(call.namespace.as_str()).filter(|namespace| !namespace.is_empty());
    let (objects, remaining) = {
        let mut matching = state
            .list_objects(call.resource.id(), namespace, after)
            .filter(|object| selector.matches_object(object));
        let objects: Vec<Arc<ApiObject>> = matching.by_ref().take(limit).cloned().collect();
        // The remaining items are counted only without a selector. With one it is not worth the
        // search.
        let remaining = match selector.is_everything() {
            _ if limit == usize::MAX => 0,
            true => matching.count(),
            false => usize::from(matching.next().is_some()),
        };
        (objects, remaining)
    };
    drop(state);

    let mut meta = json!({"resourceVersion": version.to_string()});
    if let Some(last) = objects.last().filter(|_| remaining > 0) {
        let next = ContinueToken {
            version,
            namespace: last.key.namespace.clone(),
            name: last.key.name.clone(),
        };
        let next = serde_json::to_vec(&next).map_err(|_| StatusError::internal_error())?;
        meta["continue"] = Value::String(BASE64_URL_SAFE_NO_PAD.encode(next));
        if selector.is_everything() {
            meta["remainingItemCount"] = json!(remaining);
        }
    }
    let text: Bytes = render.render_list(&call.resource, &meta, &objects, call.now);
    Ok(json_response(StatusCode::OK, text, &[]))
}

fn parse_continue(token: &str) -> StatusResult<Option<ContinueToken>> {
    if token.is_empty() {
        return Ok(None);
    }
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).ok();
    let parsed = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    parsed
        .map(Some)
        .ok_or_else(|| StatusError::bad_request("continue key is not valid"))
}

/// Reads are always of the latest version. Refuses one that does not exist yet, and with `Exact`
/// every one but the latest.
pub(super) fn check_version(params: &QueryParams, state: &CommittedState) -> StatusResult<()> {
    let asked = match params.get_text("resourceVersion") {
        "" | "0" => return Ok(()),
        text => text.parse::<u64>().map_err(|_| {
            StatusError::bad_request(format!(
                "resourceVersion: Invalid value: {text:?}: it is not a version"
            ))
        })?,
    };
    let latest = state.latest_version();
    if asked > latest {
        return Err(StatusError::too_large_resource_version(asked, latest));
    }
    if params.get_text("resourceVersionMatch") == "Exact" && asked != latest {
        return Err(StatusError::resource_expired(format!(
            "The resourceVersion for the provided list is too old: {asked} ({latest})"
        )));
    }
    Ok(())
}
