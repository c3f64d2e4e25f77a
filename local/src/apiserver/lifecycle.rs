//! How objects go: grace, finalizers, owners, and what a namespace or a kind takes with it.
//!
//! A cluster's garbage collector works some time later; here a deletion and all that follows from it are one commit,
//! so nothing is left behind by a crash. The events are the same and come in the same order.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::object::{Key, Object, child};
use super::resource::Resource;
use super::status::{Failure, Result};
use super::store::Txn;

const FOREGROUND: &str = "foregroundDeletion";
const CRDS: &str = "customresourcedefinitions.apiextensions.k8s.io";

/// What a deletion asks for.
#[derive(Debug, Clone, Default)]
pub(crate) struct DeleteOptions {
    pub(crate) grace: Option<i64>,
    pub(crate) propagation: Propagation,
    pub(crate) uid: Option<String>,
    pub(crate) version: Option<String>,
}

/// What becomes of the objects that are owned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Propagation {
    #[default]
    Background,
    Foreground,
    Orphan,
}

/// What became of a deletion.
#[derive(Debug)]
pub(crate) enum Deleted {
    Gone(Arc<Object>),
    /// Marked; it goes when grace and finalizers are over.
    Going(Arc<Object>),
}

/// The time as Kubernetes writes it.
pub(crate) fn whole_seconds(at: Timestamp) -> Value {
    Value::String(at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// Deletes an object, or marks it as going.
pub(crate) fn delete(
    txn: &mut Txn<'_>,
    resource: &Resource,
    object: &Arc<Object>,
    options: &DeleteOptions,
) -> Result<Deleted> {
    check_preconditions(resource, object, options)?;
    if options.propagation == Propagation::Orphan {
        orphan_dependents(txn, object)?;
    }
    let mut value = object.value();
    let dependents =
        options.propagation == Propagation::Foreground && !txn.dependents(&object.uid).is_empty();
    let add_finalizer = dependents && !finalizers(&value).any(|one| one == FOREGROUND);
    if add_finalizer {
        let finalizers = &mut value["metadata"]["finalizers"];
        match finalizers.as_array_mut() {
            Some(all) => all.push(json!(FOREGROUND)),
            None => *finalizers = json!([FOREGROUND]),
        }
    }
    let grace = grace(resource, &value, options);
    let contents = has_contents(txn, object);
    if grace == 0 && finalizers(&value).next().is_none() && !contents {
        return Ok(Deleted::Gone(remove(txn, object)?));
    }
    let object = if mark(&mut value, resource, grace, txn.now()) || add_finalizer {
        txn.put(object.key.clone(), value)?
    } else {
        object.clone()
    };
    if dependents {
        for dependent in txn.dependents(&object.uid) {
            delete_key(
                txn,
                &dependent.key,
                &DeleteOptions {
                    propagation: Propagation::Foreground,
                    ..Default::default()
                },
            )?;
        }
    }
    if contents {
        delete_contents(txn, &object)?;
    }
    settle(txn)?;
    Ok(if txn.get(&object.key).is_some() {
        Deleted::Going(object)
    } else {
        Deleted::Gone(object)
    })
}

fn check_preconditions(
    resource: &Resource,
    object: &Object,
    options: &DeleteOptions,
) -> Result<()> {
    let conflict = |what: &str, asked: &str, is: &str| {
        let why = format!(
            "Precondition failed: {what} in precondition: {asked}, {what} in object meta: {is}"
        );
        Err(Failure::conflict(resource, &object.key.name, &why))
    };
    if let Some(uid) = options.uid.as_ref().filter(|uid| **uid != object.uid) {
        return conflict("UID", uid, &object.uid);
    }
    let version = object.version.to_string();
    if let Some(asked) = options.version.as_ref().filter(|asked| **asked != version) {
        return conflict("ResourceVersion", asked, &version);
    }
    Ok(())
}

fn finalizers(value: &Value) -> impl Iterator<Item = &str> {
    value["metadata"]["finalizers"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

/// Seconds a pod has to end by itself; only one that is on a node and not done gets any.
fn grace(resource: &Resource, value: &Value, options: &DeleteOptions) -> i64 {
    if &**resource.id() != "pods" {
        return 0;
    }
    let on_node = value["spec"]["nodeName"]
        .as_str()
        .is_some_and(|node| !node.is_empty());
    let done = matches!(
        value["status"]["phase"].as_str(),
        Some("Succeeded" | "Failed")
    );
    if !on_node || done {
        return 0;
    }
    let asked = options
        .grace
        .or_else(|| value["spec"]["terminationGracePeriodSeconds"].as_i64())
        .unwrap_or(30);
    if asked < 0 { 1 } else { asked }
}

/// Sets the deletion time, or brings it forward; says whether anything changed.
fn mark(value: &mut Value, resource: &Resource, grace: i64, now: Timestamp) -> bool {
    let meta = &value["metadata"];
    let graceful = &**resource.id() == "pods";
    let before = meta["deletionGracePeriodSeconds"].as_i64();
    let mut from = now;
    if let Some(at) = meta["deletionTimestamp"].as_str() {
        if before.is_none_or(|before| before <= grace) {
            return false;
        }
        let given = SignedDuration::from_secs(before.unwrap_or_default());
        from = at.parse::<Timestamp>().map_or(now, |at| at - given);
    } else if let Some(generation) = meta["generation"].as_i64() {
        value["metadata"]["generation"] = json!(generation + 1);
    }
    let at = from
        .checked_add(SignedDuration::from_secs(grace))
        .unwrap_or(now);
    value["metadata"]["deletionTimestamp"] = whole_seconds(at);
    value["metadata"]["deletionGracePeriodSeconds"] = json!(if graceful { grace } else { 0 });
    if &**resource.id() == "namespaces" {
        value["status"] = json!({"phase": "Terminating"});
    }
    true
}

/// Whether an updated object was only waiting for this update to go.
pub(crate) fn is_over(resource: &Resource, value: &Value) -> bool {
    let meta = &value["metadata"];
    let waits_for_runner =
        &**resource.id() == "pods" && meta["deletionGracePeriodSeconds"].as_i64().unwrap_or(0) > 0;
    meta["deletionTimestamp"].is_string() && finalizers(value).next().is_none() && !waits_for_runner
}

/// Takes an object away and, with it, everything that only it owned.
pub(crate) fn remove(txn: &mut Txn<'_>, object: &Arc<Object>) -> Result<Arc<Object>> {
    let last = txn.remove(object);
    for dependent in txn.dependents(&object.uid) {
        if dependent
            .owners
            .iter()
            .any(|owner| txn.by_uid(owner).is_some())
        {
            drop_owner(txn, &dependent, &object.uid)?;
        } else {
            delete_key(txn, &dependent.key, &DeleteOptions::default())?;
        }
    }
    Ok(last)
}

/// An object that was created when all its owners were gone already goes too.
pub(crate) fn collect_if_orphaned(
    txn: &mut Txn<'_>,
    resource: &Resource,
    object: &Arc<Object>,
) -> Result<()> {
    if object.owners.is_empty()
        || object
            .owners
            .iter()
            .any(|owner| txn.by_uid(owner).is_some())
    {
        return Ok(());
    }
    delete(txn, resource, object, &DeleteOptions::default()).map(|_| ())
}

fn delete_key(txn: &mut Txn<'_>, key: &Key, options: &DeleteOptions) -> Result<()> {
    let registry = txn.registry();
    if let (Some(resource), Some(object)) = (registry.by_id(&key.resource), txn.get(key)) {
        delete(txn, resource, &object, options)?;
    }
    Ok(())
}

fn orphan_dependents(txn: &mut Txn<'_>, object: &Object) -> Result<()> {
    for dependent in txn.dependents(&object.uid) {
        drop_owner(txn, &dependent, &object.uid)?;
    }
    Ok(())
}

fn drop_owner(txn: &mut Txn<'_>, dependent: &Object, owner: &str) -> Result<()> {
    let mut value = dependent.value();
    let owners = &mut value["metadata"]["ownerReferences"];
    if let Some(all) = owners.as_array_mut() {
        all.retain(|one| one["uid"] != owner);
        if all.is_empty() {
            child(&mut value, "metadata").remove("ownerReferences");
        }
    }
    txn.put(dependent.key.clone(), value).map(|_| ())
}

/// Whether a namespace still holds objects, or a kind has any.
fn has_contents(txn: &Txn<'_>, object: &Object) -> bool {
    match &*object.key.resource {
        "namespaces" => tables(txn, true)
            .iter()
            .any(|table| txn.has_any(table, Some(&object.key.name))),
        CRDS => txn.has_any(&Arc::from(object.key.name.as_str()), None),
        _ => false,
    }
}

fn delete_contents(txn: &mut Txn<'_>, object: &Object) -> Result<()> {
    let contents: Vec<Arc<Object>> = match &*object.key.resource {
        "namespaces" => tables(txn, true)
            .iter()
            .flat_map(|table| txn.scan(table, Some(&object.key.name)))
            .collect(),
        _ => txn.scan(&Arc::from(object.key.name.as_str()), None),
    };
    contents
        .iter()
        .try_for_each(|one| delete_key(txn, &one.key, &DeleteOptions::default()))
}

fn tables(txn: &Txn<'_>, namespaced: bool) -> BTreeSet<Arc<str>> {
    let registry = txn.registry();
    registry
        .all()
        .filter(|one| one.namespaced == namespaced)
        .map(|one| one.id().clone())
        .collect()
}

/// After removals: lets go what was only waiting for them.
pub(crate) fn settle(txn: &mut Txn<'_>) -> Result<()> {
    loop {
        let removed = txn.take_removed();
        if removed.is_empty() {
            return Ok(());
        }
        let mut waiting: BTreeSet<Key> = BTreeSet::new();
        for object in removed {
            let key = &object.key;
            waiting.insert(Key::new(&Arc::from("namespaces"), "", &key.namespace));
            waiting.insert(Key::new(&Arc::from(CRDS), "", &key.resource));
            waiting.extend(
                object
                    .owners
                    .iter()
                    .filter_map(|owner| txn.by_uid(owner))
                    .map(|owner| owner.key.clone()),
            );
        }
        for key in waiting {
            let Some(object) = txn.get(&key).filter(|object| object.deleting) else {
                continue;
            };
            let mut value = object.value();
            let unblocked = finalizers(&value).any(|one| one == FOREGROUND)
                && txn.dependents(&object.uid).is_empty();
            if unblocked && let Some(all) = value["metadata"]["finalizers"].as_array_mut() {
                all.retain(|one| one != FOREGROUND);
            }
            let registry = txn.registry();
            let Some(resource) = registry.by_id(&key.resource) else {
                continue;
            };
            if is_over(resource, &value) && !has_contents(txn, &object) {
                remove(txn, &object)?;
            } else if unblocked {
                txn.put(key, value)?;
            }
        }
    }
}
