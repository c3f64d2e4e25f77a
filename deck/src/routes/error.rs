//! The pages that viewers get when there is no other page to show.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use http::StatusCode;

use super::unavailable::RETRY_AFTER;
use crate::app::DeckState;
use crate::view::DeckLayout;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorPageKind {
    /// Also for what the viewer may not see: the two must look alike.
    NotFound,
    BadRequest,
    Internal,
    Busy,
}

#[derive(Debug, Template)]
#[template(path = "error.html")]
pub(crate) struct ErrorPage {
    frame: DeckLayout,
    status: u16,
    heading: &'static str,
    text: String,
    /// The page loads itself again.
    again: bool,
}

impl ErrorPage {
    pub(crate) fn page_response(
        app: &DeckState,
        kind: ErrorPageKind,
        text: impl Into<String>,
    ) -> Response {
        let (status, heading) = match kind {
            ErrorPageKind::NotFound => (StatusCode::NOT_FOUND, "Not found"),
            ErrorPageKind::BadRequest => (StatusCode::BAD_REQUEST, "That cannot be asked"),
            ErrorPageKind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong"),
            ErrorPageKind::Busy => (StatusCode::SERVICE_UNAVAILABLE, "Not ready yet"),
        };
        let page = Self {
            frame: app.page_layout(),
            status: status.as_u16(),
            heading,
            text: text.into(),
            again: kind == ErrorPageKind::Busy,
        };
        let response = (status, render_html(&page));
        if page.again {
            (RETRY_AFTER, response).into_response()
        } else {
            response.into_response()
        }
    }

    /// The page for data that did not arrive in the time that a reader waits.
    pub(crate) fn timeout_response(app: &DeckState) -> Response {
        let text = "The storage of this run gives no answer now.";
        Self::page_response(app, ErrorPageKind::Busy, text)
    }

    /// The page for an error that only the operator can fix. The error is logged here.
    pub(crate) fn internal_response(
        app: &DeckState,
        error: &anyhow::Error,
        doing: &str,
    ) -> Response {
        tracing::error!(
            error = format!("{error:#}"),
            doing,
            "a page could not be made"
        );
        Self::page_response(
            app,
            ErrorPageKind::Internal,
            "Deck could not read what this page needs. Try again in a moment.",
        )
    }
}

pub(crate) async fn not_found(State(app): State<Arc<DeckState>>) -> Response {
    ErrorPage::page_response(
        &app,
        ErrorPageKind::NotFound,
        "There is no such page here. The link may be old or mistyped.",
    )
}

/// Renders a template as a response. Rendering into memory does not fail.
pub(crate) fn render_html(template: &impl Template) -> Response {
    match template.render() {
        Ok(page) => Html(page).into_response(),
        Err(error) => {
            tracing::error!(%error, "a template could not be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
