//! PUT and PATCH: another version of an object.

use std::sync::Arc;

use axum::body::Bytes;
use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::super::kind;
use super::super::lifecycle::{self, whole_seconds};
use super::super::managed::{self, Manager};
use super::super::object::{Key, Object, child, meta};
use super::super::patch;
use super::super::render::Render;
use super::super::request::{content_type, parse_body};
use super::super::resource::Resource;
use super::super::shape::{Strictness, encode_string_data, shape};
use super::super::status::{Cause, Failure, Result};
use super::super::store::Txn;
use super::{Call, existing, json_response};

/// The patches of every kind.
const PATCHES: [&str; 3] = [JSON, MERGE, APPLY];
const JSON: &str = "application/json-patch+json";
const MERGE: &str = "application/merge-patch+json";
/// Of Kubernetes' own kinds alone: it goes by their types.
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

/// Which part of an object a request may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Object,
    Status,
}

/// What every change carries along.
struct Change {
    resource: Arc<Resource>,
    part: Part,
    manager: Manager,
    strictness: Strictness,
}

type Written = (Arc<Object>, Vec<String>, StatusCode);

pub(super) async fn put(call: Call, part: Part) -> Result<Response> {
    let new = call.body()?;
    let change = Change::of(&call, part, None)?;
    if change.resource.is_custom() && meta(&new, "resourceVersion").is_empty() {
        let cause = Cause::invalid(
            "metadata.resourceVersion",
            &json!(0),
            "must be specified for an update",
        );
        return Err(Failure::invalid(&change.resource, &call.name, &[cause]));
    }
    let key = call.key();
    write(call, move |txn| {
        let old = existing(txn, &change.resource, &key)?;
        let uid = meta(&new, "uid");
        if !uid.is_empty() && uid != old.uid {
            let why = format!(
                "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
                old.uid
            );
            return Err(Failure::conflict(&change.resource, &key.name, &why));
        }
        let (object, warnings) = replace(txn, &change, &old, new)?;
        Ok((object, warnings, StatusCode::OK))
    })
    .await
}

pub(super) async fn patch(call: Call, part: Part) -> Result<Response> {
    let media = content_type(&call.headers).to_owned();
    let key = call.key();
    if media == APPLY {
        return apply(call, part).await;
    }
    let body = call.body.clone();
    let change = Change::of(&call, part, None)?;
    let custom = change.resource.is_custom();
    let patch: fn(&Value, &Bytes) -> Result<Value> = match media.as_str() {
        MERGE => patch::merge_patch,
        JSON => patch::json_patch,
        STRATEGIC if !custom => patch::strategic_merge_patch,
        _ if custom => return Err(Failure::unsupported_media(&PATCHES.join(", "))),
        _ => {
            let all = [&PATCHES[..], &[STRATEGIC]].concat();
            return Err(Failure::unsupported_media(&all.join(", ")));
        }
    };
    write(call, move |txn| {
        let old = existing(txn, &change.resource, &key)?;
        let new = patch(&old.value(), &body)?;
        let (object, warnings) = replace(txn, &change, &old, new)?;
        Ok((object, warnings, StatusCode::OK))
    })
    .await
}

/// Server-side apply: the fields of the body are the manager's, and only those.
async fn apply(call: Call, part: Part) -> Result<Response> {
    let mut applied = parse_body(APPLY, &call.body)?;
    let key = call.key();
    check_applied(&call, &applied)?;
    encode_string_data(&call.resource, &mut applied);
    let mut shaped = applied.clone();
    let warnings = shape(&call.resource, &mut shaped, call.strictness()?)?;
    patch::keep_only(&mut applied, &shaped);
    let force = call.params.flag("force")? == Some(true);
    let change = Change::of(&call, part, Some(&applied))?;
    write(call, move |txn| {
        let Some(old) = txn.get(&key) else {
            if change.part == Part::Status {
                return Err(Failure::not_found(&change.resource, &key.name));
            }
            kind::refuse_new(&change.resource)?;
            let created =
                super::create::insert(txn, &change.resource, key, applied, &change.manager)?;
            return Ok((created, warnings, StatusCode::CREATED));
        };
        let merged = managed::apply(
            &change.resource,
            &old.value(),
            &applied,
            &change.manager,
            force,
        )?;
        let (object, _) = replace(txn, &change, &old, merged)?;
        Ok((object, warnings, StatusCode::OK))
    })
    .await
}

fn check_applied(call: &Call, applied: &Value) -> Result<()> {
    if call.params.text("fieldManager").is_empty() {
        let why = "fieldManager: Required value: is required for apply patch";
        return Err(Failure::bad_request(why));
    }
    let name = meta(applied, "name");
    if name.is_empty() {
        return Err(Failure::bad_request(format!(
            "the name of the object ({} based on URL) was undeterminable: name must be provided",
            call.name
        )));
    }
    if name != call.name {
        let why = "the name of the object does not match the name on the URL";
        return Err(Failure::bad_request(why));
    }
    if !applied["metadata"]["managedFields"].is_null() {
        return Err(Failure::bad_request("metadata.managedFields must be nil"));
    }
    Ok(())
}

