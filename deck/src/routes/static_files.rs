//! Style sheets, scripts and the icon.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};

use super::{etag, text_response};
use crate::app::DeckState;
use crate::assets::Asset;

/// Pages name files with their hash, so a browser never has to ask again.
const FOREVER: &str = "public, max-age=31536000, immutable";

pub(super) async fn get_static_file(
    State(app): State<Arc<DeckState>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    serve_asset(&app, &name, &headers, FOREVER)
}

pub(super) async fn get_favicon(State(app): State<Arc<DeckState>>, headers: HeaderMap) -> Response {
    serve_asset(&app, "icon.svg", &headers, "public, max-age=86400")
}

fn serve_asset(app: &DeckState, name: &str, headers: &HeaderMap, cache: &'static str) -> Response {
    match app.assets.get(name) {
        Some(asset) => asset_response(asset, headers, cache),
        None => text_response(StatusCode::NOT_FOUND, "There is no such file.\n"),
    }
}

/// Serves a file, unless the browser already has it.
pub(super) fn asset_response(asset: &Asset, headers: &HeaderMap, cache: &'static str) -> Response {
    let head = [
        (header::ETAG, asset.etag.clone()),
        (header::CACHE_CONTROL, cache.to_owned()),
    ];
    if etag::is_not_modified(headers, &asset.etag) {
        return (StatusCode::NOT_MODIFIED, head).into_response();
    }
    (
        head,
        [(header::CONTENT_TYPE, asset.content_type)],
        asset.body.clone(),
    )
        .into_response()
}
