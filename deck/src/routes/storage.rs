//! `/storage/<key>`: the bucket of an installation without a cloud.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use common::storage::paths::inverse;
use common::storage::token::{self, StorageGrant};
use common::storage::{
    ListingPage, ObjectAttributes, ObjectStorage, PAGE_NAMES, StorageError, StorageProvider,
    validate_key,
};
use http::{HeaderMap, HeaderName, StatusCode, header};
use jiff::Timestamp;
use serde::Deserialize;

use super::artifact::{self, ObjectReader};
use super::guards::{ResponseDeadline, ShownObject};
use super::{NO_STORE, text_response};
use crate::app::DeckState;
use crate::buckets::StorageLocation;
use crate::stored_run::{HIDDEN_METADATA, TENANT_METADATA};
use crate::upload::{PutRequest, UploadRefusal};

const NOT_KEPT: &str = "This Deck keeps no objects.\n";
const NO_KEY: &str = "That is no name for an object.\n";
/// Prefix of the headers that carry metadata.
const METADATA_PREFIX: &str = "x-object-meta-";
/// Maximum bytes of all metadata of one object.
const MAX_METADATA: usize = 8 << 10;

/// Serves an object or a listing (`?list`). A run's token opens the run's own, hidden or not.
pub(super) async fn get_object(
    State(app): State<Arc<DeckState>>,
    Path(key): Path<String>,
    Query(query): Query<ListingQuery>,
    shown: Option<Extension<ShownObject>>,
    Extension(in_time): Extension<ResponseDeadline>,
    headers: HeaderMap,
) -> Response {
    let (Some(own), Some(uploads)) = (app.buckets.own(), &app.uploads) else {
        return text_response(StatusCode::NOT_FOUND, NOT_KEPT);
    };
    if validate_key(&key).is_err() {
        return text_response(StatusCode::BAD_REQUEST, NO_KEY);
    }
    // Another kind of bearer token is for a proxy in front of this Deck.
    let token = bearer_token(&headers).filter(|token| token::is_storage_token(token));
    let now = Timestamp::now();
    let grant = match token {
        None => None,
        Some(token) => match uploads.verify_token(token, now).await {
            Ok(grant) => Some(grant),
            Err(refusal) => return refusal_response(&key, &refusal),
        },
    };
    if query.list.is_some() {
        let Some(grant) = grant else {
            return text_response(StatusCode::UNAUTHORIZED, "A listing needs a token.\n");
        };
        if let Err(error) = grant.check_listing(&key) {
            return refusal_response(&key, &error.into());
        }
        return list_folder(own, &key, &query).await;
    }
    let reader = match (grant.map(|grant| grant.check_key(&key).map(drop)), shown) {
        (None, Some(_)) => ObjectReader::Viewer,
        (None, None) => return text_response(StatusCode::NOT_FOUND, artifact::NO_SUCH_OBJECT),
        (Some(Ok(())), _) => ObjectReader::Run,
        (Some(Err(error)), _) => return refusal_response(&key, &error.into()),
    };
    let place = StorageLocation {
        storage: own.clone(),
        key,
        bucket: StorageProvider::Storage.to_string(),
    };
    artifact::serve_object(&app, &place, &headers, reader, in_time).await
}

/// The parameters of a listing: see [`ListingPage`].
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ListingQuery {
    list: Option<String>,
    delimiter: Option<String>,
    after: String,
}

async fn list_folder(own: &ObjectStorage, folder: &str, query: &ListingQuery) -> Response {
    let delimiter = match query.delimiter.as_deref() {
        None | Some("") => false,
        Some("/") => true,
        Some(_) => return text_response(StatusCode::BAD_REQUEST, "The delimiter has to be /.\n"),
    };
    match own.list_objects(folder, delimiter).await {
        Ok(listing) => {
            let page = ListingPage::from_listing(listing, &query.after, PAGE_NAMES);
            (NO_STORE, Json(page)).into_response()
        }
        Err(error) => artifact::storage_error_response(folder, error),
    }
}

fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    value.strip_prefix("Bearer ").map(str::trim)
}

