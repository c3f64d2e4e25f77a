//! The checks that a request passes before its handler, by its route's [`RouteVisibility`].
//!
//! The handlers of runs and objects get what the guard has found and have no other way to it.

use std::sync::Arc;
use std::time::Duration;

use axum::RequestPartsExt;
use axum::extract::{Path, Query, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use common::storage::paths::inverse;
use common::storage::{StorageError, StorageProvider, token, validate_key};
use http::{HeaderMap, Method, StatusCode, header};
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

use super::error::{ErrorPage, ErrorPageKind};
use super::headers::RunFolderPath;
use super::route_table::{RouteVisibility, SecurityPolicy};
use super::{artifact, text_response, unavailable};
use crate::app::DeckState;
use crate::buckets::StorageLocation;
use crate::run_lookup::{self, RunLookup};
use crate::view::encode_path;

/// A response has to begin within two seconds. This leaves time for the response itself.
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(1700);
pub(super) const NO_SUCH_RUN: &str = "There is no such run here. It may have been too long ago.";

/// An object that the viewer may see.
#[derive(Clone, Debug)]
pub(super) struct ShownObject(pub(super) StorageLocation);

/// When a response has to begin, whatever data is still missing.
#[derive(Clone, Copy, Debug)]
pub(super) struct ResponseDeadline(pub(super) Instant);

impl ResponseDeadline {
    fn start_now() -> Self {
        Self(Instant::now() + RESPONSE_TIMEOUT)
    }

    /// The deadline of a request that is already being handled.
    fn of_request(request: &Request) -> Self {
        let noted = request.extensions().get();
        noted.copied().unwrap_or_else(Self::start_now)
    }
}

/// The parameters that name a run.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RunParameters {
    job: String,
    id: String,
    prowjob: String,
    list: Option<String>,
}

#[derive(Clone)]
pub(super) struct RouteGuard {
    pub(super) app: Arc<DeckState>,
    pub(super) visibility: RouteVisibility,
    pub(super) dress: SecurityPolicy,
}

pub(super) async fn guard_request(
    State(door): State<RouteGuard>,
    mut request: Request,
    next: Next,
) -> Response {
    request
        .extensions_mut()
        .insert(ResponseDeadline::start_now());
    let app = &door.app;
    // In storage a run's token needs no listing; other requests are checked in `guard_storage`.
    if door.visibility != RouteVisibility::Storage
        && let Some(response) =
            unavailable::starting_response(app, door.dress == SecurityPolicy::Page)
    {
        return response;
    }
    if door.visibility == RouteVisibility::Listing {
        return next.run(request).await;
    }
    let Ok(Query(names)) = Query::<RunParameters>::try_from_uri(request.uri()) else {
        return text_response(StatusCode::BAD_REQUEST, "The parameters cannot be read.\n");
    };
    // Handlers report missing parameters themselves.
    match door.visibility {
        RouteVisibility::Everyone | RouteVisibility::Listing => next.run(request).await,
        RouteVisibility::Build => {
            let complete = !names.job.is_empty() && !names.id.is_empty();
            if complete && app.find_run(&names.job, &names.id).is_none() {
                return text_response(StatusCode::NOT_FOUND, "There is no such run.\n");
            }
            next.run(request).await
        }
        RouteVisibility::ProwJob => {
            let found = app.index.find_by_name(&names.prowjob);
            let shown = found.is_some_and(|job| app.may_view(&job));
            if !names.prowjob.is_empty() && !shown {
                return text_response(StatusCode::NOT_FOUND, "There is no such ProwJob.\n");
            }
            next.run(request).await
        }
        RouteVisibility::Page => guard_job_page(app, request, next).await,
        RouteVisibility::Artifact => {
            let (path, request) = match rest_of_path(request).await {
                Ok(split) => split,
                Err(response) => return response,
            };
            match run_lookup::resolve_path(app, &path) {
                Ok(Some(place)) => {
                    guard_object(app, place, &format!("/artifact/{path}"), request, next).await
                }
                Ok(None) => text_response(StatusCode::NOT_FOUND, artifact::NO_SUCH_OBJECT),
                Err(error) => artifact::storage_error_response(&path, error),
            }
        }
        RouteVisibility::Storage => guard_storage(app, &names, request, next).await,
    }
}

/// The decoded rest of the path, and the unchanged request.
async fn rest_of_path(request: Request) -> Result<(String, Request), Response> {
    let (mut parts, body) = request.into_parts();
    let path = parts.extract::<Path<String>>().await;
    let Path(path) = path.map_err(IntoResponse::into_response)?;
    Ok((path, Request::from_parts(parts, body)))
}

