//! Sends webhooks: signed, in order for each repository, each once.
//!
//! If a receiver is down, slow or answers with an error, the delivery is recorded as failed and not
//! retried. GitHub does the same and offers redelivery.

use std::{
    collections::HashSet,
    sync::Mutex,
    time::{Duration, Instant},
};

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::{
    FakeGithubContext,
    store::{DeliveryResponse, OutgoingDelivery, StoredApp, StoredDelivery},
};

/// How long GitHub waits for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Deliveries at the same time, over all repositories.
const MAX_CONCURRENT_DELIVERIES: usize = 16;
/// How much of an answer is stored.
const LONGEST_ANSWER: usize = 64 * 1024;

/// Deliveries with one key are sent in order. It is the repository's id, or `None` for deliveries
/// of no repository.
type DeliveryOrderingKey = Option<i64>;

pub(crate) struct WebhookSender {
    client: reqwest::Client,
    busy: Mutex<HashSet<DeliveryOrderingKey>>,
    permits: Semaphore,
    unanswered: watch::Sender<usize>,
    shutdown: CancellationToken,
}

impl WebhookSender {
    pub(crate) fn new(shutdown: CancellationToken) -> anyhow::Result<WebhookSender> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .build()?;
        Ok(WebhookSender {
            client,
            busy: Mutex::default(),
            permits: Semaphore::new(MAX_CONCURRENT_DELIVERIES),
            unanswered: watch::Sender::new(0),
            shutdown,
        })
    }

    /// Returns when no delivery is unanswered, or when the stand-in stops.
    pub(crate) async fn wait_until_idle(&self) {
        let mut unanswered = self.unanswered.subscribe();
        tokio::select! {
            _ = unanswered.wait_for(|count| *count == 0) => {}
            () = self.shutdown.cancelled() => {}
        }
    }
}

/// Stores a delivery as the last of its ordering key.
pub(crate) async fn enqueue_delivery(
    context: &FakeGithubContext,
    new: &OutgoingDelivery<'_>,
) -> sqlx::Result<i64> {
    let id = context.store.add_delivery(new).await?;
    context
        .deliverer
        .unanswered
        .send_modify(|count| *count += 1);
    ensure_worker(context, new.repo);
    Ok(id)
}

/// Sends the deliveries that an earlier process left unsent.
pub(crate) async fn resume_unsent(context: &FakeGithubContext) -> sqlx::Result<()> {
    let lanes = context.store.list_unsent_repos().await?;
    context
        .deliverer
        .unanswered
        .send_modify(|count| *count += lanes.len());
    for lane in lanes {
        ensure_worker(context, lane);
    }
    Ok(())
}

fn ensure_worker(context: &FakeGithubContext, lane: DeliveryOrderingKey) {
    let mut busy = context.deliverer.busy.lock().expect("no holder panics");
    if busy.insert(lane) {
        let context = context.clone();
        tokio::spawn(async move {
            let shutdown = context.deliverer.shutdown.clone();
            tokio::select! {
                () = drain_queue(&context, lane) => {}
                () = shutdown.cancelled() => {}
            }
        });
    }
}

/// Sends all deliveries of an ordering key, then frees the key for the next [`ensure_worker`].
async fn drain_queue(context: &FakeGithubContext, lane: DeliveryOrderingKey) {
    loop {
        match send_next_delivery(context, lane).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                tracing::error!(
                    error = format!("{error:#}"),
                    "webhooks cannot be read or recorded"
                );
                context
                    .deliverer
                    .busy
                    .lock()
                    .expect("no holder panics")
                    .remove(&lane);
                return;
            }
        }
    }
}

