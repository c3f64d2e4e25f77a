//! POST: a new object.

use std::sync::Arc;

use axum::response::Response;
use http::StatusCode;
use rand::Rng;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::decoding::decode_object;
use super::super::kind;
use super::super::lifecycle::{self, whole_seconds};
use super::super::managed_fields::{self, FieldManager};
use super::super::object::{ApiObject, ObjectKey, ensure_child_object, metadata_field};
use super::super::render::ResponseFormat;
use super::super::resource::ServedResource;
use super::super::status::{StatusError, StatusResult};
use super::super::store::Txn;
use super::{ResourceRequest, json_response};

/// Characters of the suffix of generated names. No vowels, so that no words come out.
const SUFFIX_CHARS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

pub(super) async fn create_resource(call: ResourceRequest) -> StatusResult<Response> {
    let render = ResponseFormat::negotiate_format(&call.headers, &call.params)?;
    // Before the body is read: kubectl sends some of these kinds in a format that is not supported
    // here.
    kind::refuse_unrunnable(&call.resource)?;
    let mut object = call.read_body()?;
    let mut warnings = decode_object(&call.resource, &mut object, call.field_validation()?)?;
    warnings.extend(kind::warn_unrunnable(&call.resource));
    let manager = FieldManager::for_update(&call.field_manager_name(), "");
    let name = ensure_name(&mut object);
    let key = ObjectKey::new(
        call.resource.id(),
        &target_namespace(&call, &object)?,
        &name,
    );
    let dry_run = call.params.dry_run()?;
    let resource = call.resource.clone();
    let write = move |txn: &mut Txn<'_>| insert_object(txn, &resource, key, object, &manager);
    let created = call.store().submit_write(call.now, dry_run, write).await?;
    let text = render.render_object(&call.resource, &created, call.now);
    Ok(json_response(StatusCode::CREATED, text, &warnings))
}

fn target_namespace(call: &ResourceRequest, object: &Value) -> StatusResult<String> {
    let given = metadata_field(object, "namespace");
    if call.resource.namespaced && call.namespace.is_empty() {
        return Err(StatusError::method_not_allowed());
    }
    if !given.is_empty() && given != call.namespace {
        let why =
            "the namespace of the provided object does not match the namespace sent on the request";
        return Err(StatusError::bad_request(why));
    }
    Ok(call.namespace.clone())
}

fn ensure_name(object: &mut Value) -> String {
    let prefix = metadata_field(object, "generateName").to_owned();
    if metadata_field(object, "name").is_empty() && !prefix.is_empty() {
        let mut random = rand::rng();
        let suffix =
            (0..5).map(|_| char::from(SUFFIX_CHARS[random.random_range(0..SUFFIX_CHARS.len())]));
        // Kubernetes cuts the prefix so that the whole name is a DNS label.
        let name: String = prefix.chars().take(58).chain(suffix).collect();
        object["metadata"]["name"] = json!(name);
    }
    metadata_field(object, "name").to_owned()
}

/// Completes, checks and writes a new object. Server-side apply uses it for objects that do not
/// exist.
pub(super) fn insert_object(
    txn: &mut Txn<'_>,
    resource: &Arc<ServedResource>,
    key: ObjectKey,
    mut object: Value,
    manager: &FieldManager,
) -> StatusResult<Arc<ApiObject>> {
    check_namespace(txn, resource, &key)?;
    if txn.get(&key).is_some() {
        return Err(StatusError::already_exists(resource, &key.name));
    }
    let now = whole_seconds(txn.now());
    let fields = ensure_child_object(&mut object, "metadata");
    for decided in [
        "resourceVersion",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
        "generation",
    ] {
        fields.remove(decided);
    }
    if !key.namespace.is_empty() {
        fields.insert("namespace".to_owned(), json!(key.namespace));
    }
    fields.insert("uid".to_owned(), json!(Uuid::new_v4()));
    fields.insert("creationTimestamp".to_owned(), now.clone());
    if resource.is_custom() || object.get("spec").is_some() {
        object["metadata"]["generation"] = json!(1);
    }
    kind::prepare_create(resource, &mut object);
    kind::prepare_write(resource, &mut object, &now);
    kind::validate_object(resource, &object, None)?;
    managed_fields::update_managed_fields(resource, None, &mut object, manager, &now);
    let created = txn.put_object(key, object)?;
    lifecycle::collect_if_orphaned(txn, resource, &created)?;
    Ok(created)
}

fn check_namespace(txn: &Txn<'_>, resource: &ServedResource, key: &ObjectKey) -> StatusResult<()> {
    let registry = txn.registry();
    if registry
        .find_resource(&resource.group, &resource.version, &resource.plural)
        .is_none()
    {
        return Err(StatusError::no_route());
    }
    if !resource.namespaced {
        return Ok(());
    }
    let at = ObjectKey::new(&Arc::from("namespaces"), "", &key.namespace);
    let namespaces = registry.by_id("namespaces").expect("a built-in kind");
    let namespace = super::get_existing_object(txn, namespaces, &at)?;
    if namespace.deleting {
        return Err(StatusError::namespace_terminating(
            resource,
            &key.name,
            &key.namespace,
        ));
    }
    Ok(())
}
