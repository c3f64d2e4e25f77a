//! `POST /hook`: who may deliver what, answered before any work is done.
//!
//! socket → checks → [`Inbox`](crate::inbox::Inbox) → commit → 200. What a delivery means is not
//! looked at here, beyond the repository it names.

mod identity;
mod secrets;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::any,
};
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    event::Outline,
    inbox::{Accepted, Inbox, NewDelivery},
    metrics::Metrics,
};
use identity::Claim;

pub(crate) use identity::Identity;
pub use secrets::SecretFile;

/// GitHub itself sends no more than 25 MB.
const MAX_BODY: usize = 25 * 1024 * 1024;

/// What the endpoint needs to answer.
pub(crate) struct Endpoint {
    pub(crate) secrets: Arc<SecretFile>,
    pub(crate) inbox: Inbox,
    pub(crate) metrics: Metrics,
    pub(crate) body_timeout: Duration,
    /// KiB that payloads of all requests may take together before they are stored.
    pub(crate) room: Arc<Semaphore>,
}

/// 256 MiB: ten of the largest payloads at once, whoever sends them.
pub(crate) const ROOM: usize = 256 * 1024;

/// The routes of the public port. Every path that is not the webhook's answers an empty 200, as
/// load balancers have come to expect of hook.
pub(crate) fn router(endpoint: Endpoint, webhook_path: &str) -> Router {
    Router::new()
        .route(webhook_path, any(receive))
        .route("/plugin-help", any(plugin_help))
        .fallback(async || StatusCode::OK)
        .with_state(Arc::new(endpoint))
}

async fn plugin_help() -> Response {
    Refusal(StatusCode::NOT_IMPLEMENTED, "plugin help is not built yet").into_response()
}

/// A status and the fixed text that goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Refusal(StatusCode, &'static str);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self(status, text) = self;
        (status, format!("{} {text}\n", status.as_u16())).into_response()
    }
}

async fn receive(State(endpoint): State<Arc<Endpoint>>, request: Request) -> Response {
    let answer = match accept(&endpoint, request).await {
        Ok(()) => (StatusCode::OK, "200 Delivery stored\n").into_response(),
        Err(refusal) => refusal.into_response(),
    };
    endpoint.metrics.answered(answer.status());
    answer
}

async fn accept(endpoint: &Endpoint, request: Request) -> Result<(), Refusal> {
    let (parts, body) = request.into_parts();
    let Headers {
        event,
        guid,
        signature,
    } = check_headers(&parts.method, &parts.headers)?;
    // The room is given back once the delivery is stored or refused.
    let (body, _room) = read_body(&parts.headers, body, endpoint).await?;
    let identity = check_body(&endpoint.secrets.secrets(), &signature, &body)?;
    let lane = check_outline(&identity, &event, &guid, &body)?;
    endpoint.metrics.received(&event);
    let delivery = NewDelivery {
        guid: guid.clone(),
        event,
        identity,
        lane,
        body,
        received_at: Timestamp::now(),
    };
    match endpoint.inbox.accept(delivery).await {
        Ok(Accepted::New) => Ok(()),
        Ok(accepted) => {
            tracing::info!(delivery = guid, "delivery came again: {accepted}");
            Ok(())
        }
        Err(error) => {
            tracing::error!(delivery = guid, "delivery could not be stored: {error:#}");
            Err(Refusal(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the delivery could not be stored",
            ))
        }
    }
}

/// The headers a delivery is known by.
#[derive(Debug, PartialEq, Eq)]
struct Headers {
    event: String,
    guid: String,
    signature: String,
}

fn check_headers(method: &Method, headers: &HeaderMap) -> Result<Headers, Refusal> {
    if method != Method::POST {
        return Err(Refusal(
            StatusCode::METHOD_NOT_ALLOWED,
            "only POST is taken here",
        ));
    }
    let text = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .filter(|value| !value.is_empty())
            .map(str::to_owned)
    };
    let missing = |text| Refusal(StatusCode::BAD_REQUEST, text);
    let event = text("x-github-event").ok_or(missing("the header X-GitHub-Event is missing"))?;
    let guid =
        text("x-github-delivery").ok_or(missing("the header X-GitHub-Delivery is missing"))?;
    let signature = text("x-hub-signature-256").ok_or(Refusal(
        StatusCode::FORBIDDEN,
        "the header X-Hub-Signature-256 is missing",
    ))?;
    if text("content-type").as_deref() != Some("application/json") {
        return Err(Refusal(
            StatusCode::BAD_REQUEST,
            "the content type must be application/json",
        ));
    }
    Ok(Headers {
        event,
        guid,
        signature,
    })
}

