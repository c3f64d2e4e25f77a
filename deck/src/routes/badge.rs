//! `/badge.svg?jobs=a,b*`

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde::Deserialize;

use super::{NO_STORE, run_blocking, text_response};
use crate::app::DeckState;
use crate::badge::render_badge;
use crate::index::JobPattern;

/// Maximum number of names and patterns of one badge.
const MAX_PATTERNS: usize = 100;

#[derive(Debug, Deserialize)]
pub(super) struct BadgeQuery {
    #[serde(default)]
    jobs: String,
}

pub(super) async fn get_badge(
    State(app): State<Arc<DeckState>>,
    Query(query): Query<BadgeQuery>,
) -> Response {
    let patterns = match parse_patterns(&query.jobs) {
        Ok(patterns) if patterns.is_empty() => {
            return text_response(StatusCode::BAD_REQUEST, "missing jobs query parameter\n");
        }
        Ok(patterns) => patterns,
        Err(says) => return text_response(StatusCode::BAD_REQUEST, format!("{says}\n")),
    };
    let newest = run_blocking(move || app.index.latest_runs(&patterns, app.view_filter())).await;
    let states: Vec<_> = newest
        .iter()
        .map(|job| (job.job.as_ref(), job.state))
        .collect();
    (
        NO_STORE,
        [(header::CONTENT_TYPE, "image/svg+xml")],
        render_badge(&states),
    )
        .into_response()
}

fn parse_patterns(list: &str) -> Result<Vec<JobPattern>, String> {
    let named = list.split(',').map(str::trim);
    let named = named.filter(|name| !name.is_empty());
    let patterns: Vec<JobPattern> = named.map(JobPattern::parse).collect::<Result<_, _>>()?;
    if patterns.len() > MAX_PATTERNS {
        return Err(format!(
            "A badge is of at most {MAX_PATTERNS} names and patterns."
        ));
    }
    Ok(patterns)
}
