//! A reverse proxy on loopback between a replica and the API, which injects the faults.

use std::{
    io,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use kube::{Client, client::Body};
use serde_json::json;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    watching,
    weather::{Fault, Kind, Weather},
};

/// The context of a cluster that never answers.
pub(crate) const AWAY: &str = "away";

pub(crate) type AnswerBody = UnsyncBoxBody<Bytes, io::Error>;

pub(crate) struct Proxy {
    url: String,
    inner: Arc<Inner>,
    _stop: DropGuard,
}

struct Inner {
    /// The API, with its credentials.
    api: Client,
    weather: Mutex<Weather>,
    /// While set, nothing passes and nothing ends, in either direction.
    cut: watch::Sender<bool>,
    /// Counts up when all running watches are to fall silent.
    silences: watch::Sender<u64>,
    requests: AtomicU64,
    /// The requests that [`Proxy::recent`] has reported.
    counted: AtomicU64,
    faults: AtomicU64,
}

impl Proxy {
    pub(crate) async fn start(api: Client, weather: Weather) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let inner = Arc::new(Inner {
            api,
            weather: Mutex::new(weather),
            cut: watch::Sender::new(false),
            silences: watch::Sender::new(0),
            requests: AtomicU64::new(0),
            counted: AtomicU64::new(0),
            faults: AtomicU64::new(0),
        });
        let stop = CancellationToken::new();
        let accept = accept(listener, Arc::clone(&inner), stop.clone());
        tokio::spawn(stop.clone().run_until_cancelled_owned(accept));
        Self {
            url,
            inner,
            _stop: stop.drop_guard(),
        }
    }

    /// Writes a kubeconfig whose contexts all lead to this proxy, except [`AWAY`].
    pub(crate) fn write_kubeconfig(&self, path: &Path, contexts: &[&str]) {
        let entries: Vec<_> = contexts
            .iter()
            .map(|name| {
                let cluster = if *name == AWAY { "nowhere" } else { "proxy" };
                json!({"name": name, "context": {"cluster": cluster, "user": "none"}})
            })
            .collect();
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": contexts[0],
            "clusters": [
                {"name": "proxy", "cluster": {"server": self.url}},
                {"name": "nowhere", "cluster": {"server": "http://127.0.0.1:1"}},
            ],
            "users": [{"name": "none", "user": {}}],
            "contexts": entries,
        });
        std::fs::write(path, config.to_string()).unwrap();
    }

    /// Cuts the connection to the API, or restores it. Requests that are under way wait.
    pub(crate) fn cut(&self, cut: bool) {
        self.inner.cut.send_replace(cut);
    }

    /// All running watches stay open and send nothing more.
    pub(crate) fn silence_watches(&self) {
        self.inner.silences.send_modify(|count| *count += 1);
    }

    /// Requests since the last call.
    pub(crate) fn recent(&self) -> u64 {
        let requests = self.inner.requests.load(Ordering::Relaxed);
        requests - self.inner.counted.swap(requests, Ordering::Relaxed)
    }

    pub(crate) fn told(&self) -> String {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (requests, faults) = (count(&self.inner.requests), count(&self.inner.faults));
        format!("{requests} requests, {faults} with a fault")
    }
}

async fn accept(listener: TcpListener, inner: Arc<Inner>, stop: CancellationToken) {
    while let Ok((stream, _)) = listener.accept().await {
        let inner = Arc::clone(&inner);
        let answer = service_fn(move |request| {
            let inner = Arc::clone(&inner);
            async move { inner.answer(request).await }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(stream), answer);
        // It ends with an error after a fault, or when a plank was killed.
        tokio::spawn(stop.clone().run_until_cancelled_owned(async {
            let _ = connection.await;
        }));
    }
}

impl Inner {
    /// An error breaks the connection.
    async fn answer(&self, request: Request<Incoming>) -> io::Result<Response<AnswerBody>> {
        let kind = Kind::of(request.method(), request.uri());
        let fault = self.weather.lock().unwrap().next(kind);
        self.requests.fetch_add(1, Ordering::Relaxed);
        if fault != Fault::None {
            self.faults.fetch_add(1, Ordering::Relaxed);
        }
        self.way_is_open().await;
        match fault {
            Fault::LoseRequest => return Err(lost()),
            Fault::Refuse(code) => return Ok(refusal(code)),
            Fault::Stall(time) => tokio::time::sleep(time).await,
            _ => {}
        }
        let answer = self.forward(request).await?;
        self.way_is_open().await;
        match fault {
            Fault::LoseAnswer => return Err(lost()),
            Fault::Delay(time) => tokio::time::sleep(time).await,
            _ => {}
        }
        let (mut head, body) = answer.into_parts();
        // They belong to the connection to the API.
        head.headers.remove(header::TRANSFER_ENCODING);
        head.headers.remove(header::CONNECTION);
        let body = if kind == Kind::Watch && head.status.is_success() {
            watching::body(body, fault, self.cut.subscribe(), self.silences.subscribe())
        } else {
            body.map_err(io::Error::other).boxed_unsync()
        };
        Ok(Response::from_parts(head, body))
    }

    async fn way_is_open(&self) {
        let mut cut = self.cut.subscribe();
        cut.wait_for(|cut| !cut)
            .await
            .expect("the sender lives as long as `self`");
    }

    async fn forward(&self, request: Request<Incoming>) -> io::Result<Response<Body>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let mut forwarded = Request::builder()
            .method(head.method)
            .uri(head.uri)
            .body(Body::from(body.to_vec()))
            .expect("the parts are valid");
        for name in [header::ACCEPT, header::CONTENT_TYPE, header::USER_AGENT] {
            if let Some(value) = head.headers.get(&name) {
                forwarded.headers_mut().insert(name, value.clone());
            }
        }
        self.api.send(forwarded).await.map_err(io::Error::other)
    }
}

fn lost() -> io::Error {
    io::Error::from(io::ErrorKind::ConnectionReset)
}

/// An answer in the API's own form.
fn refusal(code: u16) -> Response<AnswerBody> {
    let reason = match code {
        409 => "Conflict",
        410 => "Expired",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        _ => "InternalError",
    };
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "code": code, "reason": reason, "message": "the weather is bad",
    });
    let mut answer = Response::builder().status(code);
    if code == 429 {
        answer = answer.header(header::RETRY_AFTER, "1");
    }
    let body = Full::new(Bytes::from(status.to_string()));
    answer
        .header(header::CONTENT_TYPE, "application/json")
        .body(body.map_err(|never| match never {}).boxed_unsync())
        .expect("the parts are valid")
}
