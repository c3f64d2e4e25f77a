//! The router: what is about the server itself here, everything about resources in `rest`.

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderMap, header};
use serde_json::Value;

use super::status::Failure;
use super::{ApiServer, discovery, openapi, rest};

/// Asked for with `@` in the place of the last but one dot, which is no valid media type to answer with.
const OPENAPI_PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

pub(super) fn router(api: ApiServer) -> Router {
    Router::new()
        .route("/version", get(async || json(&discovery::version())))
        .route("/healthz", get(async || "ok"))
        .route("/livez", get(async || "ok"))
        .route("/readyz", get(async || "ok"))
        .route("/api", get(async || json(&discovery::core_versions())))
        .route("/api/{version}", get(core_resources))
        .route(
            "/apis",
            get(async |State(api): State<ApiServer>| json(&discovery::groups(&api.registry()))),
        )
        .route("/apis/{group}", get(group))
        .route("/apis/{group}/{version}", get(group_resources))
        .route("/openapi/v2", get(openapi_v2))
        .route(
            "/openapi/v3",
            get(async |State(api): State<ApiServer>| json(&openapi::v3(&api.registry()))),
        )
        .route("/openapi/v3/{*path}", get(openapi_v3))
        .fallback(async |State(api): State<ApiServer>, request: Request| {
            rest::handle(api, request).await
        })
        .method_not_allowed_fallback(async || Failure::method_not_allowed())
        .with_state(api)
}

fn json(value: &Value) -> Response {
    (
        [(header::CONTENT_TYPE, "application/json")],
        value.to_string(),
    )
        .into_response()
}

fn found(value: Option<Value>) -> Response {
    value.map_or_else(|| Failure::no_route().into_response(), |value| json(&value))
}

async fn core_resources(State(api): State<ApiServer>, Path(version): Path<String>) -> Response {
    found(discovery::resources(&api.registry(), "", &version))
}

async fn group(State(api): State<ApiServer>, Path(group): Path<String>) -> Response {
    found(discovery::group(&api.registry(), &group))
}

async fn group_resources(
    State(api): State<ApiServer>,
    Path((group, version)): Path<(String, String)>,
) -> Response {
    found(discovery::resources(&api.registry(), &group, &version))
}

async fn openapi_v2(State(api): State<ApiServer>, headers: HeaderMap) -> Response {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if accept.contains("protobuf") && !accept.contains("json") {
        return (
            [(header::CONTENT_TYPE, OPENAPI_PROTOBUF)],
            openapi::v2_protobuf(),
        )
            .into_response();
    }
    json(&openapi::v2(&api.registry()))
}

async fn openapi_v3(State(api): State<ApiServer>, Path(path): Path<String>) -> Response {
    found(openapi::v3_group(&api.registry(), &path))
}
