//! The verbs on resources: finds what a request is about and hands it to the verb.

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
use super::object::{Key, Object};
use super::request::{Params, Place, content_type, manager, parse_body};
use super::resource::Resource;
use super::shape::Strictness;
use super::status::{Failure, Result};
use super::store::{Store, Txn};

/// Largest request body, as of a real server.
pub(super) const BODY_BYTES: usize = 3 << 20;

/// One request on a resource.
struct Call {
    api: ApiServer,
    resource: Arc<Resource>,
    /// Empty for cluster-scoped kinds, and for all namespaces.
    namespace: String,
    /// Empty for the collection.
    name: String,
    params: Params,
    headers: HeaderMap,
    body: Bytes,
    now: Timestamp,
}

/// Answers a request below `/api/VERSION` or `/apis/GROUP/VERSION`.
pub(super) async fn handle(api: ApiServer, request: Request) -> Response {
    answer(api, request).await.unwrap_or_else(|failure| {
        if failure.code == StatusCode::NOT_IMPLEMENTED {
            tracing::warn!(%failure, "a client asked the embedded API for what it does not have");
        }
        failure.into_response()
    })
}

async fn answer(api: ApiServer, request: Request) -> Result<Response> {
    let (parts, body) = request.into_parts();
    let place = Place::parse(parts.uri.path()).ok_or_else(Failure::no_route)?;
    refuse_protobuf_only(&parts.headers)?;
    let body = axum::body::to_bytes(body, BODY_BYTES)
        .await
        .map_err(|_| Failure::too_large())?;
    if let Some(answer) = review::answer(&parts.method, &place, &parts.headers, &body) {
        return answer;
    }
    let found = api
        .store()
        .read()
        .registry()
        .find(&place.group, &place.version, &place.plural)
        .cloned();
    let resource = found.ok_or_else(Failure::no_route)?;
    if !resource.namespaced && !place.namespace.is_empty() {
        return Err(Failure::no_route());
    }
    let call = Call {
        api,
        resource,
        namespace: place.namespace,
        name: place.name,
        params: Params::parse(&parts.uri),
        headers: parts.headers,
        body,
        now: Timestamp::now(),
    };
    dispatch(call, &parts.method, &place.subresource).await
}

async fn dispatch(call: Call, method: &Method, subresource: &str) -> Result<Response> {
    let one = !call.name.is_empty();
    if one && call.resource.namespaced && call.namespace.is_empty() {
        return Err(Failure::no_route());
    }
    match (subresource, method.as_str()) {
        ("", "GET") if call.params.flag("watch")? == Some(true) => watch::watch(&call),
        ("", "GET") if one => read::get(&call),
        ("", "GET") => read::list(&call),
        ("", "POST") if !one => create::create(call).await,
        ("", "PUT") if one => update::put(call, update::Part::Object).await,
        ("", "PATCH") if one => update::patch(call, update::Part::Object).await,
        ("", "DELETE") if one => delete::delete(call).await,
        ("", "DELETE") => delete::delete_collection(call).await,
        ("", _) => Err(Failure::method_not_allowed()),
        ("status", _) if !call.resource.status => Err(Failure::no_route()),
        ("status", "GET") => read::get(&call),
        ("status", "PUT") => update::put(call, update::Part::Status).await,
        ("status", "PATCH") => update::patch(call, update::Part::Status).await,
        ("status", _) => Err(Failure::method_not_allowed()),
        (subresource, method) => other_subresource(call, subresource, method).await,
    }
}

async fn other_subresource(call: Call, subresource: &str, method: &str) -> Result<Response> {
    let what = format!("{}/{subresource}", call.resource.id());
    let first = subresource.split('/').next().unwrap_or_default();
    match (&**call.resource.id(), first, method) {
        ("pods", "log", "GET") => pods::log(&call),
        ("pods", "binding", "POST") => pods::bind(call).await,
        ("pods", "log" | "binding", _) => Err(Failure::method_not_allowed()),
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
        | (_, "scale", _) => Err(Failure::not_built(&what)),
        _ => Err(Failure::no_route()),
    }
}

/// Who can read only protobuf gets nothing; JSON is all there is.
fn refuse_protobuf_only(headers: &HeaderMap) -> Result<()> {
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
        Err(Failure::not_acceptable())
    }
}

impl Call {
    fn store(&self) -> &Store {
        self.api.store()
    }

    fn key(&self) -> Key {
        Key::new(self.resource.id(), &self.namespace, &self.name)
    }

    fn manager(&self) -> String {
        manager(&self.params, &self.headers)
    }

    fn strictness(&self) -> Result<Strictness> {
        Strictness::parse(self.params.text("fieldValidation"))
    }

    fn body(&self) -> Result<Value> {
        parse_body(content_type(&self.headers), &self.body)
    }

    /// A body that may be missing, as of DELETE.
    fn optional_body(&self) -> Result<Value> {
        if self.body.is_empty() {
            Ok(Value::Null)
        } else {
            self.body()
        }
    }
}

/// The stored object, or the 404 that names it.
fn existing(txn: &Txn<'_>, resource: &Resource, key: &Key) -> Result<Arc<Object>> {
    txn.get(key)
        .ok_or_else(|| Failure::not_found(resource, &key.name))
}

/// An object as a JSON response, with warnings for who asked for them.
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
