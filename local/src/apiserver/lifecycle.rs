//! How objects are deleted: grace period, finalizers, owners, and the contents of a namespace or a
//! kind.
//!
//! A cluster's garbage collector works some time later. Here a deletion and all that follows from
//! it are one commit, so a crash leaves nothing behind. The events are the same and come in the
//! same order.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::object::{ApiObject, ObjectKey, ensure_child_object};
use super::resource::ServedResource;
use super::status::{StatusError, StatusResult};
use super::store::Txn;

const FOREGROUND_FINALIZER: &str = "foregroundDeletion";
const CRDS: &str = "customresourcedefinitions.apiextensions.k8s.io";

#[derive(Debug, Clone, Default)]
pub(crate) struct DeleteOptions {
    pub(crate) grace: Option<i64>,
    pub(crate) propagation: PropagationPolicy,
    pub(crate) uid: Option<String>,
    pub(crate) version: Option<String>,
}

/// What happens to the dependents of the deleted object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum PropagationPolicy {
    #[default]
    Background,
    Foreground,
    Orphan,
}

#[derive(Debug)]
pub(crate) enum DeletionOutcome {
    Gone(Arc<ApiObject>),
    /// Marked for deletion; removed when its grace period and finalizers are over.
    Going(Arc<ApiObject>),
}

