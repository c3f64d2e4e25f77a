//! Middleware for every request: checks `Host` and `Origin`, serializes writes, adds `ETag`s and
//! GitHub's headers.

use std::sync::atomic::Ordering;

use axum::{
    body::{Body, to_bytes},
    extract::State,
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use sha2::{Digest as _, Sha256};

use super::{
    FakeGithubContext,
    response::{NotImplementedMarker, RestError},
};

/// GitHub's limit per hour. Requests are counted; the limit is never enforced.
const RATE_LIMIT: u64 = 5000;
/// No JSON body that the stand-in accepts is larger.
const LARGEST_BODY: usize = 4 * 1024 * 1024;

/// Refuses what no client sends on purpose: another name for the server (DNS rebinding), and
/// whatever a web page sends.
pub(crate) async fn check_host_and_origin(
    State(context): State<FakeGithubContext>,
    request: Request<Body>,
    next: Next,
) -> Response {
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    if !context.hosts.iter().any(|known| known == host) {
        return RestError::Forbidden("This host name is not served".to_owned()).into_response();
    }
    if request.headers().contains_key(header::ORIGIN) {
        return RestError::Forbidden("Requests of web pages are not served".to_owned())
            .into_response();
    }
    let what = format!("{} {}", request.method(), request.uri().path());
    let response = next.run(request).await;
    if response
        .extensions()
        .get::<NotImplementedMarker>()
        .is_some()
    {
        tracing::warn!(
            route = what,
            "this route is not built in the GitHub stand-in"
        );
        context.unbuilt.lock().expect("no holder panics").push(what);
    }
    response
}

/// Runs one write at a time, each to its end even if its client goes away.
pub(crate) async fn serialize_writes(
    State(context): State<FakeGithubContext>,
    request: Request<Body>,
    next: Next,
) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    // The body is read first, so that a slow sender delays nobody.
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LARGEST_BODY).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let work = tokio::spawn(async move {
        let _turn = context.turn.lock().await;
        next.run(Request::from_parts(parts, Body::from(body))).await
    });
    work.await
        .unwrap_or_else(|error| RestError::Internal(error.into()).into_response())
}

/// Adds GitHub's headers. Answers 304 to clients that have the response already.
pub(crate) async fn add_github_headers(
    State(context): State<FakeGithubContext>,
    request: Request<Body>,
    next: Next,
) -> Response {
    let readable = matches!(*request.method(), Method::GET | Method::HEAD);
    let known = request.headers().get(header::IF_NONE_MATCH).cloned();
    let mut response = match unsupported_media_type(request.headers()) {
        Some(kind) => RestError::Unbuilt(format!("the media type {kind}")).into_response(),
        None => next.run(request).await,
    };
    if readable && response.status() == StatusCode::OK {
        response = add_etag(response, known.as_ref()).await;
    }
    let unchanged = response.status() == StatusCode::NOT_MODIFIED;
    let count = context
        .requests
        .fetch_add(u64::from(!unchanged), Ordering::Relaxed);
    let used = (count + 1).min(RATE_LIMIT - 1);
    let reset = (jiff::Timestamp::now().as_second() / 3600 + 1) * 3600;
    let id = uuid::Uuid::new_v4().simple().to_string().to_uppercase();
    let headers = response.headers_mut();
    for (name, value) in [
        ("x-github-request-id", id),
        ("x-github-media-type", "github.v3; format=json".to_owned()),
        ("x-github-api-version-selected", "2022-11-28".to_owned()),
        ("x-ratelimit-limit", RATE_LIMIT.to_string()),
        ("x-ratelimit-remaining", (RATE_LIMIT - used).to_string()),
        ("x-ratelimit-used", used.to_string()),
        ("x-ratelimit-reset", reset.to_string()),
        ("x-ratelimit-resource", "core".to_owned()),
    ] {
        headers.insert(name, HeaderValue::from_str(&value).expect("plain ASCII"));
    }
    response
}

/// Media types that GitHub has and the stand-in does not. Nobody should get JSON for those.
fn unsupported_media_type(headers: &HeaderMap) -> Option<String> {
    let accept = headers.get(header::ACCEPT)?.to_str().ok()?;
    let kinds = accept
        .split(',')
        .map(|kind| kind.split(';').next().unwrap_or(kind).trim());
    let github = kinds.filter(|kind| kind.starts_with("application/vnd.github"));
    let mut other = github.filter(|kind| {
        let form = kind.trim_end_matches("+json").rsplit('.').next();
        matches!(
            form,
            Some("diff" | "patch" | "sha" | "html" | "text" | "full" | "object")
        )
    });
    other.next().map(str::to_owned)
}

async fn add_etag(response: Response, known: Option<&HeaderValue>) -> Response {
    let (mut parts, body) = response.into_parts();
    let body = match to_bytes(body, usize::MAX).await {
        Ok(body) => body,
        Err(error) => return RestError::Internal(error.into()).into_response(),
    };
    let tag = format!("W/\"{}\"", hex::encode(Sha256::digest(&body)));
    let matches = known
        .and_then(|known| known.to_str().ok())
        .is_some_and(|known| etag_matches(known, &tag));
    parts.headers.insert(
        header::ETAG,
        HeaderValue::from_str(&tag).expect("plain ASCII"),
    );
    parts.headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("private, max-age=60, s-maxage=60"),
    );
    if matches {
        parts.status = StatusCode::NOT_MODIFIED;
        parts.headers.remove(header::CONTENT_LENGTH);
        parts.headers.remove(header::CONTENT_TYPE);
        return Response::from_parts(parts, Body::empty());
    }
    Response::from_parts(parts, Body::from(body))
}

/// Weak comparison, as `If-None-Match` requires.
fn etag_matches(known: &str, tag: &str) -> bool {
    let bare = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    known.trim() == "*" || known.split(',').any(|one| bare(one) == bare(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_and_strong_tags_match() {
        for (known, fine) in [
            ("W/\"a\"", true),
            ("\"a\"", true),
            ("\"b\", W/\"a\"", true),
            ("*", true),
            ("\"b\"", false),
        ] {
            assert_eq!(etag_matches(known, "W/\"a\""), fine, "{known}");
        }
    }
}
