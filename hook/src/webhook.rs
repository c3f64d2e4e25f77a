//! `POST /hook`: checks who delivers what, and answers before any work is done.
//!
//! socket → checks → [`Inbox`] → commit → 200. This module interprets
//! nothing of a delivery beyond the repository that it names.

mod body;
mod log;
mod repository_ref;
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
    event::PayloadHeader,
    inbox::{AcceptOutcome, Inbox, VerifiedDelivery},
    metrics::HookMetrics,
};
use log::DeliveryLogFields;
use repository_ref::RepositoryClaim;

pub(crate) use body::PayloadBudget;
pub(crate) use log::DeliveryLog;
pub(crate) use repository_ref::RepositoryRef;
pub use secrets::HmacSecretFile;

/// Most characters of a path in a log line.
const MAX_PATH: usize = 100;

/// What the endpoint needs to answer.
pub(crate) struct WebhookEndpoint {
    pub(crate) secrets: Arc<HmacSecretFile>,
    pub(crate) inbox: Inbox,
    pub(crate) metrics: HookMetrics,
    pub(crate) body_timeout: Duration,
    pub(crate) room: PayloadBudget,
    pub(crate) log: DeliveryLog,
    /// Notified when a delivery was refused that may succeed in another attempt.
    pub(crate) missed: Arc<Notify>,
}

/// The routes of the public port. Any other path answers with an empty 200, as load balancers
/// expect of hook; only a POST to it is refused.
pub(crate) fn webhook_router(endpoint: WebhookEndpoint, webhook_path: &str) -> Router {
    Router::new()
        .route(webhook_path, any(handle_webhook))
        .route("/plugin-help", any(plugin_help))
        .fallback(handle_other_path)
        .with_state(Arc::new(endpoint))
}

async fn plugin_help() -> Response {
    WebhookRefusal(StatusCode::NOT_IMPLEMENTED, "plugin help is not built yet").into_response()
}

/// A webhook whose URL is mistyped must not look as if it had arrived.
async fn handle_other_path(
    State(endpoint): State<Arc<WebhookEndpoint>>,
    request: Request,
) -> Response {
    if request.method() != Method::POST {
        return StatusCode::OK.into_response();
    }
    let mut known = DeliveryLogFields::default();
    known.record_headers(request.headers());
    let refusal = WebhookRefusal(
        StatusCode::NOT_FOUND,
        "webhooks are taken at another path, the one of --webhook-path",
    );
    let path: String = request.uri().path().chars().take(MAX_PATH).collect();
    let cause = anyhow::anyhow!("it was sent to {path:?}");
    endpoint.log.log_refused(&known, refusal, Some(&cause));
    endpoint.metrics.count_response(refusal.0);
    refusal.into_response()
}

/// A status and the fixed text that goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct WebhookRefusal(StatusCode, &'static str);

impl IntoResponse for WebhookRefusal {
    fn into_response(self) -> Response {
        let Self(status, text) = self;
        (status, format!("{} {text}\n", status.as_u16())).into_response()
    }
}

/// Why a delivery was refused: the answer to its sender, and the cause for the operator.
#[derive(Debug)]
struct RefusedDelivery {
    refusal: WebhookRefusal,
    cause: Option<anyhow::Error>,
}

impl From<WebhookRefusal> for RefusedDelivery {
    fn from(refusal: WebhookRefusal) -> Self {
        Self {
            refusal,
            cause: None,
        }
    }
}

async fn handle_webhook(
    State(endpoint): State<Arc<WebhookEndpoint>>,
    request: Request,
) -> Response {
    let mut known = DeliveryLogFields::default();
    let answer = match accept_webhook(&endpoint, request, &mut known).await {
        Ok(accepted) => {
            endpoint.log.log_accepted(&known, accepted);
            (StatusCode::OK, "200 Delivery stored\n").into_response()
        }
        Err(RefusedDelivery { refusal, cause }) => {
            endpoint.log.log_refused(&known, refusal, cause.as_ref());
            // The delivery may have been a good one.
            if refusal.0.is_server_error() || refusal.0 == StatusCode::REQUEST_TIMEOUT {
                endpoint.missed.notify_one();
            }
            refusal.into_response()
        }
    };
    endpoint.metrics.count_response(answer.status());
    answer
}

/// `known` collects what is found out about the delivery, also when it is refused.
async fn accept_webhook(
    endpoint: &WebhookEndpoint,
    request: Request,
    known: &mut DeliveryLogFields,
) -> Result<AcceptOutcome, RefusedDelivery> {
    let (parts, body) = request.into_parts();
    known.record_headers(&parts.headers);
    let WebhookHeaders {
        event,
        guid,
        signature,
    } = check_headers(&parts.method, &parts.headers)?;
    // The memory is released once the delivery is stored or refused.
    let (body, _room) =
        body::read_body(&parts.headers, body, &endpoint.room, endpoint.body_timeout).await?;
    let claim = repository_ref::read_repository_claim(&body);
    known.record_claim(&claim, &body);
    let identity = check_body(
        &endpoint.secrets.current_secrets(),
        claim,
        &signature,
        &body,
    )?;
    let outline = PayloadHeader::parse_payload(&body);
    known.number = outline.issue_number();
    check_base(&identity, &outline)?;
    endpoint.metrics.count_webhook(&event);
    let delivery = VerifiedDelivery {
        lane: outline.ordering_key(&identity, &event, &guid),
        guid,
        event,
        identity,
        body,
        received_at: Timestamp::now(),
    };
    endpoint
        .inbox
        .accept_delivery(delivery)
        .await
        .map_err(|cause| RefusedDelivery {
            refusal: WebhookRefusal(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the delivery could not be stored",
            ),
            cause: Some(cause),
        })
}

