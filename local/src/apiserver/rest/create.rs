//! POST: a new object.

use std::sync::Arc;

use axum::response::Response;
use http::StatusCode;
use rand::Rng;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::kind;
use super::super::lifecycle::{self, whole_seconds};
use super::super::managed::{self, Manager};
use super::super::object::{Key, Object, child, meta};
use super::super::render::Render;
use super::super::resource::Resource;
use super::super::shape::shape;
use super::super::status::{Failure, Result};
use super::super::store::Txn;
use super::{Call, json_response};

/// What a generated name ends with: no vowels, so no words.
const SUFFIX: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

pub(super) async fn create(call: Call) -> Result<Response> {
    let render = Render::of(&call.headers, &call.params)?;
    // Before the body is read: kubectl sends some of these in a form that is not known here.
    kind::refuse_new(&call.resource)?;
    let mut object = call.body()?;
    let mut warnings = shape(&call.resource, &mut object, call.strictness()?)?;
    warnings.extend(kind::warn_new(&call.resource));
    let manager = Manager::update(&call.manager(), "");
    let name = name_it(&mut object);
    let key = Key::new(call.resource.id(), &namespace(&call, &object)?, &name);
    let dry_run = call.params.dry_run()?;
    let resource = call.resource.clone();
    let write = move |txn: &mut Txn<'_>| insert(txn, &resource, key, object, &manager);
    let created = call.store().write(call.now, dry_run, write).await?;
    let text = render.one(&call.resource, &created, call.now);
    Ok(json_response(StatusCode::CREATED, text, &warnings))
}

fn namespace(call: &Call, object: &Value) -> Result<String> {
    let given = meta(object, "namespace");
    if call.resource.namespaced && call.namespace.is_empty() {
        return Err(Failure::method_not_allowed());
    }
    if !given.is_empty() && given != call.namespace {
        let why =
            "the namespace of the provided object does not match the namespace sent on the request";
        return Err(Failure::bad_request(why));
    }
    Ok(call.namespace.clone())
}

fn name_it(object: &mut Value) -> String {
    let prefix = meta(object, "generateName").to_owned();
    if meta(object, "name").is_empty() && !prefix.is_empty() {
        let mut random = rand::rng();
        let suffix = (0..5).map(|_| char::from(SUFFIX[random.random_range(0..SUFFIX.len())]));
        // Kubernetes cuts the prefix so that the whole is a label.
        let name: String = prefix.chars().take(58).chain(suffix).collect();
        object["metadata"]["name"] = json!(name);
    }
    meta(object, "name").to_owned()
}

/// Writes a new object, completed and checked. Also what server-side apply does with one that is not there.
pub(super) fn insert(
    txn: &mut Txn<'_>,
    resource: &Arc<Resource>,
    key: Key,
    mut object: Value,
    manager: &Manager,
) -> Result<Arc<Object>> {
    check_namespace(txn, resource, &key)?;
    if txn.get(&key).is_some() {
        return Err(Failure::already_exists(resource, &key.name));
    }
    let now = whole_seconds(txn.now());
    let fields = child(&mut object, "metadata");
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
    kind::validate(resource, &object, None)?;
    managed::record(resource, None, &mut object, manager, &now);
    let created = txn.put(key, object)?;
    lifecycle::collect_if_orphaned(txn, resource, &created)?;
    Ok(created)
}

fn check_namespace(txn: &Txn<'_>, resource: &Resource, key: &Key) -> Result<()> {
    let registry = txn.registry();
    if registry
        .find(&resource.group, &resource.version, &resource.plural)
        .is_none()
    {
        return Err(Failure::no_route());
    }
    if !resource.namespaced {
        return Ok(());
    }
    let at = Key::new(&Arc::from("namespaces"), "", &key.namespace);
    let namespaces = registry.by_id("namespaces").expect("a built-in kind");
    let namespace = super::existing(txn, namespaces, &at)?;
    if namespace.deleting {
        return Err(Failure::terminating(resource, &key.name, &key.namespace));
    }
    Ok(())
}
