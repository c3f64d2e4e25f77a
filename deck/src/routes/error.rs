//! What a reader is told when there is no page to show.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use http::StatusCode;

use super::busy::RETRY_AFTER;
use crate::app::App;
use crate::view::Frame;

/// Which of the fixed pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Also for what may not be seen: the two must look alike.
    NotFound,
    BadRequest,
    Internal,
    Busy,
}

/// A page without what was asked for.
#[derive(Debug, Template)]
#[template(path = "error.html")]
pub(crate) struct Problem {
    frame: Frame,
    status: u16,
    heading: &'static str,
    text: String,
    /// It is loaded again by itself.
    again: bool,
}

impl Problem {
    pub(crate) fn page(app: &App, kind: Kind, text: impl Into<String>) -> Response {
        let (status, heading) = match kind {
            Kind::NotFound => (StatusCode::NOT_FOUND, "Not found"),
            Kind::BadRequest => (StatusCode::BAD_REQUEST, "That cannot be asked"),
            Kind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong"),
            Kind::Busy => (StatusCode::SERVICE_UNAVAILABLE, "Not ready yet"),
        };
        let page = Self {
            frame: app.frame(),
            status: status.as_u16(),
            heading,
            text: text.into(),
            again: kind == Kind::Busy,
        };
        let response = (status, html(&page));
        if page.again {
            (RETRY_AFTER, response).into_response()
        } else {
            response.into_response()
        }
    }

    /// Where what the page is about could not be had in the time that a reader waits.
    pub(crate) fn late(app: &App) -> Response {
        let text = "The storage of this run gives no answer now.";
        Self::page(app, Kind::Busy, text)
    }

    /// For an error that only the operator can do something about: it is logged here.
    pub(crate) fn internal(app: &App, error: &anyhow::Error, doing: &str) -> Response {
        tracing::error!(
            error = format!("{error:#}"),
            doing,
            "a page could not be made"
        );
        Self::page(
            app,
            Kind::Internal,
            "Deck could not read what this page needs. Try again in a moment.",
        )
    }
}

pub(crate) async fn not_found(State(app): State<Arc<App>>) -> Response {
    Problem::page(
        &app,
        Kind::NotFound,
        "There is no such page here. The link may be old or mistyped.",
    )
}

/// A template as an answer. Rendering into memory does not fail.
pub(crate) fn html(template: &impl Template) -> Response {
    match template.render() {
        Ok(page) => Html(page).into_response(),
        Err(error) => {
            tracing::error!(%error, "a template could not be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
