//! The 503 for what can be answered in a moment, with the time to ask again.

use axum::response::{IntoResponse, Response};
use http::{HeaderName, StatusCode, header};

use super::error::{ErrorPage, ErrorPageKind};
use super::text_response;
use crate::app::DeckState;

/// Seconds after which a refused client should try again.
const RETRY_SECONDS: &str = "5";
pub(super) const RETRY_AFTER: [(HeaderName, &str); 1] = [(header::RETRY_AFTER, RETRY_SECONDS)];
const STARTING: &str = "Deck has just started and is still reading the jobs.";

/// The response for scripts.
pub(super) fn unavailable_response(says: &'static str) -> Response {
    (
        RETRY_AFTER,
        text_response(StatusCode::SERVICE_UNAVAILABLE, says),
    )
        .into_response()
}

/// The response until the first listing: any answer about jobs would be wrong. `None` after it.
pub(super) fn starting_response(app: &DeckState, as_page: bool) -> Option<Response> {
    if *app.index.watch_synced().borrow() {
        return None;
    }
    Some(if as_page {
        ErrorPage::page_response(app, ErrorPageKind::Busy, STARTING)
    } else {
        unavailable_response(
            "Deck has just started and is still reading the jobs. Try again in a moment.\n",
        )
    })
}
