//! Serves objects in buckets, which jobs wrote, so that they cannot act on this site.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use common::storage::{BucketObject, ObjectAttributes, StorageError, paths};
use futures::TryStreamExt;
use futures::stream::BoxStream;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use tokio::time::timeout_at;

use super::guards::{ResponseDeadline, ShownObject};
use super::{etag, text_response};
use crate::app::DeckState;
use crate::buckets::StorageLocation;
use crate::byte_range::{ByteRange, parse_range};
use crate::redact::redact_json;
use crate::stored_run;

pub(super) const NO_SUCH_OBJECT: &str = "There is no such object.\n";
/// Largest object of the cluster that is searched for secrets, in bytes.
const MAX_OBJECT: usize = 4 << 20;
const NOT_LOOKED_THROUGH: &str = "This file cannot be looked through for secrets, so it is not shown: it is no JSON, or too large.\n";

/// `/artifact/<provider>/<bucket…>/<key>`
pub(super) async fn get_artifact(
    Extension(ShownObject(place)): Extension<ShownObject>,
    Extension(in_time): Extension<ResponseDeadline>,
    State(app): State<Arc<DeckState>>,
    headers: HeaderMap,
) -> Response {
    serve_object(&app, &place, &headers, ObjectReader::Viewer, in_time).await
}

/// Who asks for an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ObjectReader {
    /// A viewer, who sees what this Deck shows and has passed the route guard.
    Viewer,
    /// A pod that has sent the token of the run that the object belongs to.
    Run,
}

/// Serves one object, or the part of it that is asked for.
pub(super) async fn serve_object(
    app: &DeckState,
    place: &StorageLocation,
    headers: &HeaderMap,
    reader: ObjectReader,
    in_time: ResponseDeadline,
) -> Response {
    let answer = timeout_at(in_time.0, build_response(app, place, headers, reader)).await;
    match answer.unwrap_or_else(|late| Err(StorageError::Other(late.to_string()))) {
        Ok(response) => response,
        Err(StorageError::NotFound(_)) => text_response(StatusCode::NOT_FOUND, NO_SUCH_OBJECT),
        Err(StorageError::InvalidKey(..)) => {
            text_response(StatusCode::BAD_REQUEST, "That is no name for an object.\n")
        }
        Err(error) => storage_error_response(&place.key, error),
    }
}

async fn build_response(
    app: &DeckState,
    place: &StorageLocation,
    headers: &HeaderMap,
    reader: ObjectReader,
) -> Result<Response, StorageError> {
    let head = place.storage.head_object(&place.key).await?;
    if reader == ObjectReader::Viewer
        && stored_run::read_notes(&head.attributes)
            .is_some_and(|subject| !app.may_view_subject(&subject))
    {
        return Ok(text_response(StatusCode::NOT_FOUND, NO_SUCH_OBJECT));
    }
    if reader == ObjectReader::Viewer && is_cluster_object(&place.key) {
        return serve_redacted(place, headers).await;
    }
    let header = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if reader == ObjectReader::Viewer
        && is_gzip(&head.attributes)
        && header(header::RANGE).is_none()
        && !accepts_gzip(header(header::ACCEPT_ENCODING).unwrap_or_default())
    {
        return serve_decompressed(place, headers).await;
    }
    let etag = object_etag(&head);
    if etag::is_not_modified(headers, &etag) {
        // With its type again: which sites may embed the object depends on it.
        let mut kept = object_headers(&head.attributes);
        kept.remove(header::CONTENT_ENCODING);
        kept.insert(header::ETAG, header_value(&etag));
        return Ok((StatusCode::NOT_MODIFIED, kept).into_response());
    }
    let range =
        header(header::RANGE).filter(|_| header(header::IF_RANGE).is_none_or(|tag| tag == etag));
    let size = head.size;
    let (status, content_range, object) = match parse_range(range, size) {
        ByteRange::All => (
            StatusCode::OK,
            None,
            place.storage.get_object(&place.key).await?,
        ),
        ByteRange::Part(part) => {
            let shown = format!("bytes {}-{}/{size}", part.start, part.end - 1);
            (
                StatusCode::PARTIAL_CONTENT,
                Some(shown),
                place.storage.get_range(&place.key, part).await?,
            )
        }
        ByteRange::Unsatisfiable => (
            StatusCode::RANGE_NOT_SATISFIABLE,
            Some(format!("bytes */{size}")),
            head,
        ),
    };
    let mut out = object_headers(&object.attributes);
    out.insert(header::ETAG, header_value(&etag));
    out.insert(header::ACCEPT_RANGES, header_value("bytes"));
    if let Some(range) = content_range {
        out.insert(header::CONTENT_RANGE, header_value(&range));
    }
    if let Some(modified) = object.modified {
        out.insert(
            header::LAST_MODIFIED,
            header_value(&modified.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()),
        );
    }
    if status == StatusCode::RANGE_NOT_SATISFIABLE {
        return Ok((status, out).into_response());
    }
    out.insert(
        header::CONTENT_LENGTH,
        (object.range.end - object.range.start).into(),
    );
    Ok((status, out, stream_body(object.into_stream())).into_response())
}

