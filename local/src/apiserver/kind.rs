//! What a kind adds to the generic store: what a new object gets, and which rules it must keep.

mod crd;
mod meta;
mod names;
mod pod;

use serde_json::{Value, json};

use super::object::{child, meta as meta_text};
use super::resource::{Resource, Shape};
use super::status::{Cause, Failure, Result};

/// Completes an object that is about to be created: what the server decides, not the client.
pub(crate) fn prepare_create(resource: &Resource, object: &mut Value) {
    if resource.status
        && let Some(map) = object.as_object_mut()
    {
        map.remove("status");
    }
    match &**resource.id() {
        "pods" => pod::prepare(object),
        "namespaces" => {
            let name = meta_text(object, "name").to_owned();
            let labels = child(&mut object["metadata"], "labels");
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

/// Refuses what a person creates to see it run, and nothing would come of. Other kinds of controllers are stored, since
/// manifests of services have them.
pub(crate) fn refuse_new(resource: &Resource) -> Result<()> {
    if &**resource.id() != "jobs.batch" {
        return Ok(());
    }
    Err(Failure::not_implemented(
        "the embedded API runs pods and ProwJobs, not Jobs of batch/v1: nothing would make a pod of this one. \
         To run one pod: kubectl run NAME --image=IMAGE --restart=Never --command -- PROGRAM ARGUMENT..."
            .to_owned(),
    ))
}

/// Kinds of which a cluster's controllers make something.
const CONTROLLED: [&str; 7] = [
    "deployments.apps",
    "replicasets.apps",
    "statefulsets.apps",
    "daemonsets.apps",
    "cronjobs.batch",
    "replicationcontrollers",
    "horizontalpodautoscalers.autoscaling",
];

/// What whoever creates an object of the kind should know.
pub(crate) fn warn_new(resource: &Resource) -> Option<String> {
    let kind = &resource.kind;
    CONTROLLED
        .contains(&&**resource.id())
        .then(|| format!("the embedded API stores a {kind} and runs nothing for it"))
}

/// What is set on every write, new or changed.
pub(crate) fn prepare_write(resource: &Resource, object: &mut Value, now: &Value) {
    if &**resource.id() == "customresourcedefinitions.apiextensions.k8s.io" {
        crd::set_status(object, now);
    }
}

/// Refuses an object that breaks a rule of its kind. `old` is there on an update.
pub(crate) fn validate(resource: &Resource, object: &Value, old: Option<&Value>) -> Result<()> {
    let mut causes = meta::validate(resource, object, old);
    match &**resource.id() {
        "pods" => causes.extend(match old {
            None => pod::validate(object),
            Some(old) => pod::validate_update(old, object),
        }),
        "customresourcedefinitions.apiextensions.k8s.io" => causes.extend(crd::validate(object)?),
        _ => {}
    }
    if let Shape::Schema(schema, _) = &resource.shape {
        causes.extend(schema.validate(object));
    }
    refuse(resource, object, &causes)
}

fn refuse(resource: &Resource, object: &Value, causes: &[Cause]) -> Result<()> {
    if causes.is_empty() {
        Ok(())
    } else {
        Err(Failure::invalid(
            resource,
            meta_text(object, "name"),
            causes,
        ))
    }
}
