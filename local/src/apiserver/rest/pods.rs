//! The subresources of pods: binding to a node, and logs.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use super::super::lifecycle::whole_seconds;
use super::super::logs::{LogSource, PodLogOptions};
use super::super::status::{StatusError, StatusResult};
use super::super::store::Txn;
use super::{ResourceRequest, get_existing_object, json_response};

/// Assigns a pod to a node. A pod can be assigned only once.
pub(super) async fn bind_pod(call: ResourceRequest) -> StatusResult<Response> {
    let binding = call.read_body()?;
    let Some(node) = binding["target"]["name"]
        .as_str()
        .filter(|node| !node.is_empty())
        .map(str::to_owned)
    else {
        return Err(StatusError::bad_request(
            "binding: target.name: Required value",
        ));
    };
    let (resource, key) = (call.resource.clone(), call.object_key());
    let write = move |txn: &mut Txn<'_>| {
        let mut pod = get_existing_object(txn, &resource, &key)?.to_value();
        if pod["metadata"]["deletionTimestamp"].is_string() {
            let why = format!(
                "pod {} is being deleted, cannot be assigned to a host",
                key.name
            );
            return Err(StatusError::operation_conflict(&resource, &key.name, &why));
        }
        if let Some(bound) = pod["spec"]["nodeName"]
            .as_str()
            .filter(|bound| !bound.is_empty())
        {
            let why = format!("pod {} is already assigned to node {bound:?}", key.name);
            return Err(StatusError::operation_conflict(&resource, &key.name, &why));
        }
        pod["spec"]["nodeName"] = json!(node);
        let scheduled = json!({"type": "PodScheduled", "status": "True", "lastTransitionTime": whole_seconds(txn.now())});
        match pod["status"]["conditions"].as_array_mut() {
            Some(conditions) => conditions.push(scheduled),
            None => pod["status"]["conditions"] = json!([scheduled]),
        }
        txn.put_object(key, pod).map(|_| ())
    };
    call.store()
        .submit_write(call.now, call.params.dry_run()?, write)
        .await?;
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
    Ok(json_response(
        StatusCode::CREATED,
        status.to_string().into(),
        &[],
    ))
}

/// Returns the output of one container.
pub(super) fn read_pod_log(call: &ResourceRequest) -> StatusResult<Response> {
    let options = PodLogOptions::parse_params(&call.params, &call.name, call.now)?;
    let object = call.store().read_state().get(&call.object_key()).cloned();
    let object = object.ok_or_else(|| StatusError::not_found(&call.resource, &call.name))?;
    let pod = object.to_value();
    let container = choose_container(&pod, call)?;
    let source = LogSource::new(call.api.logs(), &call.namespace, &object.uid, &container);
    let source = if options.previous {
        source.previous_log()
    } else {
        source
    };
    if !source.exists() {
        let why = if options.previous {
            let name = &call.name;
            format!("previous terminated container {container:?} in pod {name:?} not found")
        } else {
            explain_missing_log(&pod, &call.name, &container)
        };
        return Err(StatusError::bad_request(why));
    }
    let (api, key, uid) = (call.api.clone(), call.object_key(), object.uid.clone());
    let run = restart_count(&pod, &container);
    let ended = move || {
        let now = api.store().read_state().get(&key).map(Arc::clone);
        options.previous
            || now.is_none_or(|object| {
                object.uid != uid || has_ended(&object.to_value(), &container, run)
            })
    };
    let mut response = Response::new(Body::from_stream(source.stream_log(options, ended)));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    Ok(response)
}

fn choose_container(pod: &Value, call: &ResourceRequest) -> StatusResult<String> {
    let names = |list: &str| -> Vec<&str> {
        pod["spec"][list]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|one| one["name"].as_str())
            .collect()
    };
    let (containers, init) = (names("containers"), names("initContainers"));
    let asked = call.params.get_text("container");
    match (asked, containers.as_slice()) {
        ("", [only]) => Ok((*only).to_owned()),
        ("", _) => Err(StatusError::bad_request(format!(
            "a container name must be specified for pod {}, choose one of: [{}]{}",
            call.name,
            containers.join(" "),
            if init.is_empty() {
                String::new()
            } else {
                format!(" or one of the init containers: [{}]", init.join(" "))
            },
        ))),
        (asked, _) if containers.contains(&asked) || init.contains(&asked) => Ok(asked.to_owned()),
        (asked, _) => Err(StatusError::bad_request(format!(
            "container {asked} is not valid for pod {}",
            call.name
        ))),
    }
}

fn container_status<'a>(pod: &'a Value, container: &str) -> Option<&'a Value> {
    let all =
        ["containerStatuses", "initContainerStatuses"].map(|list| pod["status"][list].as_array());
    all.into_iter()
        .flatten()
        .flatten()
        .find(|status| status["name"] == container)
}

/// Explains why a container has printed nothing yet, or never will.
fn explain_missing_log(pod: &Value, name: &str, container: &str) -> String {
    let said = |said: &Value, otherwise: &str| {
        let text = |field: &str| said[field].as_str().filter(|text| !text.is_empty());
        let reason = text("reason").unwrap_or(otherwise);
        match text("message") {
            Some(message) => format!("{reason}: {message}"),
            None => reason.to_owned(),
        }
    };
    let state = container_status(pod, container).map_or(&Value::Null, |status| &status["state"]);
    let subject = format!("container {container:?} in pod {name:?}");
    if is_terminal(pod) || state["terminated"].is_object() {
        let status = if state["terminated"].is_object() {
            &state["terminated"]
        } else {
            &pod["status"]
        };
        return format!("{subject} has not run: {}", said(status, "the pod is over"));
    }
    let why = said(&state["waiting"], "ContainerCreating");
    format!("{subject} is waiting to start: {why}")
}

fn is_terminal(pod: &Value) -> bool {
    let phase = pod["status"]["phase"].as_str();
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// How many runs of the container came before this one.
fn restart_count(pod: &Value, container: &str) -> Option<i64> {
    container_status(pod, container).and_then(|status| status["restartCount"].as_i64())
}

/// Whether the run with the restart count `run` has ended.
fn has_ended(pod: &Value, container: &str, run: Option<i64>) -> bool {
    let ended = |status: &Value| {
        let (state, last) = (&status["state"], &status["lastState"]);
        let rests = state["waiting"].is_object() && last["terminated"].is_object();
        state["terminated"].is_object() || rests
    };
    is_terminal(pod)
        || container_status(pod, container).is_some_and(ended)
        || run.is_some_and(|run| restart_count(pod, container) > Some(run))
}
