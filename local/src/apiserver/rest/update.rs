//! PUT and PATCH: update an object.

use std::sync::Arc;

use axum::body::Bytes;
use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::super::decoding::{FieldValidation, decode_object, encode_string_data};
use super::super::kind;
use super::super::lifecycle::{self, whole_seconds};
use super::super::managed_fields::{self, FieldManager};
use super::super::object::{ApiObject, ObjectKey, ensure_child_object, metadata_field};
use super::super::patch;
use super::super::render::ResponseFormat;
use super::super::request::{content_type, parse_body};
use super::super::resource::ServedResource;
use super::super::status::{StatusCause, StatusError, StatusResult};
use super::super::store::Txn;
use super::{ResourceRequest, get_existing_object, json_response};

/// The patch formats for every kind.
const PATCHES: [&str; 3] = [JSON, MERGE, APPLY];
const JSON: &str = "application/json-patch+json";
const MERGE: &str = "application/merge-patch+json";
/// For Kubernetes' own kinds only, since it needs their types.
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

/// Which part of an object a request may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ObjectPart {
    Object,
    Status,
}

/// What every update needs.
struct UpdateContext {
    resource: Arc<ServedResource>,
    part: ObjectPart,
    manager: FieldManager,
    strictness: FieldValidation,
}

type UpdateOutcome = (Arc<ApiObject>, Vec<String>, StatusCode);

pub(super) async fn update_resource(
    call: ResourceRequest,
    part: ObjectPart,
) -> StatusResult<Response> {
    let new = call.read_body()?;
    let change = UpdateContext::from_request(&call, part, None)?;
    if change.resource.is_custom() && metadata_field(&new, "resourceVersion").is_empty() {
        let cause = StatusCause::invalid_value(
            "metadata.resourceVersion",
            &json!(0),
            "must be specified for an update",
        );
        return Err(StatusError::invalid_object(
            &change.resource,
            &call.name,
            &[cause],
        ));
    }
    let key = call.object_key();
    write_update(call, move |txn| {
        let old = get_existing_object(txn, &change.resource, &key)?;
        let uid = metadata_field(&new, "uid");
        if !uid.is_empty() && uid != old.uid {
            let why = format!(
                "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
                old.uid
            );
            return Err(StatusError::operation_conflict(
                &change.resource,
                &key.name,
                &why,
            ));
        }
        let (object, warnings) = replace_object(txn, &change, &old, new)?;
        Ok((object, warnings, StatusCode::OK))
    })
    .await
}

pub(super) async fn patch_resource(
    call: ResourceRequest,
    part: ObjectPart,
) -> StatusResult<Response> {
    let media = content_type(&call.headers).to_owned();
    let key = call.object_key();
    if media == APPLY {
        return apply_resource(call, part).await;
    }
    let body = call.body.clone();
    let change = UpdateContext::from_request(&call, part, None)?;
    let custom = change.resource.is_custom();
    let patch: fn(&Value, &Bytes) -> StatusResult<Value> = match media.as_str() {
        MERGE => patch::merge_patch,
        JSON => patch::json_patch,
        STRATEGIC if !custom => patch::strategic_merge_patch,
        _ if custom => return Err(StatusError::unsupported_media(&PATCHES.join(", "))),
        _ => {
            let all = [&PATCHES[..], &[STRATEGIC]].concat();
            return Err(StatusError::unsupported_media(&all.join(", ")));
        }
    };
    write_update(call, move |txn| {
        let old = get_existing_object(txn, &change.resource, &key)?;
        let new = patch(&old.to_value(), &body)?;
        let (object, warnings) = replace_object(txn, &change, &old, new)?;
        Ok((object, warnings, StatusCode::OK))
    })
    .await
}

/// Server-side apply: afterwards the manager owns exactly the fields of the body.
async fn apply_resource(call: ResourceRequest, part: ObjectPart) -> StatusResult<Response> {
    let mut applied = parse_body(APPLY, &call.body)?;
    let key = call.object_key();
    check_applied(&call, &applied)?;
    encode_string_data(&call.resource, &mut applied);
    let mut shaped = applied.clone();
    let warnings = decode_object(&call.resource, &mut shaped, call.field_validation()?)?;
    patch::retain_known_fields(&mut applied, &shaped);
    let force = call.params.get_flag("force")? == Some(true);
    let change = UpdateContext::from_request(&call, part, Some(&applied))?;
    write_update(call, move |txn| {
        let Some(old) = txn.get(&key) else {
            if change.part == ObjectPart::Status {
                return Err(StatusError::not_found(&change.resource, &key.name));
            }
            kind::refuse_unrunnable(&change.resource)?;
            let created =
                super::create::insert_object(txn, &change.resource, key, applied, &change.manager)?;
            return Ok((created, warnings, StatusCode::CREATED));
        };
        let merged = managed_fields::server_side_apply(
            &change.resource,
            &old.to_value(),
            &applied,
            &change.manager,
            force,
        )?;
        let (object, _) = replace_object(txn, &change, &old, merged)?;
        Ok((object, warnings, StatusCode::OK))
    })
    .await
}

