//! A proxy that writes down what passes.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{Html, IntoResponse, Response};
use http::header;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A page with a script, to see that the browser runs any.
const CONTROL: &str = "<script>new Image().src = '/beacon?control'</script>";

pub(super) struct Proxy {
    base: String,
    passed: Arc<Passed>,
    serving: JoinHandle<()>,
}

struct Passed {
    to: String,
    http: reqwest::Client,
    seen: Mutex<Vec<(String, u16)>>,
}

impl Proxy {
    pub(super) async fn start(to: &str) -> Self {
        let redirects = reqwest::redirect::Policy::none();
        let passed = Arc::new(Passed {
            to: to.to_owned(),
            http: reqwest::Client::builder()
                .redirect(redirects)
                .build()
                .unwrap(),
            seen: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(pass).with_state(passed.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            base,
            passed,
            serving,
        }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Every path with its query, and the status of its answer.
    pub(super) fn seen(&self) -> Vec<(String, u16)> {
        self.passed.lock().clone()
    }

    pub(super) fn has_seen(&self, beginning: &str) -> bool {
        self.passed
            .lock()
            .iter()
            .any(|(path, _)| path.starts_with(beginning))
    }

    pub(super) fn forget(&self) {
        self.passed.lock().clear();
    }
}

impl Passed {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(String, u16)>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn pass(State(passed): State<Arc<Passed>>, request: Request) -> Response {
    let path = request.uri().path_and_query().unwrap().to_string();
    if path == "/control.html" {
        return Html(CONTROL).into_response();
    }
    let mut headers = request.headers().clone();
    headers.remove(header::ACCEPT_ENCODING);
    let url = format!("{}{path}", passed.to);
    let sent = passed.http.get(url).headers(headers).send().await.unwrap();
    let status = sent.status();
    passed.lock().push((path, status.as_u16()));
    let mut answer = Response::builder().status(status);
    *answer.headers_mut().unwrap() = sent.headers().clone();
    answer
        .headers_mut()
        .unwrap()
        .remove(header::TRANSFER_ENCODING);
    answer
        .body(Body::from_stream(futures::stream::try_unfold(
            sent,
            async |mut sent| {
                Ok::<_, reqwest::Error>(sent.chunk().await?.map(|chunk| (chunk, sent)))
            },
        )))
        .unwrap()
}
