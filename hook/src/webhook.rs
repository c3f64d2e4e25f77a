//! `POST /hook`: who may deliver what, answered before any work is done.
//!
//! socket → checks → [`Inbox`](crate::inbox::Inbox) → commit → 200. What a delivery means is not
//! looked at here, beyond the repository it names.

mod body;
mod identity;
mod log;
mod secrets;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode},
    response::{IntoResponse, Response},
    routing::any,
};
use jiff::Timestamp;
use tokio::sync::Notify;

use crate::{
    event::Outline,
    inbox::{Accepted, Inbox, NewDelivery},
    metrics::Metrics,
};
use identity::Claim;
use log::Known;

pub(crate) use body::Room;
pub(crate) use identity::Identity;
pub(crate) use log::Log;
pub use secrets::SecretFile;

/// Characters of a path that a line of the log shows.
const MAX_PATH: usize = 100;

/// What the endpoint needs to answer.
pub(crate) struct Endpoint {
    pub(crate) secrets: Arc<SecretFile>,
    pub(crate) inbox: Inbox,
    pub(crate) metrics: Metrics,
    pub(crate) body_timeout: Duration,
    pub(crate) room: Room,
    pub(crate) log: Log,
    /// Told when a delivery was refused that another attempt may bring in.
    pub(crate) missed: Arc<Notify>,
}

/// The routes of the public port. To look at any other path is answered with an empty 200, as load
/// balancers have come to expect of hook; what is sent there is refused.
pub(crate) fn router(endpoint: Endpoint, webhook_path: &str) -> Router {
    Router::new()
        .route(webhook_path, any(receive))
        .route("/plugin-help", any(plugin_help))
        .fallback(elsewhere)
        .with_state(Arc::new(endpoint))
}

async fn plugin_help() -> Response {
    Refusal(StatusCode::NOT_IMPLEMENTED, "plugin help is not built yet").into_response()
}

/// A webhook whose URL is mistyped must not look as if it had arrived.
async fn elsewhere(State(endpoint): State<Arc<Endpoint>>, request: Request) -> Response {
    if request.method() != Method::POST {
        return StatusCode::OK.into_response();
    }
    let mut known = Known::default();
    known.read_headers(request.headers());
    let refusal = Refusal(
        StatusCode::NOT_FOUND,
        "webhooks are taken at another path, the one of --webhook-path",
    );
    let path: String = request.uri().path().chars().take(MAX_PATH).collect();
    let cause = anyhow::anyhow!("it was sent to {path:?}");
    endpoint.log.refused(&known, refusal, Some(&cause));
    endpoint.metrics.answered(refusal.0);
    refusal.into_response()
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

/// Why a delivery was not taken: what its sender hears, and what the operator reads besides.
#[derive(Debug)]
struct Refused {
    refusal: Refusal,
    cause: Option<anyhow::Error>,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self {
            refusal,
            cause: None,
        }
    }
}

async fn receive(State(endpoint): State<Arc<Endpoint>>, request: Request) -> Response {
    let mut known = Known::default();
    let answer = match accept(&endpoint, request, &mut known).await {
        Ok(accepted) => {
            endpoint.log.accepted(&known, accepted);
            (StatusCode::OK, "200 Delivery stored\n").into_response()
        }
        Err(Refused { refusal, cause }) => {
            endpoint.log.refused(&known, refusal, cause.as_ref());
            // As far as we know, it was a good one.
            if refusal.0.is_server_error() || refusal.0 == StatusCode::REQUEST_TIMEOUT {
                endpoint.missed.notify_one();
            }
            refusal.into_response()
        }
    };
    endpoint.metrics.answered(answer.status());
    answer
}

