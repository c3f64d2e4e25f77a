//! DELETE: one object, or all that a selector matches.

use std::sync::Arc;

use axum::response::Response;
use http::StatusCode;
use serde_json::json;

use super::super::lifecycle::{self, DeletionOutcome};
use super::super::object::ApiObject;
use super::super::status::{StatusError, StatusResult};
use super::super::store::Txn;
use super::{ResourceRequest, get_existing_object, json_response};

pub(super) async fn delete_resource(call: ResourceRequest) -> StatusResult<Response> {
    let (options, dry_run) = call.params.delete_options(&call.optional_body()?)?;
    let (resource, key) = (call.resource.clone(), call.object_key());
    let write = move |txn: &mut Txn<'_>| {
        let object = get_existing_object(txn, &resource, &key)?;
        lifecycle::delete_object(txn, &resource, &object, &options)
    };
    let text = match call.store().submit_write(call.now, dry_run, write).await? {
        DeletionOutcome::Going(object) => object.text.clone(),
        DeletionOutcome::Gone(object) => {
            let mut details =
                json!({"name": call.name, "kind": call.resource.plural, "uid": object.uid});
            if !call.resource.group.is_empty() {
                details["group"] = json!(call.resource.group);
            }
            let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details});
            status.to_string().into()
        }
    };
    Ok(json_response(StatusCode::OK, text, &[]))
}

pub(super) async fn delete_collection(call: ResourceRequest) -> StatusResult<Response> {
    let (options, dry_run) = call.params.delete_options(&call.optional_body()?)?;
    let selector = call.params.parse_selector()?;
    selector.check_fields(call.resource.id())?;
    if call.resource.namespaced && call.namespace.is_empty() {
        return Err(StatusError::method_not_allowed());
    }
    let (resource, namespace) = (call.resource.clone(), call.namespace.clone());
    let write = move |txn: &mut Txn<'_>| {
        let namespace = Some(namespace.as_str()).filter(|namespace| !namespace.is_empty());
        let objects: Vec<Arc<ApiObject>> = txn
            .list_objects(resource.id(), namespace)
            .into_iter()
            .filter(|object| selector.matches_object(object))
            .collect();
        for key in objects.iter().map(|object| &object.key) {
            // The deletion of an earlier object may have removed this one.
            if let Some(object) = txn.get(key) {
                lifecycle::delete_object(txn, &resource, &object, &options)?;
            }
        }
        Ok(())
    };
    call.store().submit_write(call.now, dry_run, write).await?;
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"});
    Ok(json_response(
        StatusCode::OK,
        status.to_string().into(),
        &[],
    ))
}
