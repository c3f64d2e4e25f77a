//! `/log`: a run's log as plain text, also while it grows.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use common::storage::paths;
use futures::{StreamExt, TryStreamExt};
use http::StatusCode;
use serde::Deserialize;
use tokio::time::timeout_at;

use super::guards::ResponseDeadline;
use super::{NO_STORE, text_response, unavailable};
use crate::app::DeckState;
use crate::logs;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct LogQuery {
    job: String,
    id: String,
    container: String,
    follow: String,
}

pub(super) async fn get_log(
    Extension(in_time): Extension<ResponseDeadline>,
    State(app): State<Arc<DeckState>>,
    Query(wanted): Query<LogQuery>,
) -> Response {
    if wanted.job.is_empty() || wanted.id.is_empty() {
        return text_response(
            StatusCode::BAD_REQUEST,
            "missing job or id query parameter\n",
        );
    }
    let container = if wanted.container.is_empty() {
        paths::TEST_CONTAINER
    } else {
        &wanted.container
    };
    let job = app
        .find_run(&wanted.job, &wanted.id)
        .filter(|job| job.has_container(container));
    let Some(job) = job else {
        return text_response(StatusCode::NOT_FOUND, "There is no such run.\n");
    };
    if common::service::flags::parse_bool(&wanted.follow).unwrap_or(false) {
        let Ok(permit) = app.streams.clone().try_acquire_owned() else {
            return unavailable::unavailable_response(
                "Too many logs are being followed. Try again later.\n",
            );
        };
        let log = logs::follow_log(app.clone(), job, container.to_owned());
        let log = log.inspect(move |_| {
            let _held_to_the_end = &permit;
        });
        return (
            NO_STORE,
            text_response(StatusCode::OK, Body::from_stream(log)),
        )
            .into_response();
    }
    let log = timeout_at(in_time.0, logs::open_log(&app, &job, container)).await;
    match log.unwrap_or_else(|_| Err(logs::LogError::timeout_error())) {
        Ok(log) => {
            let log = log.inspect_err(|error| {
                tracing::warn!(error = format!("{error:#}"), "a log broke off")
            });
            (
                NO_STORE,
                text_response(StatusCode::OK, Body::from_stream(log)),
            )
                .into_response()
        }
        Err(logs::LogError::Absent) => {
            text_response(StatusCode::NOT_FOUND, "There is no log of this run.\n")
        }
        Err(logs::LogError::NotStarted) => text_response(
            StatusCode::NOT_FOUND,
            "The log of this run has not begun.\n",
        ),
        Err(logs::LogError::NotLetOut) => text_response(
            StatusCode::NOT_FOUND,
            "The run's sidecar has let out nothing of its log yet. If it lets out no live log, the log is here when the run has finished.\n",
        ),
        Err(error @ logs::LogError::NoSuchCluster(_)) => {
            text_response(StatusCode::NOT_FOUND, format!("{error}.\n"))
        }
        Err(logs::LogError::Other(error)) => {
            let (prowjob, error) = (job.name.as_ref(), format!("{error:#}"));
            tracing::warn!(prowjob, job = wanted.job, error, "a log cannot be read");
            text_response(
                StatusCode::NOT_FOUND,
                "The log of this run cannot be read now.\n",
            )
        }
    }
}