/// The headers that every delivery has.
#[derive(Debug, PartialEq, Eq)]
struct WebhookHeaders {
    event: String,
    guid: String,
    signature: String,
}

fn check_headers(method: &Method, headers: &HeaderMap) -> Result<WebhookHeaders, WebhookRefusal> {
    if method != Method::POST {
        return Err(WebhookRefusal(
            StatusCode::METHOD_NOT_ALLOWED,
            "only POST is taken here",
        ));
    }
    let event = required_header(
        headers,
        "x-github-event",
        WebhookRefusal(
            StatusCode::BAD_REQUEST,
            "the header X-GitHub-Event is missing",
        ),
        "the header X-GitHub-Event is no plain ASCII text",
    )?;
    let guid = required_header(
        headers,
        "x-github-delivery",
        WebhookRefusal(
            StatusCode::BAD_REQUEST,
            "the header X-GitHub-Delivery is missing",
        ),
        "the header X-GitHub-Delivery is no plain ASCII text",
    )?;
    let signature = required_header(
        headers,
        "x-hub-signature-256",
        WebhookRefusal(
            StatusCode::FORBIDDEN,
            "the header X-Hub-Signature-256 is missing",
        ),
        "the header X-Hub-Signature-256 is no plain ASCII text",
    )?;
    if header_text(headers, "content-type") != Some("application/json") {
        return Err(WebhookRefusal(
            StatusCode::BAD_REQUEST,
            "the content type must be application/json",
        ));
    }
    Ok(WebhookHeaders {
        event,
        guid,
        signature,
    })
}

/// The text of a header, or `missing`. When the header is no text: the status of `missing` with the
/// message `garbled`.
fn required_header(
    headers: &HeaderMap,
    name: &str,
    missing: WebhookRefusal,
    garbled: &'static str,
) -> Result<String, WebhookRefusal> {
    match header_text(headers, name) {
        Some(text) => Ok(text.to_owned()),
        None if headers
            .get(name)
            .is_some_and(|value| value.to_str().is_err()) =>
        {
            Err(WebhookRefusal(missing.0, garbled))
        }
        None => Err(missing),
    }
}

/// `None` for an empty header, too.
fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let value = headers.get(name)?.to_str().ok()?;
    (!value.is_empty()).then_some(value)
}

/// Finds the key by the repository that the body claims, then checks the signature, then whether
/// the body is a payload at all.
fn check_body(
    secrets: &secrets::HmacSecrets,
    claim: RepositoryClaim,
    signature: &str,
    body: &[u8],
) -> Result<RepositoryRef, WebhookRefusal> {
    let forbidden = |text| WebhookRefusal(StatusCode::FORBIDDEN, text);
    let signature = signature
        .strip_prefix("sha256=")
        .and_then(|digest| hex::decode(digest).ok())
        .ok_or(forbidden("the signature is not of the form sha256=<hex>"))?;
    let (identity, whole) = match claim {
        RepositoryClaim::Payload(identity) => (identity, true),
        RepositoryClaim::Broken(identity) => (identity, false),
        RepositoryClaim::Contradiction => {
            return Err(forbidden(
                "the payload names its repository twice, differently",
            ));
        }
    };
    if !secrets.verify_signature(&identity, body, &signature) {
        return Err(forbidden("no key for this repository made the signature"));
    }
    if !whole {
        return Err(WebhookRefusal(
            StatusCode::BAD_REQUEST,
            "the payload is not a JSON object",
        ));
    }
    Ok(identity)
}

/// The pull request of a verified payload must belong to the repository it was signed for.
fn check_base(identity: &RepositoryRef, outline: &PayloadHeader) -> Result<(), WebhookRefusal> {
    match outline.base_repository() {
        Some((org, repo)) if !identity.matches_name(org, repo) => Err(WebhookRefusal(
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
            let WebhookRefusal(status, text) = check_headers(&Method::POST, &given).unwrap_err();
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
        let identity = RepositoryRef {
            org: "o".into(),
            repo: "r".into(),
        };
        let body = |full_name: &str| {
            serde_json::json!({"number": 7, "pull_request": {"base": {"repo": {"full_name": full_name}}}})
                .to_string()
        };
        let check =
            |body: &str| check_base(&identity, &PayloadHeader::parse_payload(body.as_bytes()));
        assert_eq!(check(&body("o/r")), Ok(()));
        assert_eq!(check(&body("o/x")).unwrap_err().0, StatusCode::FORBIDDEN);
    }
}