impl Change {
    fn of(call: &Call, part: Part, applied: Option<&Value>) -> Result<Self> {
        let subresource = if part == Part::Status { "status" } else { "" };
        let name = call.manager();
        Ok(Self {
            resource: call.resource.clone(),
            part,
            manager: match applied {
                Some(applied) => Manager::apply(&name, subresource, &call.resource, applied),
                None => Manager::update(&name, subresource),
            },
            strictness: call.strictness()?,
        })
    }
}

async fn write<F>(call: Call, job: F) -> Result<Response>
where
    F: FnOnce(&mut Txn<'_>) -> Result<Written> + Send + 'static,
{
    let render = Render::of(&call.headers, &call.params)?;
    let dry_run = call.params.dry_run()?;
    let (object, warnings, code) = call.store().write(call.now, dry_run, job).await?;
    let text = render.one(&call.resource, &object, call.now);
    Ok(json_response(code, text, &warnings))
}

/// Puts `new` in the place of `old`, keeping what the request may not change.
fn replace(
    txn: &mut Txn<'_>,
    change: &Change,
    old: &Arc<Object>,
    new: Value,
) -> Result<(Arc<Object>, Vec<String>)> {
    let resource = &change.resource;
    let old_value = old.value();
    let mut new = new;
    let warnings = shape(resource, &mut new, change.strictness)?;
    check_identity(resource, old, &new)?;
    let now = whole_seconds(txn.now());
    keep_fixed(&old_value, &mut new);
    keep_other_part(resource, change.part, &old_value, &mut new);
    set_generation(resource, &old_value, &mut new);
    kind::prepare_write(resource, &mut new, &now);
    kind::validate(resource, &new, Some(&old_value))?;
    managed::record(resource, Some(&old_value), &mut new, &change.manager, &now);
    if old_value == new {
        return Ok((old.clone(), warnings));
    }
    let over = lifecycle::is_over(resource, &new);
    let written = txn.put(old.key.clone(), new)?;
    if over {
        lifecycle::remove(txn, &written)?;
    }
    Ok((written, warnings))
}

fn check_identity(resource: &Resource, old: &Object, new: &Value) -> Result<()> {
    let Key {
        namespace, name, ..
    } = &old.key;
    if meta(new, "name") != name {
        let why = format!(
            "the name of the object ({}) does not match the name on the URL ({name})",
            meta(new, "name")
        );
        return Err(Failure::bad_request(why));
    }
    let given = meta(new, "namespace");
    if !given.is_empty() && given != namespace {
        return Err(Failure::bad_request(format!(
            "the namespace of the object ({given}) does not match the namespace on the request ({namespace})"
        )));
    }
    let version = meta(new, "resourceVersion");
    if !version.is_empty() && version != "0" && version != old.version.to_string() {
        return Err(Failure::stale(resource, name));
    }
    let uid = meta(new, "uid");
    if !uid.is_empty() && uid != old.uid {
        // Unlike PUT's, a patch's is no precondition.
        let cause = Cause::invalid("metadata.uid", &json!(uid), "field is immutable");
        return Err(Failure::invalid(resource, name, &[cause]));
    }
    Ok(())
}

/// Fields of the metadata that the server alone writes.
fn keep_fixed(old: &Value, new: &mut Value) {
    let fields = child(new, "metadata");
    for field in [
        "uid",
        "namespace",
        "creationTimestamp",
        "resourceVersion",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "generateName",
    ] {
        match old["metadata"].get(field) {
            Some(value) => fields.insert(field.to_owned(), value.clone()),
            None => fields.remove(field),
        };
    }
}

fn keep_other_part(resource: &Resource, part: Part, old: &Value, new: &mut Value) {
    if !resource.status {
        return;
    }
    match part {
        Part::Object => match old.get("status") {
            Some(status) => new["status"] = status.clone(),
            None => {
                new.as_object_mut().map(|map| map.remove("status"));
            }
        },
        Part::Status => {
            let status = new.get("status").cloned();
            new.clone_from(old);
            if let Some(status) = status {
                new["status"] = status;
            }
        }
    }
}

/// The generation counts changes of what is asked for: not of metadata, and not of a status of its own.
fn set_generation(resource: &Resource, old: &Value, new: &mut Value) {
    let Some(generation) = old["metadata"]["generation"].as_i64() else {
        return;
    };
    let asked = |object: &Value| {
        let mut object = object.clone();
        if let Some(map) = object.as_object_mut() {
            map.remove("metadata");
            if resource.status || !resource.is_custom() {
                map.remove("status");
            }
        }
        object
    };
    if asked(old) != asked(new) {
        new["metadata"]["generation"] = json!(generation + 1);
    }
}
