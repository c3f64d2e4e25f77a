//! Deck's own storage: `PUT` and `GET` on `<base>/<key>`, with a bearer token.
//!
//! Listings are [`ListingPage`]s.
//! Attributes travel as the headers of the same names, metadata as `x-object-meta-*`.

use std::time::Duration;

use bytes::Bytes;
use futures::stream::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use reqwest::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderName,
    IF_NONE_MATCH, LAST_MODIFIED, RANGE,
};
use reqwest::{RequestBuilder, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::object::{Attributes, Body, Listing, Object};
use super::page::ListingPage;
use super::{Bucket, Credentials, Error, Provider, ReadRange};
use progress::Watched;

mod progress;

/// How long an upload may stand still, and the answer after its last byte be awaited.
const STALL: Duration = Duration::from_secs(120);
/// Bytes of a refusal that are read for the server's reason, and shown.
const REASON_BYTES: usize = 4 << 10;
const REASON_CHARS: usize = 300;

/// What a metadata header's name begins with.
pub(super) const METADATA: &str = "x-object-meta-";
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
        let status = response.status();
        if status.is_success()
            || [
                StatusCode::PRECONDITION_FAILED,
                StatusCode::RANGE_NOT_SATISFIABLE,
            ]
            .contains(&status)
        {
            return Ok(response);
        }
        if status == StatusCode::NOT_FOUND {
            return Err(Error::NotFound(key.to_owned()));
        }
        let answer = answer(response).await;
        Err(match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Error::Forbidden(format!("{key} ({answer})"))
            }
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
                Error::other(format!("{} answered {answer}", self.base))
            }
            // Too large, say, or moved: the same request will not go better.
            status if status.is_client_error() || status.is_redirection() => {
                Error::Refused(key.to_owned(), answer)
            }
            _ => Error::other(format!("{} answered {answer}", self.base)),
        })
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
            body: if got.is_empty() {
                futures::stream::empty().boxed()
            } else {
                response.bytes_stream().map_err(Error::other).boxed()
            },
            range: got,
        })
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

/// The size of the object, and the part of it that the response holds.
fn extent(
    status: StatusCode,
    headers: &HeaderMap,
    asked: ReadRange,
) -> Result<(u64, std::ops::Range<u64>), Error> {
    let length = || header(headers, "content-length").and_then(|l| l.parse::<u64>().ok());
    let unclear = || Error::other("the storage did not tell the size of the object");
    match status {
        StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
            let content_range = header(headers, CONTENT_RANGE.as_str()).ok_or_else(unclear)?;
            parse_content_range(&content_range).ok_or_else(unclear)
        }
        // A server that knows no ranges sends all of it; an empty object has no part to send.
        _ => {
            let size = length().ok_or_else(unclear)?;
            match asked {
                ReadRange::Bounded(range) if range.is_empty() => Ok((size, 0..0)),
                ReadRange::All => Ok((size, 0..size)),
                _ if size == 0 => Ok((0, 0..0)),
                _ => Err(Error::other(
                    "the storage does not serve parts of an object",
                )),
            }
        }
    }
}

/// `bytes 2-5/10` is `(10, 2..6)`; `bytes */10` is `(10, 10..10)`.
fn parse_content_range(text: &str) -> Option<(u64, std::ops::Range<u64>)> {
    let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
    let size = size.parse().ok()?;
    if range == "*" {
        return Some((size, size..size));
    }
    let (start, last) = range.split_once('-')?;
    Some((size, start.parse().ok()?..last.parse::<u64>().ok()? + 1))
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

fn headers(key: &str, attributes: &Attributes) -> Result<HeaderMap, Error> {
    let no_header = |name: &str| {
        let why = format!("its attribute {name} cannot be a header");
        Error::Refused(key.to_owned(), why)
    };
    let mut headers = HeaderMap::new();
    for (name, value) in [
        (CONTENT_TYPE, &attributes.content_type),
        (CONTENT_ENCODING, &attributes.content_encoding),
        (CACHE_CONTROL, &attributes.cache_control),
    ] {
        if let Some(value) = value {
            let value = value.parse().map_err(|_| no_header(name.as_str()))?;
            headers.insert(name, value);
        }
    }
    for (name, value) in &attributes.metadata {
        let header = format!("{METADATA}{name}").parse::<HeaderName>();
        let (Ok(header), Ok(value)) = (header, value.parse()) else {
            return Err(no_header(name));
        };
        headers.insert(header, value);
    }
    Ok(headers)
}

/// The status of a refusal, and the first line of what it says.
async fn answer(response: Response) -> String {
    let status = response.status();
    let mut body = response.bytes_stream();
    let mut text = Vec::new();
    while let Some(Ok(chunk)) = body.next().await
        && text.len() < REASON_BYTES
    {
        text.extend_from_slice(&chunk);
    }
    let text = String::from_utf8_lossy(&text[..text.len().min(REASON_BYTES)]);
    let line: String = text
        .trim_start()
        .chars()
        .take_while(|c| !c.is_control())
        .take(REASON_CHARS)
        .collect();
    match line.trim() {
        "" => status.to_string(),
        line => format!("{status}: {line}"),
    }
}

fn attributes(headers: &HeaderMap) -> Attributes {
    Attributes {
        content_type: header(headers, CONTENT_TYPE.as_str()),
        content_encoding: header(headers, CONTENT_ENCODING.as_str()),
        cache_control: header(headers, CACHE_CONTROL.as_str()),
        metadata: headers
            .iter()
            .filter_map(|(name, value)| {
                Some((
                    name.as_str().strip_prefix(METADATA)?.to_owned(),
                    value.to_str().ok()?.to_owned(),
                ))
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests;
