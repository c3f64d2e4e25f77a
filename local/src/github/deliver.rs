//! Sends webhooks: signed, one after the other for each repository, each once.
//!
//! A receiver that is down, slow or unhappy makes a failed delivery, on record and never tried again
//! by itself: that is GitHub's way, and what redelivery is for.

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
    Context,
    store::{Answered, App, DeliveryRow, NewDelivery},
};

/// GitHub waits this long for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Sent at a time, over all repositories.
const AT_ONCE: usize = 16;
/// Kept of an answer.
const LONGEST_ANSWER: usize = 64 * 1024;

/// Repositories with something to send; `None` is for what belongs to none.
type Lane = Option<i64>;

pub(crate) struct Deliverer {
    client: reqwest::Client,
    busy: Mutex<HashSet<Lane>>,
    permits: Semaphore,
    unanswered: watch::Sender<usize>,
    shutdown: CancellationToken,
}

impl Deliverer {
    pub(crate) fn new(shutdown: CancellationToken) -> anyhow::Result<Deliverer> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .build()?;
        Ok(Deliverer {
            client,
            busy: Mutex::default(),
            permits: Semaphore::new(AT_ONCE),
            unanswered: watch::Sender::new(0),
            shutdown,
        })
    }

    /// Returns when nothing waits for an answer, or the stand-in stops.
    pub(crate) async fn settled(&self) {
        let mut unanswered = self.unanswered.subscribe();
        tokio::select! {
            _ = unanswered.wait_for(|count| *count == 0) => {}
            () = self.shutdown.cancelled() => {}
        }
    }
}

/// Puts a delivery at the end of its lane.
pub(crate) async fn enqueue(context: &Context, new: &NewDelivery<'_>) -> sqlx::Result<i64> {
    let id = context.store.add_delivery(new).await?;
    context
        .deliverer
        .unanswered
        .send_modify(|count| *count += 1);
    wake(context, new.repo);
    Ok(id)
}

/// Takes up what an earlier process left unsent.
pub(crate) async fn resume(context: &Context) -> sqlx::Result<()> {
    let lanes = context.store.waiting_lanes().await?;
    context
        .deliverer
        .unanswered
        .send_modify(|count| *count += lanes.len());
    for lane in lanes {
        wake(context, lane);
    }
    Ok(())
}

fn wake(context: &Context, lane: Lane) {
    let mut busy = context.deliverer.busy.lock().expect("no holder panics");
    if busy.insert(lane) {
        let context = context.clone();
        tokio::spawn(async move {
            let shutdown = context.deliverer.shutdown.clone();
            tokio::select! {
                () = drive(&context, lane) => {}
                () = shutdown.cancelled() => {}
            }
        });
    }
}

/// Empties a lane, and leaves it to the next [`wake`].
async fn drive(context: &Context, lane: Lane) {
    loop {
        match next(context, lane).await {
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

/// Sends the oldest one; false when there is none.
async fn next(context: &Context, lane: Lane) -> anyhow::Result<bool> {
    let deliverer = &context.deliverer;
    let row = match context.store.next_delivery(lane).await? {
        Some(row) => row,
        None => {
            // What comes in after the question finds the lane free; what came before is asked for again.
            deliverer
                .busy
                .lock()
                .expect("no holder panics")
                .remove(&lane);
            if context.store.next_delivery(lane).await?.is_some() {
                wake(context, lane);
            }
            return Ok(false);
        }
    };
    let permit = deliverer.permits.acquire().await?;
    let answer = match context.store.app(row.app).await? {
        Some(app) => send(context, &app, &row).await?,
        None => Answered {
            status: "the App is gone".to_owned(),
            ..Answered::default()
        },
    };
    drop(permit);
    context.store.answer_delivery(row.id, &answer).await?;
    deliverer.unanswered.send_modify(|count| *count -= 1);
    Ok(true)
}

async fn send(context: &Context, app: &App, row: &DeliveryRow) -> anyhow::Result<Answered> {
    let headers = headers(app, row)?;
    let started = Instant::now();
    let request = context
        .deliverer
        .client
        .post(&app.webhook_url)
        .headers(headers.clone())
        .body(row.payload.clone())
        .send();
    let mut answer = Answered {
        request_headers: to_json(&headers).to_string(),
        ..Answered::default()
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
            answer.response_headers = to_json(response.headers()).to_string();
            answer.response = read(response).await;
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

async fn read(mut response: reqwest::Response) -> String {
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

fn headers(app: &App, row: &DeliveryRow) -> anyhow::Result<HeaderMap> {
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
            signature(&app.secret, row.payload.as_bytes()),
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
fn signature(secret: &str, body: &[u8]) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

fn to_json(headers: &HeaderMap) -> Value {
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
            signature("It's a Secret to Everybody", b"Hello, World!"),
            "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        );
    }
}