async fn read_body(
    headers: &HeaderMap,
    body: Body,
    endpoint: &Endpoint,
) -> Result<(Bytes, Vec<OwnedSemaphorePermit>), Refusal> {
    const TOO_LARGE: Refusal = Refusal(
        StatusCode::PAYLOAD_TOO_LARGE,
        "the payload is larger than 25 MB",
    );
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > MAX_BODY) {
        return Err(TOO_LARGE);
    }
    let collect = async {
        let mut stream = body.into_data_stream();
        let mut whole = BytesMut::new();
        let mut room = Vec::new();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|_| {
                Refusal(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "the payload could not be read",
                )
            })?;
            if whole.len() + chunk.len() > MAX_BODY {
                return Err(TOO_LARGE);
            }
            let kib = u32::try_from(chunk.len().div_ceil(1024)).unwrap_or(u32::MAX);
            let permit = Arc::clone(&endpoint.room).try_acquire_many_owned(kib);
            room.push(permit.map_err(|_| {
                Refusal(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "too many payloads at once; send it again",
                )
            })?);
            whole.extend_from_slice(&chunk);
        }
        Ok((whole.freeze(), room))
    };
    tokio::time::timeout(endpoint.body_timeout, collect)
        .await
        .unwrap_or(Err(Refusal(
            StatusCode::REQUEST_TIMEOUT,
            "the payload took too long to arrive",
        )))
}

/// Finds the key by what the body says about itself, then checks the signature, then whether
/// the body is a payload at all.
fn check_body(
    secrets: &secrets::Secrets,
    signature: &str,
    body: &[u8],
) -> Result<Identity, Refusal> {
    let forbidden = |text| Refusal(StatusCode::FORBIDDEN, text);
    let signature = signature
        .strip_prefix("sha256=")
        .and_then(|digest| hex::decode(digest).ok())
        .ok_or(forbidden("the signature is not of the form sha256=<hex>"))?;
    let (identity, whole) = match identity::read(body) {
        Claim::Payload(identity) => (identity, true),
        Claim::Broken(identity) => (identity, false),
        Claim::Contradiction => {
            return Err(forbidden(
                "the payload names its repository twice, differently",
            ));
        }
    };
    if !secrets.verify(&identity, body, &signature) {
        return Err(forbidden("no key for this repository made the signature"));
    }
    if !whole {
        return Err(Refusal(
            StatusCode::BAD_REQUEST,
            "the payload is not a JSON object",
        ));
    }
    Ok(identity)
}

/// The lane of a verified payload. Its pull request must belong to the repository it was signed
/// for.
fn check_outline(
    identity: &Identity,
    event: &str,
    guid: &str,
    body: &[u8],
) -> Result<String, Refusal> {
    let outline = Outline::parse(body);
    if outline
        .base_repository()
        .is_some_and(|(org, repo)| !identity.is(org, repo))
    {
        return Err(Refusal(
            StatusCode::FORBIDDEN,
            "the pull request belongs to another repository",
        ));
    }
    Ok(outline.lane(identity, event, guid))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn headers_are_checked_in_order() {
        const EVENT: (&str, &str) = ("x-github-event", "push");
        const GUID: (&str, &str) = ("x-github-delivery", "any text");
        const SIGNATURE: (&str, &str) = ("x-hub-signature-256", "sha256=00");
        const JSON: (&str, &str) = ("content-type", "application/json");
        for (name, method, given, expected) in [
            (
                "all there",
                Method::POST,
                vec![EVENT, GUID, SIGNATURE, JSON],
                200,
            ),
            ("method goes first", Method::PUT, vec![], 405),
            ("no event", Method::POST, vec![GUID, SIGNATURE, JSON], 400),
            (
                "an empty event",
                Method::POST,
                vec![("x-github-event", ""), GUID, SIGNATURE, JSON],
                400,
            ),
            (
                "no delivery",
                Method::POST,
                vec![EVENT, SIGNATURE, JSON],
                400,
            ),
            (
                "no signature before no content type",
                Method::POST,
                vec![EVENT, GUID],
                403,
            ),
            (
                "the old signature is not looked at",
                Method::POST,
                vec![EVENT, GUID, ("x-hub-signature", "sha1=00"), JSON],
                403,
            ),
            (
                "no content type",
                Method::POST,
                vec![EVENT, GUID, SIGNATURE],
                400,
            ),
            (
                "a content type with a parameter",
                Method::POST,
                vec![
                    EVENT,
                    GUID,
                    SIGNATURE,
                    ("content-type", "application/json; charset=utf-8"),
                ],
                400,
            ),
        ] {
            let status = check_headers(&method, &headers(&given))
                .map_or_else(|refusal| refusal.0.as_u16(), |_| 200);
            assert_eq!(status, expected, "{name}");
        }
    }

    #[test]
    fn a_pull_request_of_another_repository_is_refused() {
        let identity = Identity {
            org: "o".into(),
            repo: "r".into(),
        };
        let body = |full_name: &str| {
            serde_json::json!({"number": 7, "pull_request": {"base": {"repo": {"full_name": full_name}}}})
                .to_string()
        };
        let lane = |body: &str| check_outline(&identity, "pull_request", "g", body.as_bytes());
        assert_eq!(lane(&body("o/r")), Ok("o/r#7".to_owned()));
        assert_eq!(lane(&body("o/x")).unwrap_err().0, StatusCode::FORBIDDEN);
    }
}