fn check_applied(call: &ResourceRequest, applied: &Value) -> StatusResult<()> {
    if call.params.get_text("fieldManager").is_empty() {
        let why = "fieldManager: Required value: is required for apply patch";
        return Err(StatusError::bad_request(why));
    }
    let name = metadata_field(applied, "name");
    if name.is_empty() {
        return Err(StatusError::bad_request(format!(
            "the name of the object ({} based on URL) was undeterminable: name must be provided",
            call.name
        )));
    }
    if name != call.name {
        let why = "the name of the object does not match the name on the URL";
        return Err(StatusError::bad_request(why));
    }
    if !applied["metadata"]["managedFields"].is_null() {
        return Err(StatusError::bad_request(
            "metadata.managedFields must be nil",
        ));
    }
    Ok(())
}

impl UpdateContext {
    fn from_request(
        call: &ResourceRequest,
        part: ObjectPart,
        applied: Option<&Value>,
    ) -> StatusResult<Self> {
        let subresource = if part == ObjectPart::Status {
            "status"
        } else {
            ""
        };
        let name = call.field_manager_name();
        Ok(Self {
            resource: call.resource.clone(),
            part,
            manager: match applied {
                Some(applied) => {
                    FieldManager::for_apply(&name, subresource, &call.resource, applied)
                }
                None => FieldManager::for_update(&name, subresource),
            },
            strictness: call.field_validation()?,
        })
    }
}

async fn write_update<F>(call: ResourceRequest, job: F) -> StatusResult<Response>
where
    F: FnOnce(&mut Txn<'_>) -> StatusResult<UpdateOutcome> + Send + 'static,
{
    let render = ResponseFormat::negotiate_format(&call.headers, &call.params)?;
    let dry_run = call.params.dry_run()?;
    let (object, warnings, code) = call.store().submit_write(call.now, dry_run, job).await?;
    let text = render.render_object(&call.resource, &object, call.now);
    Ok(json_response(code, text, &warnings))
}

/// Replaces `old` by `new`, and keeps the fields that the request may not change.
fn replace_object(
    txn: &mut Txn<'_>,
    change: &UpdateContext,
    old: &Arc<ApiObject>,
    new: Value,
) -> StatusResult<(Arc<ApiObject>, Vec<String>)> {
    let resource = &change.resource;
    let old_value = old.to_value();
    let mut new = new;
    let warnings = decode_object(resource, &mut new, change.strictness)?;
    check_identity(resource, old, &new)?;
    let now = whole_seconds(txn.now());
    keep_server_fields(&old_value, &mut new);
    keep_other_part(resource, change.part, &old_value, &mut new);
    set_generation(resource, &old_value, &mut new);
    kind::prepare_write(resource, &mut new, &now);
    kind::validate_object(resource, &new, Some(&old_value))?;
    managed_fields::update_managed_fields(
        resource,
        Some(&old_value),
        &mut new,
        &change.manager,
        &now,
    );
    if old_value == new {
        return Ok((old.clone(), warnings));
    }
    let over = lifecycle::is_deletion_complete(resource, &new);
    let written = txn.put_object(old.key.clone(), new)?;
    if over {
        lifecycle::remove_with_dependents(txn, &written)?;
    }
    Ok((written, warnings))
}

fn check_identity(resource: &ServedResource, old: &ApiObject, new: &Value) -> StatusResult<()> {
    let ObjectKey {
        namespace, name, ..
    } = &old.key;
    if metadata_field(new, "name") != name {
        let why = format!(
            "the name of the object ({}) does not match the name on the URL ({name})",
            metadata_field(new, "name")
        );
        return Err(StatusError::bad_request(why));
    }
    let given = metadata_field(new, "namespace");
    if !given.is_empty() && given != namespace {
        return Err(StatusError::bad_request(format!(
            "the namespace of the object ({given}) does not match the namespace on the request ({namespace})"
        )));
    }
    let version = metadata_field(new, "resourceVersion");
    if !version.is_empty() && version != "0" && version != old.version.to_string() {
        return Err(StatusError::object_modified(resource, name));
    }
    let uid = metadata_field(new, "uid");
    if !uid.is_empty() && uid != old.uid {
        // A wrong UID in a patch is an invalid field, in a PUT a failed precondition.
        let cause = StatusCause::invalid_value("metadata.uid", &json!(uid), "field is immutable");
        return Err(StatusError::invalid_object(resource, name, &[cause]));
    }
    Ok(())
}

/// Keeps the metadata fields that only the server writes.
fn keep_server_fields(old: &Value, new: &mut Value) {
    let fields = ensure_child_object(new, "metadata");
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

fn keep_other_part(resource: &ServedResource, part: ObjectPart, old: &Value, new: &mut Value) {
    if !resource.status {
        return;
    }
    match part {
        ObjectPart::Object => match old.get("status") {
            Some(status) => new["status"] = status.clone(),
            None => {
                new.as_object_mut().map(|map| map.remove("status"));
            }
        },
        ObjectPart::Status => {
            let status = new.get("status").cloned();
            new.clone_from(old);
            if let Some(status) = status {
                new["status"] = status;
            }
        }
    }
}

/// Counts changes of the spec in the generation: not changes of metadata, nor of a status
/// subresource.
fn set_generation(resource: &ServedResource, old: &Value, new: &mut Value) {
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
