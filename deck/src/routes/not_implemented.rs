//! Prow's routes that are not implemented yet: each says so.

use axum::response::Response;
use http::{StatusCode, Uri};

use super::text_response;

pub(super) const NOT_IMPLEMENTED_PATHS: [&str; 32] = [
    "/abort",
    "/command-help",
    "/config",
    "/configured-jobs",
    "/configured-jobs/",
    "/configured-jobs/{*path}",
    "/data.js",
    "/git-provider-link",
    "/github-link",
    "/github-login",
    "/github-login/redirect",
    "/job-history",
    "/job-history/",
    "/job-history/{*path}",
    "/plugin-config",
    "/plugin-help",
    "/plugin-help.js",
    "/plugins",
    "/pr",
    "/pr-data.js",
    "/pr-history",
    "/pr-history/",
    "/rerun",
    "/spyglass",
    "/spyglass/",
    "/spyglass/{*path}",
    "/tide",
    "/tide-history",
    "/tide-history.js",
    "/tide.js",
    "/view",
    "/view/",
];

pub(super) async fn answer_not_implemented(uri: Uri) -> Response {
    text_response(
        StatusCode::NOT_IMPLEMENTED,
        format!("{} is not built yet in this Deck.\n", uri.path()),
    )
}
