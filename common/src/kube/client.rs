//! A client that gives up on an API that does not answer.
//!
//! Kube's own client waits for a response as long as the connection lasts. Here each try and each
//! chunk of a body has a time limit, and a silent watch ends, so that its caller starts it again.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures::future::BoxFuture;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, header::RETRY_AFTER};
use http_body::{Frame, SizeHint};
use hyper_util::{client::legacy, rt::TokioExecutor};
use kube::{
    Client, Config,
    client::{Body, ConfigExt, retry::RetryPolicy},
};
use tokio::time::{Instant, Sleep};
use tower::{
    BoxError, Service, ServiceBuilder,
    layer::layer_fn,
    retry::{Policy, RetryLayer},
};

use super::KubernetesTimeouts;

/// How often a request is sent again, see [`may_retry`]; `Retry-After` is honoured. After that the
/// caller decides, because it knows what it was doing.
const RETRIES: u32 = 5;
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LONGEST_RETRY: Duration = Duration::from_secs(5);

/// A client for `config`.
pub(super) fn build_client(config: Config, timeouts: KubernetesTimeouts) -> kube::Result<Client> {
    if config.proxy_url.is_some() {
        // The error says which feature is not built in.
        return Client::try_from(config);
    }
    let retry = RetryPolicy::new(FIRST_RETRY, LONGEST_RETRY, RETRIES, true)
        .expect("the first wait is not longer than the longest");
    let transport: legacy::Client<_, Body> =
        legacy::Client::builder(TokioExecutor::new()).build(config.rustls_https_connector()?);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .layer(RetryLayer::new(KubeRetryPolicy(retry)))
        .layer(layer_fn(move |inner| KubeTimeoutService {
            inner,
            timeouts,
        }))
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(transport);
    Ok(Client::new(service, config.default_namespace))
}

/// Repeats the requests that [`may_retry`] allows.
#[derive(Clone)]
struct KubeRetryPolicy(RetryPolicy);

impl<B> Policy<Request<Body>, Response<B>, BoxError> for KubeRetryPolicy {
    type Future = Sleep;

    fn retry(
        &mut self,
        request: &mut Request<Body>,
        answer: &mut Result<Response<B>, BoxError>,
    ) -> Option<Sleep> {
        let answered = answer.as_ref().ok()?;
        if !may_retry(request.method(), answered.status(), answered.headers()) {
            return None;
        }
        self.0.retry(request, answer)
    }

    fn clone_request(&mut self, request: &Request<Body>) -> Option<Request<Body>> {
        Policy::<_, Response<B>, BoxError>::clone_request(&mut self.0, request)
    }
}

/// 429 means that nothing was done, and so does a 503 of an API that sends `Retry-After`. 504, and
/// a 503 of some proxy, leave that open: a read is repeated; a change is left to the caller, who
/// first finds out whether it was made.
fn may_retry(method: &Method, status: StatusCode, headers: &HeaderMap) -> bool {
    let reads = matches!(*method, Method::GET | Method::HEAD);
    match status {
        StatusCode::TOO_MANY_REQUESTS => true,
        StatusCode::SERVICE_UNAVAILABLE => reads || headers.contains_key(RETRY_AFTER),
        StatusCode::GATEWAY_TIMEOUT => reads,
        _ => false,
    }
}

/// A request failed, or a body ended, because nothing came for this long.
#[derive(Debug, thiserror::Error)]
#[error("the API was silent for {0:?}")]
struct SilentApiError(Duration);

#[derive(Clone)]
struct KubeTimeoutService<S> {
    inner: S,
    timeouts: KubernetesTimeouts,
}

impl<S, B> Service<Request<Body>> for KubeTimeoutService<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = BoxError>,
    S::Future: Send + 'static,
    B: Send + 'static,
{
    type Response = Response<KubeTimeoutBody<B>>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let first = self.timeouts.response_timeout();
        let next = self.timeouts.body_frame_timeout(request.uri());
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = match first {
                Some(limit) => tokio::time::timeout(limit, answer)
                    .await
                    .map_err(|_| SilentApiError(limit))??,
                None => answer.await?,
            };
            Ok(answer.map(|body| KubeTimeoutBody::new(body, next)))
        })
    }
}

impl KubernetesTimeouts {
    fn response_timeout(self) -> Option<Duration> {
        nonzero_timeout(self.request.to_std())
    }

    /// The limit for each chunk of a body. A followed log may be silent as long as it likes.
    fn body_frame_timeout(self, uri: &Uri) -> Option<Duration> {
        let watches = |query: &str| {
            query
                .split('&')
                .any(|pair| matches!(pair, "watch=true" | "watch=1"))
        };
        if uri.query().is_some_and(watches) {
            nonzero_timeout(self.watch.to_std())
        } else if uri.path().ends_with("/log") {
            None
        } else {
            nonzero_timeout(self.request.to_std())
        }
    }
}

fn nonzero_timeout(time: Duration) -> Option<Duration> {
    Some(time).filter(|time| !time.is_zero())
}

/// A body that fails if its chunks come too slowly.
struct KubeTimeoutBody<B> {
    body: Pin<Box<B>>,
    silence: Option<(Duration, Pin<Box<Sleep>>)>,
}

impl<B> KubeTimeoutBody<B> {
    fn new(body: B, limit: Option<Duration>) -> Self {
        Self {
            body: Box::pin(body),
            silence: limit.map(|limit| (limit, Box::pin(tokio::time::sleep(limit)))),
        }
    }
}

impl<B> http_body::Body for KubeTimeoutBody<B>
where
    B: http_body::Body,
    B::Error: Into<BoxError>,
{
    type Data = B::Data;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, BoxError>>> {
        if let Poll::Ready(frame) = self.body.as_mut().poll_frame(cx) {
            if let Some((limit, sleep)) = &mut self.silence {
                sleep.as_mut().reset(Instant::now() + *limit);
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let Some((limit, sleep)) = &mut self.silence else {
            return Poll::Pending;
        };
        ready!(sleep.as_mut().poll(cx));
        Poll::Ready(Some(Err(SilentApiError(*limit).into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests;