async fn guard_job_page(app: &Arc<DeckState>, request: Request, next: Next) -> Response {
    let (path, mut request) = match rest_of_path(request).await {
        Ok(split) => split,
        Err(response) => return response,
    };
    let ResponseDeadline(in_time) = ResponseDeadline::of_request(&request);
    let Ok(found) = timeout_at(
        in_time,
        run_lookup::resolve_run(app, path.trim_matches('/')),
    )
    .await
    else {
        return ErrorPage::timeout_response(app);
    };
    match found {
        Ok(RunLookup::Run(run)) => {
            request.extensions_mut().insert(run);
            next.run(request).await
        }
        Ok(RunLookup::Elsewhere(path)) => Redirect::to(&path).into_response(),
        Ok(RunLookup::Nothing) => {
            ErrorPage::page_response(app, ErrorPageKind::NotFound, NO_SUCH_RUN)
        }
        Err(error) => ErrorPage::internal_response(app, &error, "finding a run"),
    }
}

/// Guards reads by viewers. The handler checks requests that have a token, or need one.
async fn guard_storage(
    app: &Arc<DeckState>,
    names: &RunParameters,
    request: Request,
    next: Next,
) -> Response {
    let reads = [Method::GET, Method::HEAD].contains(request.method());
    let with_token = names.list.is_some() || has_token(request.headers());
    let Some(own) = app.buckets.own().filter(|_| reads && !with_token) else {
        return next.run(request).await;
    };
    if let Some(response) = unavailable::starting_response(app, false) {
        return response;
    }
    let (key, request) = match rest_of_path(request).await {
        Ok(split) => split,
        Err(response) => return response,
    };
    if validate_key(&key).is_err() {
        return next.run(request).await;
    }
    let path = format!("/storage/{key}");
    let place = StorageLocation {
        storage: own.clone(),
        key,
        bucket: StorageProvider::Storage.to_string(),
    };
    guard_object(app, place, &path, request, next).await
}

/// Whether there is a storage token. Other bearer tokens are for a proxy in front of this Deck.
fn has_token(headers: &HeaderMap) -> bool {
    let value = headers.get(header::AUTHORIZATION);
    let bearer = value.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    bearer.is_some_and(|token| token::is_storage_token(token.trim()))
}

async fn guard_object(
    app: &Arc<DeckState>,
    place: StorageLocation,
    path: &str,
    mut request: Request,
    next: Next,
) -> Response {
    let ResponseDeadline(in_time) = ResponseDeadline::of_request(&request);
    let shown = timeout_at(in_time, run_lookup::may_view_object(app, &place)).await;
    let run = run_folder_path(path, &place.key);
    match shown.unwrap_or_else(|late| Err(StorageError::Other(late.to_string()))) {
        Ok(true) => {}
        Ok(false) => {
            // Read all the same: for an absent object this takes the time, too.
            if run.is_some() {
                let _ = timeout_at(in_time, place.storage.head_object(&place.key)).await;
            }
            return text_response(StatusCode::NOT_FOUND, artifact::NO_SUCH_OBJECT);
        }
        Err(error) => return artifact::storage_error_response(&place.key, error),
    }
    request.extensions_mut().insert(ShownObject(place));
    let mut response = next.run(request).await;
    // Not for an absent object, which must look like a hidden one.
    let shown = response.status().is_success() || response.status() == StatusCode::NOT_MODIFIED;
    if let Some(run) = run.filter(|_| shown) {
        response.extensions_mut().insert(RunFolderPath(run));
    }
    response
}

/// The part of `path`, which ends in `key`, up to the folder of the key's run.
fn run_folder_path(path: &str, key: &str) -> Option<String> {
    let rest = inverse::find_runs(key).first()?.rest;
    let folder = path.strip_suffix(rest).filter(|_| !rest.is_empty())?;
    Some(encode_path(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_of_the_same_run() {
        for (path, key, expected) in [
            (
                "/storage/logs/u/7/artifacts/a b/x.html",
                "logs/u/7/artifacts/a b/x.html",
                Some("/storage/logs/u/7/"),
            ),
            (
                "/artifact/gcs/b/p q/logs/u/7/x",
                "p q/logs/u/7/x",
                Some("/artifact/gcs/b/p%20q/logs/u/7/"),
            ),
            (
                "/storage/logs/u/7/logs/v/8/x",
                "logs/u/7/logs/v/8/x",
                Some("/storage/logs/u/7/"),
            ),
            ("/storage/logs/u/7", "logs/u/7", None),
            ("/storage/logs/u/7/x/", "logs/u/7/x", None),
            (
                "/storage/pr-logs/directory/u/7.txt",
                "pr-logs/directory/u/7.txt",
                None,
            ),
        ] {
            assert_eq!(run_folder_path(path, key).as_deref(), expected, "{path}");
        }
    }
}
