//! GET: one object, or a list in pages.

use std::sync::Arc;

use axum::body::Bytes;
use axum::response::Response;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::object::Object;
use super::super::render::Render;
use super::super::request::Params;
use super::super::status::{Failure, Result};
use super::super::store::State;
use super::{Call, json_response};

/// Where the next page starts, and the version the first page was of: a watch from there misses nothing.
#[derive(Debug, Serialize, Deserialize)]
struct Continue {
    version: u64,
    namespace: String,
    name: String,
}

pub(super) fn get(call: &Call) -> Result<Response> {
    let render = Render::of(&call.headers, &call.params)?;
    let state = call.store().read();
    check_version(&call.params, &state)?;
    let object = state.get(&call.key()).cloned();
    drop(state);
    let object = object.ok_or_else(|| Failure::not_found(&call.resource, &call.name))?;
    let text = render.one(&call.resource, &object, call.now);
    Ok(json_response(StatusCode::OK, text, &[]))
}

pub(super) fn list(call: &Call) -> Result<Response> {
    let render = Render::of(&call.headers, &call.params)?;
    let selector = call.params.selector()?;
    selector.check_fields(call.resource.id())?;
    let limit = call
        .params
        .number::<u64>("limit")?
        .filter(|limit| *limit > 0);
    let limit = limit
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(usize::MAX);
    let from = parse_continue(call.params.text("continue"))?;

    let state = call.store().read();
    if from.is_none() {
        check_version(&call.params, &state)?;
    }
    let version = from.as_ref().map_or(state.version(), |from| from.version);
    let after = from
        .as_ref()
        .map(|from| (from.namespace.as_str(), from.name.as_str()));
    let namespace = Some(call.namespace.as_str()).filter(|namespace| !namespace.is_empty());
    let (objects, remaining) = {
        let mut matching = state
            .scan(call.resource.id(), namespace, after)
            .filter(|object| selector.matches(object));
        let objects: Vec<Arc<Object>> = matching.by_ref().take(limit).cloned().collect();
        // How many are left is told of whole tables only; looking through the rest of a selection is not worth it.
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
        let next = Continue {
            version,
            namespace: last.key.namespace.clone(),
            name: last.key.name.clone(),
        };
        let next = serde_json::to_vec(&next).map_err(|_| Failure::internal())?;
        meta["continue"] = Value::String(BASE64_URL_SAFE_NO_PAD.encode(next));
        if selector.is_everything() {
            meta["remainingItemCount"] = json!(remaining);
        }
    }
    let text: Bytes = render.list(&call.resource, &meta, &objects, call.now);
    Ok(json_response(StatusCode::OK, text, &[]))
}

fn parse_continue(token: &str) -> Result<Option<Continue>> {
    if token.is_empty() {
        return Ok(None);
    }
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).ok();
    let parsed = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    parsed
        .map(Some)
        .ok_or_else(|| Failure::bad_request("continue key is not valid"))
}

/// Reads are always of the latest version; a client that needs another one is told.
pub(super) fn check_version(params: &Params, state: &State) -> Result<()> {
    let asked = match params.text("resourceVersion") {
        "" | "0" => return Ok(()),
        text => text.parse::<u64>().map_err(|_| {
            Failure::bad_request(format!(
                "resourceVersion: Invalid value: {text:?}: it is not a version"
            ))
        })?,
    };
    let latest = state.version();
    if asked > latest {
        return Err(Failure::too_large_version(asked, latest));
    }
    if params.text("resourceVersionMatch") == "Exact" && asked != latest {
        return Err(Failure::expired(format!(
            "The resourceVersion for the provided list is too old: {asked} ({latest})"
        )));
    }
    Ok(())
}