/// Whether the file holds an object of the cluster, with everything that is in it.
fn is_cluster_object(key: &str) -> bool {
    let name = key.rsplit('/').next().unwrap_or(key);
    [paths::PROW_JOB, paths::POD_INFO].contains(&name)
}

fn is_gzip(attributes: &ObjectAttributes) -> bool {
    attributes.content_encoding.as_deref() == Some("gzip")
}

fn accepts_gzip(accept_encoding: &str) -> bool {
    accept_encoding.split(',').any(|one| {
        let (name, quality) = one.split_once(';').unwrap_or((one, ""));
        let quality = quality.trim().strip_prefix("q=").unwrap_or("1");
        let refused = quality.trim().parse().is_ok_and(|it: f32| it <= 0.0);
        matches!(name.trim(), "gzip" | "x-gzip" | "*") && !refused
    })
}

/// Serves the whole object for clients that do not accept gzip.
async fn serve_decompressed(
    place: &StorageLocation,
    headers: &HeaderMap,
) -> Result<Response, StorageError> {
    let object = place.storage.get_object(&place.key).await?;
    let etag = format!("\"plain-{}", object_etag(&object).trim_start_matches('"'));
    let mut out = object_headers(&object.attributes);
    out.remove(header::CONTENT_ENCODING);
    out.insert(header::ETAG, header_value(&etag));
    if etag::is_not_modified(headers, &etag) {
        return Ok((StatusCode::NOT_MODIFIED, out).into_response());
    }
    Ok((out, stream_body(object.into_plain_stream())).into_response())
}

fn stream_body(bytes: BoxStream<'static, Result<Bytes, StorageError>>) -> Body {
    Body::from_stream(bytes.inspect_err(|error| tracing::warn!(%error, "an object broke off")))
}

/// Serves the whole file without its secrets. There are no ranges: the stored bytes differ.
async fn serve_redacted(
    place: &StorageLocation,
    headers: &HeaderMap,
) -> Result<Response, StorageError> {
    let object = place.storage.get_object(&place.key).await?;
    // Browsers may have cached the bytes that were once served unredacted.
    let etag = format!(
        "\"redacted-{}",
        object_etag(&object).trim_start_matches('"')
    );
    let mut out = object_headers(&object.attributes);
    out.remove(header::CONTENT_ENCODING);
    out.insert(header::ETAG, header_value(&etag));
    if etag::is_not_modified(headers, &etag) {
        return Ok((StatusCode::NOT_MODIFIED, out).into_response());
    }
    let json = stored_run::read_decompressed(object, MAX_OBJECT).await?;
    Ok(match json.and_then(|json| redact_json(&json)) {
        Some(json) => (out, json).into_response(),
        None => text_response(StatusCode::FORBIDDEN, NOT_LOOKED_THROUGH),
    })
}

/// Size and time, which an atomic replacement always changes.
fn object_etag(object: &BucketObject) -> String {
    let modified = object.modified.map_or(0, |time| time.as_nanosecond());
    format!("\"{:x}-{modified:x}\"", object.size)
}

/// Headers of the stored attributes, without Deck's own notes.
fn object_headers(attributes: &ObjectAttributes) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let content_type = attributes
        .content_type
        .as_deref()
        .unwrap_or("application/octet-stream");
    headers.insert(header::CONTENT_TYPE, header_value(content_type));
    headers.insert(
        header::CACHE_CONTROL,
        header_value(attributes.cache_control.as_deref().unwrap_or("no-cache")),
    );
    if let Some(encoding) = &attributes.content_encoding {
        headers.insert(header::CONTENT_ENCODING, header_value(encoding));
        headers.insert(header::VARY, header_value("Accept-Encoding"));
    }
    for (name, text) in attributes
        .metadata
        .iter()
        .filter(|(name, _)| !name.starts_with("deck-"))
    {
        if let Ok(name) = HeaderName::try_from(format!("x-object-meta-{name}")) {
            headers.insert(name, header_value(text));
        }
    }
    headers
}

/// A value that no header can hold is left empty rather than refused.
fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}

pub(super) fn storage_error_response(key: &str, error: StorageError) -> Response {
    let error = anyhow::Error::from(error);
    tracing::warn!(
        key,
        error = format!("{error:#}"),
        "an object cannot be read"
    );
    text_response(
        StatusCode::BAD_GATEWAY,
        "The storage cannot be read now. Try again in a moment.\n",
    )
}
