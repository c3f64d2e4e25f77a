//! `/badge.svg?jobs=a,b*`

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde::Deserialize;

use super::{NO_STORE, text};
use crate::app::App;
use crate::badge::badge;
use crate::index::Pattern;

#[derive(Debug, Deserialize)]
pub(super) struct Jobs {
    #[serde(default)]
    jobs: String,
}

pub(super) async fn svg(State(app): State<Arc<App>>, Query(query): Query<Jobs>) -> Response {
    let patterns: Vec<Pattern> = query
        .jobs
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(Pattern::new)
        .collect();
    if patterns.is_empty() {
        return text(StatusCode::BAD_REQUEST, "missing jobs query parameter\n");
    }
    let newest = app.index.latest(&patterns, app.viewing());
    let states: Vec<_> = newest
        .iter()
        .map(|job| (job.job.as_ref(), job.state))
        .collect();
    (
        NO_STORE,
        [(header::CONTENT_TYPE, "image/svg+xml")],
        badge(&states),
    )
        .into_response()
}
