//! Deck's own storage: `PUT` and `GET` on `<base>/<key>`, with a bearer token.
//!
//! Attributes travel as the headers of the same names, metadata as `x-object-meta-*`.

use std::time::Duration;

use bytes::Bytes;
use futures::stream::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use reqwest::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, IF_NONE_MATCH,
    LAST_MODIFIED, RANGE,
};
use reqwest::{RequestBuilder, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::object::{Attributes, Body, Object};
use super::{Bucket, Credentials, Error, ReadRange};

/// What a metadata header's name begins with.
pub(super) const METADATA: &str = "x-object-meta-";

/// A client of one Deck.
#[derive(Debug)]
pub(super) struct Http {
    base: Url,
    token: Option<SecretString>,
    client: reqwest::Client,
}

impl Http {
    pub(super) fn open(bucket: &Bucket, credentials: &Credentials) -> Result<Self, Error> {
        let bad = |why: String| Error::InvalidBucket(bucket.url().to_owned(), why);
        let base = Url::parse(bucket.url()).map_err(|e| bad(e.to_string()))?;
        crate::service::install_crypto();
        let client = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10))
            // Not for the whole: a large log on a slow line may take its time.
            .read_timeout(Duration::from_secs(60))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(Error::other)?;
        Ok(Self {
            base,
            token: credentials.storage_token.clone(),
            client,
        })
    }

    pub(super) fn with_token(&self, token: SecretString) -> Self {
        Self {
            base: self.base.clone(),
            token: Some(token),
            client: self.client.clone(),
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
        match response.status() {
            s if s.is_success() => Ok(response),
            StatusCode::PRECONDITION_FAILED | StatusCode::RANGE_NOT_SATISFIABLE => Ok(response),
            StatusCode::NOT_FOUND => Err(Error::NotFound(key.to_owned())),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(Error::Forbidden(key.to_owned()))
            }
            // Too large, say: the same request will not go better.
            status
                if status.is_client_error()
                    && ![StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS]
                        .contains(&status) =>
            {
                Err(Error::Forbidden(format!("{key} ({status})")))
            }
            status => Err(Error::other(format!("{} answered {status}", self.base))),
        }
    }

    pub(super) async fn put(
        &self,
        key: &str,
        body: Body,
        attributes: &Attributes,
    ) -> Result<(), Error> {
        let body = match body {
            Body::Bytes(bytes) => reqwest::Body::from(bytes),
            Body::Stream(stream) => reqwest::Body::wrap_stream(stream),
        };
        let request = self
            .client
            .put(self.url(key))
            .headers(headers(attributes)?)
            .body(body);
        self.send(key, request).await.map(|_| ())
    }

    pub(super) async fn put_if_absent(
        &self,
        key: &str,
        body: Bytes,
        attributes: &Attributes,
    ) -> Result<bool, Error> {
        let request = self
            .client
            .put(self.url(key))
            .headers(headers(attributes)?)
            .header(IF_NONE_MATCH, "*")
            .body(body);
        let response = self.send(key, request).await?;
        Ok(response.status() != StatusCode::PRECONDITION_FAILED)
    }

    pub(super) async fn read(&self, key: &str, range: ReadRange) -> Result<Object, Error> {
        let request = match &range {
            ReadRange::Bounded(range) if range.is_empty() => self.client.head(self.url(key)),
            ReadRange::Bounded(range) => self
                .client
                .get(self.url(key))
                .header(RANGE, format!("bytes={}-{}", range.start, range.end - 1)),
            ReadRange::Tail(length) => self
                .client
                .get(self.url(key))
                .header(RANGE, format!("bytes=-{length}")),
            ReadRange::All => self.client.get(self.url(key)),
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

fn headers(attributes: &Attributes) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        (CONTENT_TYPE, &attributes.content_type),
        (CONTENT_ENCODING, &attributes.content_encoding),
        (CACHE_CONTROL, &attributes.cache_control),
    ] {
        if let Some(value) = value {
            headers.insert(name, value.parse().map_err(Error::other)?);
        }
    }
    for (name, value) in &attributes.metadata {
        let name: reqwest::header::HeaderName =
            format!("{METADATA}{name}").parse().map_err(Error::other)?;
        headers.insert(name, value.parse().map_err(Error::other)?);
    }
    Ok(headers)
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
