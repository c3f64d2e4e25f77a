//! What a request passes before its handler, by its route's [`Visibility`].
//!
//! The handlers of runs and objects get what the door has found and have no other way to it.

use std::sync::Arc;
use std::time::Duration;

use axum::RequestPartsExt;
use axum::extract::{Path, Query, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use common::storage::paths::inverse;
use common::storage::{Error, Provider, token, validate_key};
use http::{HeaderMap, Method, StatusCode, header};
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

use super::error::{Kind, Problem};
use super::headers::SameRun;
use super::table::{Dress, Visibility};
use super::{artifact, busy, text};
use crate::app::App;
use crate::buckets::Place;
use crate::door::{self, Found};
use crate::view::encode_path;

/// What cannot be had is answered within two seconds; this leaves time for the answer itself.
const IN_TIME: Duration = Duration::from_millis(1700);
pub(super) const NO_SUCH_RUN: &str = "There is no such run here. It may have been too long ago.";

/// An object that the viewer may see.
#[derive(Clone, Debug)]
pub(super) struct ShownObject(pub(super) Place);

/// When an answer has to begin, whatever is still missing.
#[derive(Clone, Copy, Debug)]
pub(super) struct InTime(pub(super) Instant);

impl InTime {
    fn start() -> Self {
        Self(Instant::now() + IN_TIME)
    }

    /// Of a request that is on its way.
    fn of(request: &Request) -> Self {
        let noted = request.extensions().get();
        noted.copied().unwrap_or_else(Self::start)
    }
}

/// The parameters that name a run.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RunNames {
    job: String,
    id: String,
    prowjob: String,
    list: Option<String>,
}

#[derive(Clone)]
pub(super) struct Door {
    pub(super) app: Arc<App>,
    pub(super) visibility: Visibility,
    pub(super) dress: Dress,
}

pub(super) async fn pass(State(door): State<Door>, mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(InTime::start());
    let app = &door.app;
    // In storage a run's token needs no listing; for others it is asked about below.
    if door.visibility != Visibility::Storage
        && let Some(response) = busy::starting(app, door.dress == Dress::Page)
    {
        return response;
    }
    if door.visibility == Visibility::Listing {
        return next.run(request).await;
    }
    let Ok(Query(names)) = Query::<RunNames>::try_from_uri(request.uri()) else {
        return text(StatusCode::BAD_REQUEST, "The parameters cannot be read.\n");
    };
    // A handler asks for what is missing itself.
    match door.visibility {
        Visibility::Everyone | Visibility::Listing => next.run(request).await,
        Visibility::Build => {
            let complete = !names.job.is_empty() && !names.id.is_empty();
            if complete && app.run(&names.job, &names.id).is_none() {
                return text(StatusCode::NOT_FOUND, "There is no such run.\n");
            }
            next.run(request).await
        }
        Visibility::ProwJob => {
            let found = app.index.by_name(&names.prowjob);
            let shown = found.is_some_and(|job| app.may_view(&job));
            if !names.prowjob.is_empty() && !shown {
                return text(StatusCode::NOT_FOUND, "There is no such ProwJob.\n");
            }
            next.run(request).await
        }
        Visibility::Page => page(app, request, next).await,
        Visibility::Artifact => {
            let (path, request) = match rest_of_path(request).await {
                Ok(split) => split,
                Err(response) => return response,
            };
            match door::locate(app, &path) {
                Ok(Some(place)) => {
                    object(app, place, &format!("/artifact/{path}"), request, next).await
                }
                Ok(None) => text(StatusCode::NOT_FOUND, artifact::NO_SUCH_OBJECT),
                Err(error) => artifact::failed(&path, error),
            }
        }
        Visibility::Storage => storage(app, &names, request, next).await,
    }
}

/// The decoded rest of the path, and the request as it was.
async fn rest_of_path(request: Request) -> Result<(String, Request), Response> {
    let (mut parts, body) = request.into_parts();
    let path = parts.extract::<Path<String>>().await;
    let Path(path) = path.map_err(IntoResponse::into_response)?;
    Ok((path, Request::from_parts(parts, body)))
}

async fn page(app: &Arc<App>, request: Request, next: Next) -> Response {
    let (path, mut request) = match rest_of_path(request).await {
        Ok(split) => split,
        Err(response) => return response,
    };
    let InTime(in_time) = InTime::of(&request);
    let Ok(found) = timeout_at(in_time, door::find(app, path.trim_matches('/'))).await else {
        return Problem::late(app);
    };
    match found {
        Ok(Found::Run(run)) => {
            request.extensions_mut().insert(run);
            next.run(request).await
        }
        Ok(Found::Elsewhere(path)) => Redirect::to(&path).into_response(),
        Ok(Found::Nothing) => Problem::page(app, Kind::NotFound, NO_SUCH_RUN),
        Err(error) => Problem::internal(app, &error, "finding a run"),
    }
}

/// In Deck's own storage viewers read; who has a token, or has to have one, is the handler's.
async fn storage(app: &Arc<App>, names: &RunNames, request: Request, next: Next) -> Response {
    let reads = [Method::GET, Method::HEAD].contains(request.method());
    let with_token = names.list.is_some() || has_token(request.headers());
    let Some(own) = app.buckets.own().filter(|_| reads && !with_token) else {
        return next.run(request).await;
    };
    if let Some(response) = busy::starting(app, false) {
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
    let place = Place {
        storage: own.clone(),
        key,
        bucket: Provider::Storage.to_string(),
    };
    object(app, place, &path, request, next).await
}

/// A bearer of another kind is for what stands before this Deck.
fn has_token(headers: &HeaderMap) -> bool {
    let value = headers.get(header::AUTHORIZATION);
    let bearer = value.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    bearer.is_some_and(|token| token::is_ours(token.trim()))
}

async fn object(
    app: &Arc<App>,
    place: Place,
    path: &str,
    mut request: Request,
    next: Next,
) -> Response {
    let InTime(in_time) = InTime::of(&request);
    let shown = timeout_at(in_time, door::may_see_object(app, &place)).await;
    let run = same_run(path, &place.key);
    match shown.unwrap_or_else(|late| Err(Error::Other(late.to_string()))) {
        Ok(true) => {}
        Ok(false) => {
            // Asked for all the same: what is absent takes this time, too.
            if run.is_some() {
                let _ = timeout_at(in_time, place.storage.head(&place.key)).await;
            }
            return text(StatusCode::NOT_FOUND, artifact::NO_SUCH_OBJECT);
        }
        Err(error) => return artifact::failed(&place.key, error),
    }
    request.extensions_mut().insert(ShownObject(place));
    let mut response = next.run(request).await;
    // Not of what is absent: that must look like what is hidden.
    let shown = response.status().is_success() || response.status() == StatusCode::NOT_MODIFIED;
    if let Some(run) = run.filter(|_| shown) {
        response.extensions_mut().insert(SameRun(run));
    }
    response
}

/// The folder of the key's run as a part of `path`, which ends in the key.
fn same_run(path: &str, key: &str) -> Option<String> {
    let rest = inverse::runs(key).first()?.rest;
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
            assert_eq!(same_run(path, key).as_deref(), expected, "{path}");
        }
    }
}