pub(super) async fn put_object(
    State(app): State<Arc<DeckState>>,
    Path(key): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Some(uploads) = &app.uploads else {
        return text_response(StatusCode::NOT_FOUND, NOT_KEPT);
    };
    if headers.contains_key(header::ORIGIN) {
        return text_response(StatusCode::FORBIDDEN, "Web pages may not upload.\n");
    }
    if validate_key(&key).is_err() {
        return text_response(StatusCode::BAD_REQUEST, NO_KEY);
    }
    let header = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(token) = bearer_token(&headers) else {
        return text_response(StatusCode::UNAUTHORIZED, "An upload needs a token.\n");
    };
    let now = Timestamp::now();
    let grant = match uploads.verify_token(token, now).await {
        Ok(grant) => grant,
        Err(refusal) => return refusal_response(&key, &refusal),
    };
    if let Err(error) = grant.check_key(&key) {
        return refusal_response(&key, &error.into());
    }
    let Some(attributes) = parse_attributes(&app, &key, &headers) else {
        return text_response(StatusCode::BAD_REQUEST, "The metadata is too large.\n");
    };
    let length = header(header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
    let only_if_absent = header(header::IF_NONE_MATCH) == Some("*");
    let put = PutRequest {
        key: &key,
        grant: &grant,
        is_complete: &|| is_complete(&app, &grant),
        attributes: &attributes,
        length,
        only_if_absent,
        now,
    };
    match uploads.put_object(&put, body.into_data_stream()).await {
        Ok(()) => StatusCode::CREATED.into_response(),
        Err(refusal) => refusal_response(&key, &refusal),
    }
}

/// Whether the run of a token is complete; it is if its job is gone. `None`: the jobs are not
/// listed yet.
fn is_complete(app: &DeckState, grant: &StorageGrant) -> Option<bool> {
    let run = inverse::parse_run_folder(grant.folder())?;
    match app.index.find_by_build(run.job, run.build_id) {
        Some(job) => Some(job.is_complete()),
        None => app.index.watch_synced().borrow().then_some(true),
    }
}

/// Deletes a piece of a live log, and nothing else. Whether the whole log is stored is not checked.
pub(super) async fn delete_object(
    State(app): State<Arc<DeckState>>,
    Path(key): Path<String>,
    headers: HeaderMap,
) -> Response {
    let Some(uploads) = &app.uploads else {
        return text_response(StatusCode::NOT_FOUND, NOT_KEPT);
    };
    if headers.contains_key(header::ORIGIN) {
        return text_response(StatusCode::FORBIDDEN, "Web pages may not delete.\n");
    }
    if validate_key(&key).is_err() {
        return text_response(StatusCode::BAD_REQUEST, NO_KEY);
    }
    let Some(token) = bearer_token(&headers) else {
        return text_response(StatusCode::UNAUTHORIZED, "A deletion needs a token.\n");
    };
    match uploads.delete_piece(token, Timestamp::now(), &key).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(refusal) => refusal_response(&key, &refusal),
    }
}

fn refusal_response(key: &str, refusal: &UploadRefusal) -> Response {
    let (status, says) = match refusal {
        UploadRefusal::Token(_) => (
            StatusCode::FORBIDDEN,
            "The token does not allow this.\n".to_owned(),
        ),
        UploadRefusal::ObjectTooLarge(_) | UploadRefusal::RunTooLarge { .. } => (
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("Too large: {refusal}.\n"),
        ),
        UploadRefusal::Foreign => (
            StatusCode::FORBIDDEN,
            "This key may tell of the token's own run only.\n".to_owned(),
        ),
        UploadRefusal::Ended => (
            StatusCode::CONFLICT,
            "The run is complete, and its result stands.\n".to_owned(),
        ),
        UploadRefusal::Key(_) | UploadRefusal::NotListed => (
            StatusCode::SERVICE_UNAVAILABLE,
            "This Deck has just started. Try again in a moment.\n".to_owned(),
        ),
        UploadRefusal::Exists => return StatusCode::PRECONDITION_FAILED.into_response(),
        UploadRefusal::Kept => (
            StatusCode::FORBIDDEN,
            "Only pieces of a live log are deleted.\n".to_owned(),
        ),
        // A client may try again after a 408, so an upload that broke off gets one.
        UploadRefusal::Broken => (
            StatusCode::REQUEST_TIMEOUT,
            "The upload broke off.\n".to_owned(),
        ),
        UploadRefusal::Busy => (
            StatusCode::SERVICE_UNAVAILABLE,
            "Too many uploads at once. Try again in a moment.\n".to_owned(),
        ),
        UploadRefusal::Storage(StorageError::Full(_)) => (
            StatusCode::INSUFFICIENT_STORAGE,
            "The disk of Deck's storage is full.\n".to_owned(),
        ),
        UploadRefusal::Storage(_) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "The object could not be stored.\n".to_owned(),
        ),
    };
    let error = refusal.to_string();
    tracing::warn!(
        key,
        status = status.as_u16(),
        error,
        "a request for storage was refused"
    );
    text_response(status, says)
}

/// `None`: there is more metadata than an object may have.
fn parse_attributes(app: &DeckState, key: &str, headers: &HeaderMap) -> Option<ObjectAttributes> {
    let header = |name: HeaderName| headers.get(name)?.to_str().ok().map(str::to_owned);
    let mut attributes = ObjectAttributes {
        content_type: header(header::CONTENT_TYPE),
        content_encoding: header(header::CONTENT_ENCODING),
        cache_control: header(header::CACHE_CONTROL),
        ..ObjectAttributes::default()
    };
    for (name, value) in headers {
        if let (Some(name), Ok(value)) =
            (name.as_str().strip_prefix(METADATA_PREFIX), value.to_str())
            && !name.starts_with("deck-")
        {
            attributes
                .metadata
                .insert(name.to_owned(), value.to_owned());
        }
    }
    let size: usize = attributes
        .metadata
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    note_hidden(app, key, &mut attributes);
    (size <= MAX_METADATA).then_some(attributes)
}

/// Notes whether the run is hidden, which has to be known after its `ProwJob` is gone.
fn note_hidden(app: &DeckState, key: &str, attributes: &mut ObjectAttributes) {
    let run = match inverse::find_runs(key).first() {
        Some(run) => app.index.find_by_build(run.job, run.build_id),
        None => inverse::parse_pointer_key(key)
            .and_then(|key| app.index.find_by_build(key.job, key.build_id?)),
    };
    if let Some(run) = run {
        if run.hidden {
            attributes
                .metadata
                .insert(HIDDEN_METADATA.into(), "true".into());
        }
        if !run.tenant.is_empty() {
            attributes
                .metadata
                .insert(TENANT_METADATA.into(), run.tenant.to_string());
        }
    }
}
