//! A proxy that records what passes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{Html, IntoResponse, Response};
use http::{StatusCode, header};
use tokio::net::TcpListener;
use tokio::sync::watch;
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
    /// Paths of answers that have not ended.
    open: Mutex<Vec<String>>,
    script: Mutex<Option<Script>>,
    /// Every request gets 503, and open answers end.
    failing: watch::Sender<bool>,
}

/// A script of a test in a page of Deck.
#[derive(Clone)]
struct Script {
    text: String,
    /// The page is not loaded earlier; its picture is taken then.
    lasts: Duration,
}

const SCRIPT: &str = "/static/of-the-test.js";
const END: &str = "/static/end-of-the-test.js";

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
            open: Mutex::default(),
            script: Mutex::default(),
            failing: watch::Sender::new(false),
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

    /// Number of answers to such paths that have not ended.
    pub(super) fn open(&self, beginning: &str) -> usize {
        let open = self.passed.open.lock().unwrap();
        open.iter()
            .filter(|path| path.starts_with(beginning))
            .count()
    }

    /// Breaks off open answers and answers 503, or stops doing so.
    pub(super) fn fail(&self, failing: bool) {
        self.passed.failing.send_replace(failing);
    }

    /// From now on, pages have this script before their own.
    pub(super) fn add_script(&self, text: &str, lasts: Duration) {
        let text = text.to_owned();
        *self.passed.script.lock().unwrap() = Some(Script { text, lasts });
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
    let script = passed.script.lock().unwrap().clone();
    let javascript = [(header::CONTENT_TYPE, "text/javascript")];
    match (path.as_str(), &script) {
        (SCRIPT, Some(script)) => return (javascript, script.text.clone()).into_response(),
        (END, Some(script)) => {
            tokio::time::sleep(script.lasts).await;
            return (javascript, "").into_response();
        }
        _ => {}
    }
    let told = path.starts_with("/beacon");
    if *passed.failing.borrow() && !told {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let mut headers = request.headers().clone();
    headers.remove(header::ACCEPT_ENCODING);
    let url = format!("{}{path}", passed.to);
    let sent = passed.http.get(url).headers(headers).send().await.unwrap();
    let status = sent.status();
    passed.lock().push((path.clone(), status.as_u16()));
    let is_page = sent
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|it| it.to_str().unwrap().starts_with("text/html"));
    let mut answer = Response::builder().status(status);
    *answer.headers_mut().unwrap() = sent.headers().clone();
    answer
        .headers_mut()
        .unwrap()
        .remove(header::TRANSFER_ENCODING);
    if script.is_some() && is_page {
        answer.headers_mut().unwrap().remove(header::CONTENT_LENGTH);
        let own = format!(
            "<script src=\"{SCRIPT}\"></script><script src=\"{END}\" async></script><title>"
        );
        let page = sent.text().await.unwrap();
        return answer
            .body(page.replacen("<title>", &own, 1).into())
            .unwrap();
    }
    let open = Open::new(&passed, path);
    answer
        .body(Body::from_stream(futures::stream::try_unfold(
            (sent, open, passed.failing.subscribe()),
            async |(mut sent, open, mut failing)| {
                let chunk = tokio::select! {
                    chunk = sent.chunk() => chunk?,
                    _ = failing.wait_for(|failing| *failing) => None,
                };
                Ok::<_, reqwest::Error>(chunk.map(|chunk| (chunk, (sent, open, failing))))
            },
        )))
        .unwrap()
}

/// An answer that has not ended.
struct Open(Arc<Passed>, String);

impl Open {
    fn new(passed: &Arc<Passed>, path: String) -> Self {
        passed.open.lock().unwrap().push(path.clone());
        Self(passed.clone(), path)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        let at = open.iter().position(|path| *path == self.1);
        open.swap_remove(at.expect("it was put there"));
    }
}
