//! The verbs on resources: finds the resource of a request and calls the handler of its verb.

mod create;
mod delete;
mod pods;
mod read;
mod review;
mod update;
mod watch;

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use jiff::Timestamp;
use serde_json::Value;

use super::ApiServer;
use super::decoding::FieldValidation;
use super::object::{ApiObject, ObjectKey};
use super::request::{QueryParams, RequestInfo, content_type, field_manager_name, parse_body};
use super::resource::ServedResource;
use super::status::{StatusError, StatusResult};
use super::store::{ClusterStore, Txn};

/// Largest request body, as on a real server.
pub(super) const BODY_BYTES: usize = 3 << 20;

/// One request on a resource.
struct ResourceRequest {
    api: ApiServer,
    resource: Arc<ServedResource>,
    /// Empty for cluster-scoped kinds, and for all namespaces.
    namespace: String,
    /// Empty for the collection.
    name: String,
    params: QueryParams,
    headers: HeaderMap,
    body: Bytes,
    now: Timestamp,
}

/// Answers a request below `/api/VERSION` or `/apis/GROUP/VERSION`.
pub(super) async fn handle_request(api: ApiServer, request: Request) -> Response {
    answer_request(api, request).await.unwrap_or_else(|failure| {
        if failure.code == StatusCode::NOT_IMPLEMENTED {
            tracing::warn!(%failure, "a client asked the embedded API for what it does not have");
        }
        failure.into_response()
    })
}

async fn answer_request(api: ApiServer, request: Request) -> StatusResult<Response> {
    let (parts, body) = request.into_parts();
    let place = RequestInfo::parse_path(parts.uri.path()).ok_or_else(StatusError::no_route)?;
    refuse_protobuf_only(&parts.headers)?;
    let body = axum::body::to_bytes(body, BODY_BYTES)
        .await
        .map_err(|_| StatusError::request_too_large())?;
    if let Some(answer) = review::answer_review(&parts.method, &place, &parts.headers, &body) {
        return answer;
    }
    let found = api
        .store()
        .read_state()
        .registry()
        .find_resource(&place.group, &place.version, &place.plural)
        .cloned();
    let resource = found.ok_or_else(StatusError::no_route)?;
    if !resource.namespaced && !place.namespace.is_empty() {
        return Err(StatusError::no_route());
    }
    let call = ResourceRequest {
        api,
        resource,
        namespace: place.namespace,
        name: place.name,
        params: QueryParams::parse_query(&parts.uri),
        headers: parts.headers,
        body,
        now: Timestamp::now(),
    };
    dispatch_request(call, &parts.method, &place.subresource).await
}

async fn dispatch_request(
    call: ResourceRequest,
    method: &Method,
    subresource: &str,
) -> StatusResult<Response> {
    let one = !call.name.is_empty();
    if one && call.resource.namespaced && call.namespace.is_empty() {
        return Err(StatusError::no_route());
    }
    match (subresource, method.as_str()) {
        ("", "GET") if call.params.get_flag("watch")? == Some(true) => watch::watch_resource(&call),
        ("", "GET") if one => read::get_resource(&call),
        ("", "GET") => read::list_resource(&call),
        ("", "POST") if !one => create::create_resource(call).await,
        ("", "PUT") if one => update::update_resource(call, update::ObjectPart::Object).await,
        ("", "PATCH") if one => update::patch_resource(call, update::ObjectPart::Object).await,
        ("", "DELETE") if one => delete::delete_resource(call).await,
        ("", "DELETE") => delete::delete_collection(call).await,
        ("", _) => Err(StatusError::method_not_allowed()),
        ("status", _) if !call.resource.status => Err(StatusError::no_route()),
        ("status", "GET") => read::get_resource(&call),
        ("status", "PUT") => update::update_resource(call, update::ObjectPart::Status).await,
        ("status", "PATCH") => update::patch_resource(call, update::ObjectPart::Status).await,
        ("status", _) => Err(StatusError::method_not_allowed()),
        (subresource, method) => other_subresource(call, subresource, method).await,
    }
}

async fn other_subresource(
    call: ResourceRequest,
    subresource: &str,
    method: &str,
) -> StatusResult<Response> {
    let what = format!("{}/{subresource}", call.resource.id());
    let first = subresource.split('/').next().unwrap_or_default();
    match (&**call.resource.id(), first, method) {
        ("pods", "log", "GET") => pods::read_pod_log(&call),
        ("pods", "binding", "POST") => pods::bind_pod(call).await,
        ("pods", "log" | "binding", _) => Err(StatusError::method_not_allowed()),
        (
            "pods",
            "exec"
            | "attach"
            | "portforward"
            | "proxy"
            | "eviction"
            | "ephemeralcontainers"
            | "resize",
            _,
        )
        | ("services", "proxy", _)
        | ("serviceaccounts", "token", _)
        | ("namespaces", "finalize", _)
        | (_, "scale", _) => Err(StatusError::not_built(&what)),
        _ => Err(StatusError::no_route()),
    }
}

/// Refuses clients that accept only protobuf: all answers are JSON.
fn refuse_protobuf_only(headers: &HeaderMap) -> StatusResult<()> {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("*/*");
    let readable = |one: &str| {
        let media = one.split(';').next().unwrap_or_default().trim();
        matches!(media, "" | "*/*" | "application/*" | "application/json")
    };
    if accept.split(',').any(readable) {
        Ok(())
    } else {
        Err(StatusError::not_acceptable())
    }
}

impl ResourceRequest {
    fn store(&self) -> &ClusterStore {
        self.api.store()
    }

    fn object_key(&self) -> ObjectKey {
        ObjectKey::new(self.resource.id(), &self.namespace, &self.name)
    }

    fn field_manager_name(&self) -> String {
        field_manager_name(&self.params, &self.headers)
    }

    fn field_validation(&self) -> StatusResult<FieldValidation> {
        FieldValidation::parse_param(self.params.get_text("fieldValidation"))
    }

    fn read_body(&self) -> StatusResult<Value> {
        parse_body(content_type(&self.headers), &self.body)
    }

    /// A body that may be missing, as in DELETE.
    fn optional_body(&self) -> StatusResult<Value> {
        if self.body.is_empty() {
            Ok(Value::Null)
        } else {
            self.read_body()
        }
    }
}

/// The stored object, or a 404 with its name.
fn get_existing_object(
    txn: &Txn<'_>,
    resource: &ServedResource,
    key: &ObjectKey,
) -> StatusResult<Arc<ApiObject>> {
    txn.get(key)
        .ok_or_else(|| StatusError::not_found(resource, &key.name))
}

/// A JSON response, with the warnings in its headers.
fn json_response(code: StatusCode, text: Bytes, warnings: &[String]) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    for warning in warnings {
        let quoted = warning.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
            headers.append(header::WARNING, value);
        }
    }
    response
}
