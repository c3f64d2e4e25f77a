//! Deck's own storage: `PUT`, `GET` and `DELETE` on `<base>/<key>`, with a bearer token.
//!
//! Attributes are sent as the headers of the same names, and metadata as `x-object-meta-*`.
//! Listings are [`ListingPage`]s.

mod progress;
mod wire;

use std::time::Duration;

use bytes::Bytes;
use futures::stream::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use reqwest::header::{IF_NONE_MATCH, LAST_MODIFIED, RANGE};
use reqwest::{RequestBuilder, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::object::{BucketObject, ObjectAttributes, ObjectBody, ObjectListing, ObjectVersion};
use super::page::ListingPage;
use super::{Bucket, ReadRange, StorageCredentials, StorageError, StorageProvider};
pub(super) use progress::ProgressBody;
pub(super) use wire::check_response;
use wire::{attribute_headers, header_text, parse_attributes, response_range};

/// How long an upload may stall, and how long its response may take after the last byte.
const STALL_TIMEOUT: Duration = Duration::from_secs(120);
/// The largest accepted page of a listing.
const MAX_PAGE_BYTES: usize = 32 << 20;

/// A client of one Deck.
#[derive(Debug)]
pub(super) struct HttpBackend {
    base: Url,
    token: Option<SecretString>,
    reader: reqwest::Client,
    /// It has no time limit of its own: see [`progress`].
    writer: reqwest::Client,
    stall: Duration,
}

impl HttpBackend {
    pub(super) fn open_bucket(
        bucket: &Bucket,
        credentials: &StorageCredentials,
    ) -> Result<Self, StorageError> {
        let bad = |why: String| StorageError::InvalidBucket(bucket.url().to_owned(), why);
        let base = Url::parse(bucket.url()).map_err(|e| bad(e.to_string()))?;
        crate::service::install_crypto();
        let client = || {
            reqwest::Client::builder()
                .connect_timeout(Duration::from_secs(10))
                .redirect(reqwest::redirect::Policy::none())
        };
        Ok(Self {
            base,
            token: credentials.storage_token.clone(),
            // A limit for each chunk: a large log may take long on a slow connection.
            reader: client()
                .read_timeout(Duration::from_secs(60))
                .build()
                .map_err(StorageError::other)?,
            writer: client().build().map_err(StorageError::other)?,
            stall: STALL_TIMEOUT,
        })
    }

    pub(super) fn with_token(&self, token: SecretString) -> Self {
        Self {
            base: self.base.clone(),
            token: Some(token),
            reader: self.reader.clone(),
            writer: self.writer.clone(),
            stall: self.stall,
        }
    }

    /// Segments are escaped one by one, so that `%` and `?` in a key are plain characters.
    fn object_url(&self, key: &str) -> Url {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .expect("an http URL has segments")
            .pop_if_empty()
            .extend(key.split('/'));
        url
    }

    async fn send_request(
        &self,
        key: &str,
        request: RequestBuilder,
    ) -> Result<Response, StorageError> {
        let request = match &self.token {
            Some(token) => request.bearer_auth(token.expose_secret()),
            None => request,
        };
        let response = request.send().await.map_err(StorageError::other)?;
        check_response(key, &self.base, response).await
    }

    /// Sends a body, as long as it makes progress.
    async fn upload_object(
        &self,
        key: &str,
        body: ObjectBody,
        attributes: &ObjectAttributes,
        only_if_absent: bool,
    ) -> Result<Response, StorageError> {
        let (body, progress) = ProgressBody::new(body);
        let mut request = self
            .writer
            .put(self.object_url(key))
            .headers(attribute_headers(key, attributes)?)
            .body(reqwest::Body::wrap(body));
        if only_if_absent {
            request = request.header(IF_NONE_MATCH, "*");
        }
        let sent = progress
            .await_unless_stalled(self.stall, self.send_request(key, request))
            .await;
        sent.unwrap_or_else(|| {
            let seconds = self.stall.as_secs_f64();
            Err(StorageError::other(format!(
                "{} took no byte and gave no answer for {seconds} s",
                self.base
            )))
        })
    }

    pub(super) async fn put_object(
        &self,
        key: &str,
        body: ObjectBody,
        attributes: &ObjectAttributes,
    ) -> Result<(), StorageError> {
        self.upload_object(key, body, attributes, false)
            .await
            .map(drop)
    }

    pub(super) async fn put_if_absent(
        &self,
        key: &str,
        body: Bytes,
        attributes: &ObjectAttributes,
    ) -> Result<bool, StorageError> {
        let response = self
            .upload_object(key, ObjectBody::Bytes(body), attributes, true)
            .await?;
        Ok(response.status() != StatusCode::PRECONDITION_FAILED)
    }

    pub(super) async fn read_object(
        &self,
        key: &str,
        range: ReadRange,
    ) -> Result<BucketObject, StorageError> {
        let request = match &range {
            ReadRange::Bounded(range) if range.is_empty() => self.reader.head(self.object_url(key)),
            ReadRange::Bounded(range) => self
                .reader
                .get(self.object_url(key))
                .header(RANGE, format!("bytes={}-{}", range.start, range.end - 1)),
            ReadRange::Tail(length) => self
                .reader
                .get(self.object_url(key))
                .header(RANGE, format!("bytes=-{length}")),
            ReadRange::All => self.reader.get(self.object_url(key)),
        };
        let response = self.send_request(key, request).await?;
        let (size, got) = response_range(response.status(), response.headers(), range)?;
        let modified = header_text(response.headers(), LAST_MODIFIED.as_str());
        Ok(BucketObject {
            size,
            modified: modified
                .and_then(|m| jiff::fmt::rfc2822::parse(&m).ok())
                .map(|z| -> Timestamp { z.timestamp() }),
            attributes: parse_attributes(response.headers()),
            version: ObjectVersion::default(),
            body: if got.is_empty() {
                futures::stream::empty().boxed()
            } else {
                response.bytes_stream().map_err(StorageError::other).boxed()
            },
            range: got,
        })
    }

    pub(super) async fn delete_object(&self, key: &str) -> Result<(), StorageError> {
        let request = self.reader.delete(self.object_url(key));
        self.send_request(key, request).await.map(drop)
    }

    pub(super) async fn list_objects(
        &self,
        prefix: &str,
        delimiter: bool,
    ) -> Result<ObjectListing, StorageError> {
        let unsupported = || StorageError::Unsupported("this listing", StorageProvider::Storage);
        if prefix.is_empty() {
            return Err(unsupported());
        }
        let mut listing = ObjectListing::default();
        let mut after = String::new();
        loop {
            let page = match self.fetch_page(prefix, delimiter, &after).await {
                // A Deck older than listings answers 404 for a folder's name.
                Err(StorageError::NotFound(_)) => return Err(unsupported()),
                page => page?,
            };
            listing.objects.extend(page.objects);
            listing.prefixes.extend(page.prefixes);
            match page.next {
                None => return Ok(listing),
                Some(next) if next > after => after = next,
                Some(_) => {
                    return Err(StorageError::other("the storage lists the same page again"));
                }
            }
        }
    }

    async fn fetch_page(
        &self,
        prefix: &str,
        delimiter: bool,
        after: &str,
    ) -> Result<ListingPage, StorageError> {
        let mut url = self.object_url(prefix);
        url.query_pairs_mut().append_key_only("list");
        if delimiter {
            url.query_pairs_mut().append_pair("delimiter", "/");
        }
        if !after.is_empty() {
            url.query_pairs_mut().append_pair("after", after);
        }
        let response = self.send_request(prefix, self.reader.get(url)).await?;
        let mut body = response.bytes_stream();
        let mut json = Vec::new();
        while let Some(chunk) = body.try_next().await.map_err(StorageError::other)? {
            if json.len() + chunk.len() > MAX_PAGE_BYTES {
                return Err(StorageError::other("a page of the listing is too large"));
            }
            json.extend_from_slice(&chunk);
        }
        serde_json::from_slice(&json).map_err(StorageError::other)
    }
}

#[cfg(test)]
mod tests;