/// A time in Kubernetes' format, in whole seconds.
pub(crate) fn whole_seconds(at: Timestamp) -> Value {
    Value::String(at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// Deletes an object, or marks it for deletion.
pub(crate) fn delete_object(
    txn: &mut Txn<'_>,
    resource: &ServedResource,
    object: &Arc<ApiObject>,
    options: &DeleteOptions,
) -> StatusResult<DeletionOutcome> {
    check_preconditions(resource, object, options)?;
    if options.propagation == PropagationPolicy::Orphan {
        orphan_dependents(txn, object)?;
    }
    let mut value = object.to_value();
    let dependents = options.propagation == PropagationPolicy::Foreground
        && !txn.list_dependents(&object.uid).is_empty();
    let add_finalizer =
        dependents && !list_finalizers(&value).any(|one| one == FOREGROUND_FINALIZER);
    if add_finalizer {
        let finalizers = &mut value["metadata"]["finalizers"];
        match finalizers.as_array_mut() {
            Some(all) => all.push(json!(FOREGROUND_FINALIZER)),
            None => *finalizers = json!([FOREGROUND_FINALIZER]),
        }
    }
    let grace = grace_period(resource, &value, options);
    let contents = has_contents(txn, object);
    if grace == 0 && list_finalizers(&value).next().is_none() && !contents {
        return Ok(DeletionOutcome::Gone(remove_with_dependents(txn, object)?));
    }
    let object = if set_deletion_timestamp(&mut value, resource, grace, txn.now()) || add_finalizer
    {
        txn.put_object(object.key.clone(), value)?
    } else {
        object.clone()
    };
    if dependents {
        for dependent in txn.list_dependents(&object.uid) {
            delete_by_key(
                txn,
                &dependent.key,
                &DeleteOptions {
                    propagation: PropagationPolicy::Foreground,
                    ..Default::default()
                },
            )?;
        }
    }
    if contents {
        delete_contents(txn, &object)?;
    }
    finish_deletions(txn)?;
    Ok(if txn.get(&object.key).is_some() {
        DeletionOutcome::Going(object)
    } else {
        DeletionOutcome::Gone(object)
    })
}

fn check_preconditions(
    resource: &ServedResource,
    object: &ApiObject,
    options: &DeleteOptions,
) -> StatusResult<()> {
    let conflict = |what: &str, asked: &str, is: &str| {
        let why = format!(
            "Precondition failed: {what} in precondition: {asked}, {what} in object meta: {is}"
        );
        Err(StatusError::operation_conflict(
            resource,
            &object.key.name,
            &why,
        ))
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

fn list_finalizers(value: &Value) -> impl Iterator<Item = &str> {
    value["metadata"]["finalizers"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

/// Seconds that a pod has to end by itself: 0 unless it is on a node and has not ended.
fn grace_period(resource: &ServedResource, value: &Value, options: &DeleteOptions) -> i64 {
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

/// Sets the deletion time, or an earlier one. Returns whether anything changed.
fn set_deletion_timestamp(
    value: &mut Value,
    resource: &ServedResource,
    grace: i64,
    now: Timestamp,
) -> bool {
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

/// Whether the object was marked for deletion, and neither finalizers nor a grace period keep it.
pub(crate) fn is_deletion_complete(resource: &ServedResource, value: &Value) -> bool {
    let meta = &value["metadata"];
    let waits_for_runner =
        &**resource.id() == "pods" && meta["deletionGracePeriodSeconds"].as_i64().unwrap_or(0) > 0;
    meta["deletionTimestamp"].is_string()
        && list_finalizers(value).next().is_none()
        && !waits_for_runner
}

/// Removes an object, and everything that only it owned.
pub(crate) fn remove_with_dependents(
    txn: &mut Txn<'_>,
    object: &Arc<ApiObject>,
) -> StatusResult<Arc<ApiObject>> {
    let last = txn.remove_object(object);
    for dependent in txn.list_dependents(&object.uid) {
        if dependent
            .owners
            .iter()
            .any(|owner| txn.by_uid(owner).is_some())
        {
            drop_owner(txn, &dependent, &object.uid)?;
        } else {
            delete_by_key(txn, &dependent.key, &DeleteOptions::default())?;
        }
    }
    Ok(last)
}

/// Deletes a newly created object whose owners are all gone already.
pub(crate) fn collect_if_orphaned(
    txn: &mut Txn<'_>,
    resource: &ServedResource,
    object: &Arc<ApiObject>,
) -> StatusResult<()> {
    if object.owners.is_empty()
        || object
            .owners
            .iter()
            .any(|owner| txn.by_uid(owner).is_some())
    {
        return Ok(());
    }
    delete_object(txn, resource, object, &DeleteOptions::default()).map(|_| ())
}

fn delete_by_key(txn: &mut Txn<'_>, key: &ObjectKey, options: &DeleteOptions) -> StatusResult<()> {
    let registry = txn.registry();
    if let (Some(resource), Some(object)) = (registry.by_id(&key.resource), txn.get(key)) {
        delete_object(txn, resource, &object, options)?;
    }
    Ok(())
}

fn orphan_dependents(txn: &mut Txn<'_>, object: &ApiObject) -> StatusResult<()> {
    for dependent in txn.list_dependents(&object.uid) {
        drop_owner(txn, &dependent, &object.uid)?;
    }
    Ok(())
}

fn drop_owner(txn: &mut Txn<'_>, dependent: &ApiObject, owner: &str) -> StatusResult<()> {
    let mut value = dependent.to_value();
    let owners = &mut value["metadata"]["ownerReferences"];
    if let Some(all) = owners.as_array_mut() {
        all.retain(|one| one["uid"] != owner);
        if all.is_empty() {
            ensure_child_object(&mut value, "metadata").remove("ownerReferences");
        }
    }
    txn.put_object(dependent.key.clone(), value).map(|_| ())
}

/// Whether a namespace holds objects, or a kind has any.
fn has_contents(txn: &Txn<'_>, object: &ApiObject) -> bool {
    match &*object.key.resource {
        "namespaces" => list_resource_ids(txn, true)
            .iter()
            .any(|table| txn.has_any(table, Some(&object.key.name))),
        CRDS => txn.has_any(&Arc::from(object.key.name.as_str()), None),
        _ => false,
    }
}

fn delete_contents(txn: &mut Txn<'_>, object: &ApiObject) -> StatusResult<()> {
    let contents: Vec<Arc<ApiObject>> = match &*object.key.resource {
        "namespaces" => list_resource_ids(txn, true)
            .iter()
            .flat_map(|table| txn.list_objects(table, Some(&object.key.name)))
            .collect(),
        _ => txn.list_objects(&Arc::from(object.key.name.as_str()), None),
    };
    contents
        .iter()
        .try_for_each(|one| delete_by_key(txn, &one.key, &DeleteOptions::default()))
}

fn list_resource_ids(txn: &Txn<'_>, namespaced: bool) -> BTreeSet<Arc<str>> {
    let registry = txn.registry();
    registry
        .list_resources()
        .filter(|one| one.namespaced == namespaced)
        .map(|one| one.id().clone())
        .collect()
}

/// After removals: removes the objects whose deletion waited for them.
pub(crate) fn finish_deletions(txn: &mut Txn<'_>) -> StatusResult<()> {
    loop {
        let removed = txn.take_removed();
        if removed.is_empty() {
            return Ok(());
        }
        let mut waiting: BTreeSet<ObjectKey> = BTreeSet::new();
        for object in removed {
            let key = &object.key;
            waiting.insert(ObjectKey::new(&Arc::from("namespaces"), "", &key.namespace));
            waiting.insert(ObjectKey::new(&Arc::from(CRDS), "", &key.resource));
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
            let mut value = object.to_value();
            let unblocked = list_finalizers(&value).any(|one| one == FOREGROUND_FINALIZER)
                && txn.list_dependents(&object.uid).is_empty();
            if unblocked && let Some(all) = value["metadata"]["finalizers"].as_array_mut() {
                all.retain(|one| one != FOREGROUND_FINALIZER);
            }
            let registry = txn.registry();
            let Some(resource) = registry.by_id(&key.resource) else {
                continue;
            };
            if is_deletion_complete(resource, &value) && !has_contents(txn, &object) {
                remove_with_dependents(txn, &object)?;
            } else if unblocked {
                txn.put_object(key, value)?;
            }
        }
    }
}
