//! What a kind adds to the generic store: what the server sets in a new object, and the rules of
//! the kind.

mod crd;
mod meta;
mod names;
mod pod;

use serde_json::{Value, json};

use super::object::{ensure_child_object, metadata_field};
use super::resource::{ResourceSchema, ServedResource};
use super::status::{StatusCause, StatusError, StatusResult};

/// Completes an object before it is created, with what the server decides and not the client.
pub(crate) fn prepare_create(resource: &ServedResource, object: &mut Value) {
    if resource.status
        && let Some(map) = object.as_object_mut()
    {
        map.remove("status");
    }
    match &**resource.id() {
        "pods" => pod::set_pod_defaults(object),
        "namespaces" => {
            let name = metadata_field(object, "name").to_owned();
            let labels = ensure_child_object(&mut object["metadata"], "labels");
            labels.insert(
                "kubernetes.io/metadata.name".to_owned(),
                Value::String(name),
            );
            object["spec"] = json!({"finalizers": ["kubernetes"]});
            object["status"] = json!({"phase": "Active"});
        }
        "secrets" if object["type"].as_str().is_none_or(str::is_empty) => {
            object["type"] = json!("Opaque")
        }
        _ => {}
    }
}

/// Refuses objects that people create to see them run, and that nothing would run. Other kinds that
/// need controllers are stored, since manifests of services contain them.
pub(crate) fn refuse_unrunnable(resource: &ServedResource) -> StatusResult<()> {
    if &**resource.id() != "jobs.batch" {
        return Ok(());
    }
    Err(StatusError::not_implemented(
        "the embedded API runs pods and ProwJobs, not Jobs of batch/v1: nothing would make a pod of this one. \
         To run one pod: kubectl run NAME --image=IMAGE --restart=Never --command -- PROGRAM ARGUMENT..."
            .to_owned(),
    ))
}

/// Kinds that need a cluster's controllers.
const CONTROLLED_KINDS: [&str; 7] = [
    "deployments.apps",
    "replicasets.apps",
    "statefulsets.apps",
    "daemonsets.apps",
    "cronjobs.batch",
    "replicationcontrollers",
    "horizontalpodautoscalers.autoscaling",
];

/// The warning for whoever creates an object of such a kind.
pub(crate) fn warn_unrunnable(resource: &ServedResource) -> Option<String> {
    let kind = &resource.kind;
    CONTROLLED_KINDS
        .contains(&&**resource.id())
        .then(|| format!("the embedded API stores a {kind} and runs nothing for it"))
}

/// Sets what the server sets on every write, to a new or an existing object.
pub(crate) fn prepare_write(resource: &ServedResource, object: &mut Value, now: &Value) {
    if &**resource.id() == "customresourcedefinitions.apiextensions.k8s.io" {
        crd::set_crd_status(object, now);
    }
}

/// Refuses an object that breaks a rule of its kind. `old` is set on an update.
pub(crate) fn validate_object(
    resource: &ServedResource,
    object: &Value,
    old: Option<&Value>,
) -> StatusResult<()> {
    let mut causes = meta::validate_metadata(resource, object, old);
    match &**resource.id() {
        "pods" => causes.extend(match old {
            None => pod::validate_pod(object),
            Some(old) => pod::validate_pod_update(old, object),
        }),
        "customresourcedefinitions.apiextensions.k8s.io" => {
            causes.extend(crd::validate_crd(object)?)
        }
        _ => {}
    }
    if let ResourceSchema::Schema(schema, _) = &resource.shape {
        causes.extend(schema.validate_value(object));
    }
    refuse_invalid(resource, object, &causes)
}

fn refuse_invalid(
    resource: &ServedResource,
    object: &Value,
    causes: &[StatusCause],
) -> StatusResult<()> {
    if causes.is_empty() {
        Ok(())
    } else {
        Err(StatusError::invalid_object(
            resource,
            metadata_field(object, "name"),
            causes,
        ))
    }
}
