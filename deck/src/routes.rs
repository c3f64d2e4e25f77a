//! Every path that Deck answers, and what all responses have in common.
//!
//! A request passes, from the outside in: the metrics, [`headers`], [`host`], the panic handler,
//! and its route guard ([`guards`]). The [`route_table`] says which guard and headers a path has.

mod artifact;
mod badge;
mod error;
mod etag;
mod events;
mod guards;
mod headers;
mod host;
mod job_list;
mod job_page;
mod log;
mod log_events;
mod not_implemented;
mod prowjobs;
mod route_table;
mod schema;
mod static_files;
mod storage;
mod unavailable;

use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;

use crate::app::DeckState;
use crate::metrics::RequestLabels;
use guards::RouteGuard;
use headers::RoutePolicies;
pub(crate) use host::AllowedHosts;
pub use route_table::{Route, RouteVisibility, SecurityPolicy, list_routes};

/// Prow's headers for content that changes all the time.
pub(crate) const NO_STORE: [(HeaderName, &str); 2] = [
    (header::CACHE_CONTROL, "no-store, must-revalidate"),
    (header::EXPIRES, "0"),
];

pub(crate) fn build_router(app: Arc<DeckState>, hosts: AllowedHosts) -> Router {
    let routes = route_table::list_routes().fold(Router::new(), |router, route| {
        let mut handler = (route.handler)();
        if route.visibility != RouteVisibility::Everyone {
            let door = RouteGuard {
                app: app.clone(),
                visibility: route.visibility,
                dress: route.dress,
            };
            let door = middleware::from_fn_with_state(door, guards::guard_request);
            // A 405, for a method that the route does not have, passes no guard.
            handler = handler.route_layer(door);
        }
        if route.compressed {
            handler = handler.layer(CompressionLayer::new());
        }
        router.route(route.path, handler)
    });
    let routes = routes.fallback(error::not_found).with_state(app.clone());
    add_layers(routes, &Arc::new(hosts))
        .layer(middleware::from_fn_with_state(app, measure_response))
}

/// Adds the layers around every route, which also surround the fallback.
fn add_layers(routes: Router, hosts: &Arc<AllowedHosts>) -> Router {
    let wardrobe = Arc::new(RoutePolicies::new(hosts.clone()));
    routes
        .layer(CatchPanicLayer::custom(panic_response))
        .layer(middleware::from_fn_with_state(
            hosts.clone(),
            host::check_host,
        ))
        .layer(middleware::from_fn_with_state(
            wardrobe,
            headers::set_security_headers,
        ))
}

/// A method as a metric's label: any word may be a method, and each label is kept for ever.
fn method_label(method: &Method) -> &'static str {
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

/// Measures every response.
async fn measure_response(
    State(app): State<Arc<DeckState>>,
    request: Request,
    next: Next,
) -> Response {
    let start = Instant::now();
    let path = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("unmatched", MatchedPath::as_str)
        .to_owned();
    let method = method_label(request.method()).to_owned();
    let response = next.run(request).await;
    let labels = RequestLabels {
        path,
        method,
        status: response.status().as_u16(),
    };
    app.metrics
        .observe_request(&labels, start.elapsed(), content_length(response.headers()));
    response
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

fn panic_response(_: Box<dyn Any + Send>) -> Response<Body> {
    tracing::error!("a request panicked");
    (
        StatusCode::INTERNAL_SERVER_ERROR,
        "Something went wrong here. It has been logged.\n",
    )
        .into_response()
}

/// Runs work of more than a moment outside the threads that answer everybody.
async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// A response of plain text that no browser takes for anything else.
pub(crate) fn text_response(status: StatusCode, text: impl Into<Body>) -> Response {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}
