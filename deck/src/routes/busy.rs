//! 503: what could be answered in a moment, and when to ask again.

use axum::response::{IntoResponse, Response};
use http::{HeaderName, StatusCode, header};

use super::error::{Kind, Problem};
use super::text;
use crate::app::App;

/// Seconds until one who was refused is to try again.
const AFTER: &str = "5";
pub(super) const RETRY_AFTER: [(HeaderName, &str); 1] = [(header::RETRY_AFTER, AFTER)];
const STARTING: &str = "Deck has just started and is still reading the jobs.";

/// For scripts.
pub(super) fn busy(says: &'static str) -> Response {
    (RETRY_AFTER, text(StatusCode::SERVICE_UNAVAILABLE, says)).into_response()
}

/// Before the first listing: whatever is said of a job would be wrong. `None`: it is in.
pub(super) fn starting(app: &App, as_page: bool) -> Option<Response> {
    if *app.index.synced().borrow() {
        return None;
    }
    Some(if as_page {
        Problem::page(app, Kind::Busy, STARTING)
    } else {
        busy("Deck has just started and is still reading the jobs. Try again in a moment.\n")
    })
}