/// Sends the oldest delivery. Returns false if there is none.
async fn send_next_delivery(
    context: &FakeGithubContext,
    lane: DeliveryOrderingKey,
) -> anyhow::Result<bool> {
    let deliverer = &context.deliverer;
    let row = match context.store.next_unsent_delivery(lane).await? {
        Some(row) => row,
        None => {
            // From here on a new delivery starts a new worker. One that was stored before is found
            // by asking again.
            deliverer
                .busy
                .lock()
                .expect("no holder panics")
                .remove(&lane);
            if context.store.next_unsent_delivery(lane).await?.is_some() {
                ensure_worker(context, lane);
            }
            return Ok(false);
        }
    };
    let permit = deliverer.permits.acquire().await?;
    let answer = match context.store.find_app(row.app).await? {
        Some(app) => send_delivery(context, &app, &row).await?,
        None => DeliveryResponse {
            status: "the App is gone".to_owned(),
            ..DeliveryResponse::default()
        },
    };
    drop(permit);
    context
        .store
        .record_delivery_response(row.id, &answer)
        .await?;
    deliverer.unanswered.send_modify(|count| *count -= 1);
    Ok(true)
}

async fn send_delivery(
    context: &FakeGithubContext,
    app: &StoredApp,
    row: &StoredDelivery,
) -> anyhow::Result<DeliveryResponse> {
    let headers = build_headers(app, row)?;
    let started = Instant::now();
    let request = context
        .deliverer
        .client
        .post(&app.webhook_url)
        .headers(headers.clone())
        .body(row.payload.clone())
        .send();
    let mut answer = DeliveryResponse {
        request_headers: headers_to_json(&headers).to_string(),
        ..DeliveryResponse::default()
    };
    match request.await {
        Ok(response) => {
            let code = response.status();
            answer.status_code = code.as_u16();
            answer.status = if code.is_success() {
                "OK"
            } else {
                code.canonical_reason().unwrap_or("Error")
            }
            .to_owned();
            answer.response_headers = headers_to_json(response.headers()).to_string();
            answer.response = read_response(response).await;
        }
        Err(error) => {
            answer.status = if error.is_timeout() {
                "timed out"
            } else {
                "failed to connect to host"
            }
            .to_owned();
            answer.response_headers = "{}".to_owned();
        }
    }
    answer.duration_ms = i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX);
    if !(200..300).contains(&answer.status_code) {
        let status = answer.status.as_str();
        tracing::warn!(
            delivery = row.guid,
            event = row.event,
            code = answer.status_code,
            status,
            "webhook not taken"
        );
    }
    Ok(answer)
}

async fn read_response(mut response: reqwest::Response) -> String {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() >= LONGEST_ANSWER {
            body.truncate(LONGEST_ANSWER);
            break;
        }
    }
    String::from_utf8_lossy(&body).into_owned()
}

fn build_headers(app: &StoredApp, row: &StoredDelivery) -> anyhow::Result<HeaderMap> {
    let pairs = [
        ("accept", "*/*".to_owned()),
        ("content-type", "application/json".to_owned()),
        ("user-agent", format!("GitHub-Hookshot/{}", &row.guid[..7])),
        ("x-github-delivery", row.guid.clone()),
        ("x-github-event", row.event.clone()),
        ("x-github-hook-id", app.id.to_string()),
        ("x-github-hook-installation-target-id", app.id.to_string()),
        (
            "x-github-hook-installation-target-type",
            "integration".to_owned(),
        ),
        (
            "x-hub-signature-256",
            sign_payload(&app.secret, row.payload.as_bytes()),
        ),
    ];
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_str(&value)?,
        );
    }
    Ok(headers)
}

/// `sha256=` and the HMAC of the body, in hex.
fn sign_payload(secret: &str, body: &[u8]) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

fn headers_to_json(headers: &HeaderMap) -> Value {
    let mut object = json!({});
    for (name, value) in headers {
        object[name.as_str()] = String::from_utf8_lossy(value.as_bytes()).into();
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_one_of_githubs_documentation() {
        assert_eq!(
            sign_payload("It's a Secret to Everybody", b"Hello, World!"),
            "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        );
    }
}