/// `known` says, also of what is refused, as much as was found out.
async fn accept(
    endpoint: &Endpoint,
    request: Request,
    known: &mut Known,
) -> Result<Accepted, Refused> {
    let (parts, body) = request.into_parts();
    known.read_headers(&parts.headers);
    let Headers {
        event,
        guid,
        signature,
    } = check_headers(&parts.method, &parts.headers)?;
    // The room is given back once the delivery is stored or refused.
    let (body, _room) =
        body::read(&parts.headers, body, &endpoint.room, endpoint.body_timeout).await?;
    let claim = identity::read(&body);
    known.read_claim(&claim, &body);
    let identity = check_body(&endpoint.secrets.secrets(), claim, &signature, &body)?;
    let outline = Outline::parse(&body);
    known.number = outline.number();
    check_base(&identity, &outline)?;
    endpoint.metrics.received(&event);
    let delivery = NewDelivery {
        lane: outline.lane(&identity, &event, &guid),
        guid,
        event,
        identity,
        body,
        received_at: Timestamp::now(),
    };
    endpoint
        .inbox
        .accept(delivery)
        .await
        .map_err(|cause| Refused {
            refusal: Refusal(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the delivery could not be stored",
            ),
            cause: Some(cause),
        })
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
    let event = required(
        headers,
        "x-github-event",
        Refusal(
            StatusCode::BAD_REQUEST,
            "the header X-GitHub-Event is missing",
        ),
        "the header X-GitHub-Event is no plain ASCII text",
    )?;
    let guid = required(
        headers,
        "x-github-delivery",
        Refusal(
            StatusCode::BAD_REQUEST,
            "the header X-GitHub-Delivery is missing",
        ),
        "the header X-GitHub-Delivery is no plain ASCII text",
    )?;
    let signature = required(
        headers,
        "x-hub-signature-256",
        Refusal(
            StatusCode::FORBIDDEN,
            "the header X-Hub-Signature-256 is missing",
        ),
        "the header X-Hub-Signature-256 is no plain ASCII text",
    )?;
    if header_text(headers, "content-type") != Some("application/json") {
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

/// The text of a header, or `missing`; with its status and the words `garbled` where there is
/// something else.
fn required(
    headers: &HeaderMap,
    name: &str,
    missing: Refusal,
    garbled: &'static str,
) -> Result<String, Refusal> {
    match header_text(headers, name) {
        Some(text) => Ok(text.to_owned()),
        None if headers
            .get(name)
            .is_some_and(|value| value.to_str().is_err()) =>
        {
            Err(Refusal(missing.0, garbled))
        }
        None => Err(missing),
    }
}

/// `None` for an empty one, too.
fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let value = headers.get(name)?.to_str().ok()?;
    (!value.is_empty()).then_some(value)
}

/// Finds the key by what the body says about itself, then checks the signature, then whether
/// the body is a payload at all.
fn check_body(
    secrets: &secrets::Secrets,
    claim: Claim,
    signature: &str,
    body: &[u8],
) -> Result<Identity, Refusal> {
    let forbidden = |text| Refusal(StatusCode::FORBIDDEN, text);
    let signature = signature
        .strip_prefix("sha256=")
        .and_then(|digest| hex::decode(digest).ok())
        .ok_or(forbidden("the signature is not of the form sha256=<hex>"))?;
    let (identity, whole) = match claim {
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

/// The pull request of a verified payload must belong to the repository it was signed for.
fn check_base(identity: &Identity, outline: &Outline) -> Result<(), Refusal> {
    match outline.base_repository() {
        Some((org, repo)) if !identity.is(org, repo) => Err(Refusal(
            StatusCode::FORBIDDEN,
            "the pull request belongs to another repository",
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

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
    fn what_is_no_text_is_not_missing() {
        for name in ["x-github-event", "x-github-delivery", "x-hub-signature-256"] {
            let mut given = headers(&[
                ("x-github-event", "push"),
                ("x-github-delivery", "guid"),
                ("x-hub-signature-256", "sha256=00"),
                ("content-type", "application/json"),
            ]);
            given.insert(name, HeaderValue::from_bytes("gü".as_bytes()).unwrap());
            let Refusal(status, text) = check_headers(&Method::POST, &given).unwrap_err();
            assert!(text.to_lowercase().contains(name), "{text}");
            assert!(text.contains("no plain ASCII text"), "{text}");
            let missing = check_headers(&Method::POST, &{
                given.remove(name);
                given
            });
            assert_eq!(missing.unwrap_err().0, status, "{name}");
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
        let check = |body: &str| check_base(&identity, &Outline::parse(body.as_bytes()));
        assert_eq!(check(&body("o/r")), Ok(()));
        assert_eq!(check(&body("o/x")).unwrap_err().0, StatusCode::FORBIDDEN);
    }
}
