//! A receiver of webhooks that checks each against GitHub's schema.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{body::Bytes, extract::State, http::HeaderMap};
use serde_json::Value;

use super::{
    schema,
    world::{SECRET, listener},
};

/// Receives webhooks as an App does: checks their signature, and their payload against GitHub's
/// schema.
#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) url: String,
    state: Arc<Mutex<Received>>,
}

#[derive(Default)]
struct Received {
    calls: Vec<(HeaderMap, Value)>,
    complaints: Vec<String>,
    delay: Duration,
}

impl Receiver {
    pub(crate) async fn start() -> Receiver {
        let listener = listener().await;
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(Received::default()));
        let router = axum::Router::new()
            .route("/hook", axum::routing::post(receive))
            .with_state(Arc::clone(&state));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Receiver { url, state }
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        assert!(
            state.complaints.is_empty(),
            "{}",
            state.complaints.join("\n")
        );
        let name = |(headers, payload): &(HeaderMap, Value)| {
            let event = headers["x-github-event"].to_str().unwrap();
            payload["action"]
                .as_str()
                .map_or(event.to_owned(), |action| format!("{event}.{action}"))
        };
        state.calls.iter().map(name).collect()
    }

    /// The payloads of the webhooks with this name.
    pub(crate) fn payloads(&self, wanted: &str) -> Vec<Value> {
        let names = self.names();
        let state = self.state.lock().unwrap();
        let pairs = names.iter().zip(&state.calls);
        pairs
            .filter(|(name, _)| *name == wanted)
            .map(|(_, call)| call.1.clone())
            .collect()
    }

    pub(crate) fn headers(&self) -> Vec<HeaderMap> {
        self.state
            .lock()
            .unwrap()
            .calls
            .iter()
            .map(|(headers, _)| headers.clone())
            .collect()
    }

    pub(crate) fn forget(&self) {
        self.names();
        self.state.lock().unwrap().calls.clear();
    }

    pub(crate) fn set_delay(&self, delay: Duration) {
        self.state.lock().unwrap().delay = delay;
    }
}

async fn receive(State(state): State<Arc<Mutex<Received>>>, headers: HeaderMap, body: Bytes) {
    use hmac::{KeyInit as _, Mac as _};
    let delay = state.lock().unwrap().delay;
    tokio::time::sleep(delay).await;
    let payload: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(&body);
    let expected = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
    let event = headers["x-github-event"].to_str().unwrap().to_owned();
    let mut state = state.lock().unwrap();
    if headers["x-hub-signature-256"] != expected.as_str() {
        state.complaints.push(format!("{event}: wrong signature"));
    }
    state
        .complaints
        .extend(schema::webhook_complaints(&event, &payload));
    state.calls.push((headers, payload));
}
