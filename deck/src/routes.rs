//! Every path Deck answers, and what all answers have in common.

mod artifact;
mod badge;
mod error;
mod events;
mod job;
mod later;
mod list;
mod live;
mod log;
mod prowjobs;
mod schema;
mod statics;
mod storage;

use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;

use crate::app::App;
use crate::metrics::Labels;

/// Pages load nothing but their own files, and nobody puts them into a frame.
const PAGE_POLICY: &str = "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self'; frame-ancestors 'none'";

/// Prow's headers for what changes all the time.
pub(crate) const NO_STORE: [(HeaderName, &str); 2] = [
    (header::CACHE_CONTROL, "no-store, must-revalidate"),
    (header::EXPIRES, "0"),
];

pub(crate) fn router(app: Arc<App>) -> Router {
    // Answers that end: these are compressed. Streams must leave as they come, and what is in
    // storage may be asked for in parts.
    let pages = Router::new()
        .route("/", get(list::page))
        .route("/view/{*path}", get(job::page))
        .route("/prowjobs.js", get(prowjobs::all))
        .route("/prowjob", get(prowjobs::one))
        .route("/badge.svg", get(badge::svg))
        .route("/static/{name}", get(statics::file))
        .route("/favicon.ico", get(statics::favicon))
        .route("/schema/prow-jobs.json", get(schema::prow_jobs))
        .route("/schema/jobs.json", get(schema::jobs))
        .layer(CompressionLayer::new());
    let streams = Router::new()
        .route("/events", get(events::stream))
        .route("/log", get(log::plain))
        .route("/log/events", get(live::stream))
        .route("/artifact/{*path}", get(artifact::object))
        .route("/storage/{*key}", get(storage::get).put(storage::put));
    let later = later::PATHS
        .into_iter()
        .fold(Router::new(), |router, path| {
            router.route(path, any(later::answer))
        });
    pages
        .merge(streams)
        .merge(later)
        .fallback(error::not_found)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(app.clone(), common_headers))
        .with_state(app)
}

/// A method as a metric's label: any word is a method, and each label is kept for ever.
fn known(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "PUT" => "PUT",
        "POST" => "POST",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// Security headers that a route has not set itself; and the measuring of every answer.
async fn common_headers(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let path = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("unmatched", MatchedPath::as_str)
        .to_owned();
    let method = known(request.method()).to_owned();
    let mut response = next.run(request).await;
    let labels = Labels {
        path,
        method,
        status: response.status().as_u16(),
    };
    app.metrics
        .observe(&labels, start.elapsed(), length(response.headers()));
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, PAGE_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ] {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    response
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

fn panicked(_: Box<dyn Any + Send>) -> Response<Body> {
    tracing::error!("a request panicked");
    (
        StatusCode::INTERNAL_SERVER_ERROR,
        "Something went wrong here. It has been logged.\n",
    )
        .into_response()
}

/// Plain text that no browser takes for anything else.
pub(crate) fn text(status: StatusCode, text: impl Into<Body>) -> Response {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}
