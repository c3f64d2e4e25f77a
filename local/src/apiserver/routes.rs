//! The router: handlers about the server itself are here, those about resources in `rest`.

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderMap, header};
use serde_json::Value;

use super::status::StatusError;
use super::{ApiServer, discovery, openapi, rest};

/// Clients ask for it with `@` instead of the last but one dot. That is no valid media type to
/// answer with.
const OPENAPI_PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

pub(super) fn build_router(api: ApiServer) -> Router {
    Router::new()
        .route(
            "/version",
            get(async || respond_json(&discovery::version_info())),
        )
        .route("/healthz", get(async || "ok"))
        .route("/livez", get(async || "ok"))
        .route("/readyz", get(async || "ok"))
        .route(
            "/api",
            get(async || respond_json(&discovery::core_versions())),
        )
        .route("/api/{version}", get(core_resources))
        .route(
            "/apis",
            get(async |State(api): State<ApiServer>| {
                respond_json(&discovery::list_api_groups(&api.resource_registry()))
            }),
        )
        .route("/apis/{group}", get(api_group))
        .route("/apis/{group}/{version}", get(group_resources))
        .route("/openapi/v2", get(openapi_v2))
        .route(
            "/openapi/v3",
            get(async |State(api): State<ApiServer>| {
                respond_json(&openapi::v3_index(&api.resource_registry()))
            }),
        )
        .route("/openapi/v3/{*path}", get(openapi_v3))
        .fallback(async |State(api): State<ApiServer>, request: Request| {
            rest::handle_request(api, request).await
        })
        .method_not_allowed_fallback(async || StatusError::method_not_allowed())
        .with_state(api)
}

fn respond_json(value: &Value) -> Response {
    (
        [(header::CONTENT_TYPE, "application/json")],
        value.to_string(),
    )
        .into_response()
}

fn json_or_not_found(value: Option<Value>) -> Response {
    value.map_or_else(
        || StatusError::no_route().into_response(),
        |value| respond_json(&value),
    )
}

async fn core_resources(State(api): State<ApiServer>, Path(version): Path<String>) -> Response {
    json_or_not_found(discovery::list_api_resources(
        &api.resource_registry(),
        "",
        &version,
    ))
}

async fn api_group(State(api): State<ApiServer>, Path(group): Path<String>) -> Response {
    json_or_not_found(discovery::find_api_group(&api.resource_registry(), &group))
}

async fn group_resources(
    State(api): State<ApiServer>,
    Path((group, version)): Path<(String, String)>,
) -> Response {
    json_or_not_found(discovery::list_api_resources(
        &api.resource_registry(),
        &group,
        &version,
    ))
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
    respond_json(&openapi::v2_document(&api.resource_registry()))
}

async fn openapi_v3(State(api): State<ApiServer>, Path(path): Path<String>) -> Response {
    json_or_not_found(openapi::v3_group_document(&api.resource_registry(), &path))
}
