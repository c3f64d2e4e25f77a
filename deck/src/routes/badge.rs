//! `/badge.svg?jobs=a,b*`

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde::Deserialize;

use super::{NO_STORE, aside, text};
use crate::app::App;
use crate::badge::badge;
use crate::index::Pattern;

/// Of one badge.
const MAX_PATTERNS: usize = 100;

#[derive(Debug, Deserialize)]
pub(super) struct Jobs {
    #[serde(default)]
    jobs: String,
}

pub(super) async fn svg(State(app): State<Arc<App>>, Query(query): Query<Jobs>) -> Response {
    let patterns = match patterns(&query.jobs) {
        Ok(patterns) if patterns.is_empty() => {
            return text(StatusCode::BAD_REQUEST, "missing jobs query parameter\n");
        }
        Ok(patterns) => patterns,
        Err(says) => return text(StatusCode::BAD_REQUEST, format!("{says}\n")),
    };
    let newest = aside(move || app.index.latest(&patterns, app.viewing())).await;
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

fn patterns(list: &str) -> Result<Vec<Pattern>, String> {
    let named = list.split(',').map(str::trim);
    let named = named.filter(|name| !name.is_empty());
    let patterns: Vec<Pattern> = named.map(Pattern::parse).collect::<Result<_, _>>()?;
    if patterns.len() > MAX_PATTERNS {
        return Err(format!(
            "A badge is of at most {MAX_PATTERNS} names and patterns."
        ));
    }
    Ok(patterns)
}
