//! The headers of requests and responses, and the errors that responses report.

use futures::stream::StreamExt;
use reqwest::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderName,
};
use reqwest::{Response, StatusCode};
use url::Url;

use crate::storage::object::ObjectAttributes;
use crate::storage::{ReadRange, StorageError};

/// The prefix of metadata headers.
const METADATA_PREFIX: &str = "x-object-meta-";
/// How many bytes of a refusal are read, and how many characters of its reason are shown.
const REASON_BYTES: usize = 4 << 10;
const REASON_CHARS: usize = 300;

/// The size of the object, and the part of it that the response contains.
pub(super) fn response_range(
    status: StatusCode,
    headers: &HeaderMap,
    asked: ReadRange,
) -> Result<(u64, std::ops::Range<u64>), StorageError> {
    let length = || header_text(headers, "content-length").and_then(|l| l.parse::<u64>().ok());
    let unclear = || StorageError::other("the storage did not tell the size of the object");
    match status {
        StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
            let content_range = header_text(headers, CONTENT_RANGE.as_str()).ok_or_else(unclear)?;
            parse_content_range(&content_range).ok_or_else(unclear)
        }
        // A server without range support sends all of it; an empty object has no part to send.
        _ => {
            let size = length().ok_or_else(unclear)?;
            match asked {
                ReadRange::Bounded(range) if range.is_empty() => Ok((size, 0..0)),
                ReadRange::All => Ok((size, 0..size)),
                _ if size == 0 => Ok((0, 0..0)),
                _ => Err(StorageError::other(
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

pub(super) fn header_text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

pub(super) fn attribute_headers(
    key: &str,
    attributes: &ObjectAttributes,
) -> Result<HeaderMap, StorageError> {
    let no_header = |name: &str| {
        let why = format!("its attribute {name} cannot be a header");
        StorageError::Refused(key.to_owned(), why)
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
        let header = format!("{METADATA_PREFIX}{name}").parse::<HeaderName>();
        let (Ok(header), Ok(value)) = (header, value.parse()) else {
            return Err(no_header(name));
        };
        headers.insert(header, value);
    }
    Ok(headers)
}

/// The response, or the error that it reports.
pub(in crate::storage) async fn check_response(
    key: &str,
    server: &Url,
    response: Response,
) -> Result<Response, StorageError> {
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
        return Err(StorageError::NotFound(key.to_owned()));
    }
    let answer = refusal_text(response).await;
    Err(match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            StorageError::Forbidden(format!("{key} ({answer})"))
        }
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
            StorageError::other(format!("{} answered {answer}", server))
        }
        // The object is too large or was moved, for example: the same request would fail again.
        status if status.is_client_error() || status.is_redirection() => {
            StorageError::Refused(key.to_owned(), answer)
        }
        _ => StorageError::other(format!("{} answered {answer}", server)),
    })
}

/// The status of a refusal, and the first line of its body.
async fn refusal_text(response: Response) -> String {
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

pub(super) fn parse_attributes(headers: &HeaderMap) -> ObjectAttributes {
    ObjectAttributes {
        content_type: header_text(headers, CONTENT_TYPE.as_str()),
        content_encoding: header_text(headers, CONTENT_ENCODING.as_str()),
        cache_control: header_text(headers, CACHE_CONTROL.as_str()),
        metadata: headers
            .iter()
            .filter_map(|(name, value)| {
                Some((
                    name.as_str().strip_prefix(METADATA_PREFIX)?.to_owned(),
                    value.to_str().ok()?.to_owned(),
                ))
            })
            .collect(),
    }
}
