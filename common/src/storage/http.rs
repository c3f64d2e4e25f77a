//! Deck's own storage: `PUT`, `GET` and `DELETE` on `<base>/<key>`, with a bearer token.
//!
//! Attributes travel as the headers of the same names, metadata as `x-object-meta-*`; listings are
//! [`ListingPage`]s.

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

use super::object::{Attributes, Body, Listing, Object, Version};
use super::page::ListingPage;
use super::{Bucket, Credentials, Error, Provider, ReadRange};
pub(super) use progress::Watched;
pub(super) use wire::checked;
use wire::{attributes, extent, header, headers};

/// How long an upload may stand still, and the answer after its last byte be awaited.
const STALL: Duration = Duration::from_secs(120);
/// More is no page of a listing.
const PAGE_BYTES: usize = 32 << 20;

/// A client of one Deck.
#[derive(Debug)]
pub(super) struct Http {
    base: Url,
    token: Option<SecretString>,
    reader: reqwest::Client,
    /// Without a time limit of its own: see [`progress`].
    writer: reqwest::Client,
    stall: Duration,
}

impl Http {
    pub(super) fn open(bucket: &Bucket, credentials: &Credentials) -> Result<Self, Error> {
        let bad = |why: String| Error::InvalidBucket(bucket.url().to_owned(), why);
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
            // Not for the whole: a large log on a slow line may take its time.
            reader: client()
                .read_timeout(Duration::from_secs(60))
                .build()
                .map_err(Error::other)?,
            writer: client().build().map_err(Error::other)?,
            stall: STALL,
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

    /// Segments are escaped one by one, so that `%` and `?` in a key stay what they are.
    fn url(&self, key: &str) -> Url {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .expect("an http URL has segments")
            .pop_if_empty()
            .extend(key.split('/'));
        url
    }

    async fn send(&self, key: &str, request: RequestBuilder) -> Result<Response, Error> {
        let request = match &self.token {
            Some(token) => request.bearer_auth(token.expose_secret()),
            None => request,
        };
        let response = request.send().await.map_err(Error::other)?;
        checked(key, &self.base, response).await
    }

    /// Sends a body, for as long as it moves.
    async fn write(
        &self,
        key: &str,
        body: Body,
        attributes: &Attributes,
        only_if_absent: bool,
    ) -> Result<Response, Error> {
        let (body, progress) = Watched::new(body);
        let mut request = self
            .writer
            .put(self.url(key))
            .headers(headers(key, attributes)?)
            .body(reqwest::Body::wrap(body));
        if only_if_absent {
            request = request.header(IF_NONE_MATCH, "*");
        }
        let sent = progress.guard(self.stall, self.send(key, request)).await;
        sent.unwrap_or_else(|| {
            let seconds = self.stall.as_secs_f64();
            Err(Error::other(format!(
                "{} took no byte and gave no answer for {seconds} s",
                self.base
            )))
        })
    }

    pub(super) async fn put(
        &self,
        key: &str,
        body: Body,
        attributes: &Attributes,
    ) -> Result<(), Error> {
        self.write(key, body, attributes, false).await.map(drop)
    }

    pub(super) async fn put_if_absent(
        &self,
        key: &str,
        body: Bytes,
        attributes: &Attributes,
    ) -> Result<bool, Error> {
        let response = self.write(key, Body::Bytes(body), attributes, true).await?;
        Ok(response.status() != StatusCode::PRECONDITION_FAILED)
    }

    pub(super) async fn read(&self, key: &str, range: ReadRange) -> Result<Object, Error> {
        let request = match &range {
            ReadRange::Bounded(range) if range.is_empty() => self.reader.head(self.url(key)),
            ReadRange::Bounded(range) => self
                .reader
                .get(self.url(key))
                .header(RANGE, format!("bytes={}-{}", range.start, range.end - 1)),
            ReadRange::Tail(length) => self
                .reader
                .get(self.url(key))
                .header(RANGE, format!("bytes=-{length}")),
            ReadRange::All => self.reader.get(self.url(key)),
        };
        let response = self.send(key, request).await?;
        let (size, got) = extent(response.status(), response.headers(), range)?;
        let modified = header(response.headers(), LAST_MODIFIED.as_str());
        Ok(Object {
            size,
            modified: modified
                .and_then(|m| jiff::fmt::rfc2822::parse(&m).ok())
                .map(|z| -> Timestamp { z.timestamp() }),
            attributes: attributes(response.headers()),
            version: Version::default(),
            body: if got.is_empty() {
                futures::stream::empty().boxed()
            } else {
                response.bytes_stream().map_err(Error::other).boxed()
            },
            range: got,
        })
    }

    pub(super) async fn delete(&self, key: &str) -> Result<(), Error> {
        let request = self.reader.delete(self.url(key));
        self.send(key, request).await.map(drop)
    }

    pub(super) async fn list(&self, prefix: &str, delimiter: bool) -> Result<Listing, Error> {
        let unsupported = || Error::Unsupported("this listing", Provider::Storage);
        if prefix.is_empty() {
            return Err(unsupported());
        }
        let mut listing = Listing::default();
        let mut after = String::new();
        loop {
            let page = match self.page(prefix, delimiter, &after).await {
                // A Deck that is older than listings knows no object of a folder's name.
                Err(Error::NotFound(_)) => return Err(unsupported()),
                page => page?,
            };
            listing.objects.extend(page.objects);
            listing.prefixes.extend(page.prefixes);
            match page.next {
                None => return Ok(listing),
                Some(next) if next > after => after = next,
                Some(_) => return Err(Error::other("the storage lists the same page again")),
            }
        }
    }

    async fn page(&self, prefix: &str, delimiter: bool, after: &str) -> Result<ListingPage, Error> {
        let mut url = self.url(prefix);
        url.query_pairs_mut().append_key_only("list");
        if delimiter {
            url.query_pairs_mut().append_pair("delimiter", "/");
        }
        if !after.is_empty() {
            url.query_pairs_mut().append_pair("after", after);
        }
        let response = self.send(prefix, self.reader.get(url)).await?;
        let mut body = response.bytes_stream();
        let mut json = Vec::new();
        while let Some(chunk) = body.try_next().await.map_err(Error::other)? {
            if json.len() + chunk.len() > PAGE_BYTES {
                return Err(Error::other("a page of the listing is too large"));
            }
            json.extend_from_slice(&chunk);
        }
        serde_json::from_slice(&json).map_err(Error::other)
    }
}

#[cfg(test)]
mod tests;
