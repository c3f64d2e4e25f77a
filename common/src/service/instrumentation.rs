//! `/metrics` on one port, `/healthz` and `/healthz/ready` on another.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::Context;
use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use prometheus_client::{encoding::text::encode, registry::Registry};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{ServeOptions, flags, serve_http};
use crate::duration::GoDuration;

/// Flags that every service shares, in Prow's spelling.
#[derive(Clone, Debug, clap::Args)]
pub struct InstrumentationOptions {
    #[arg(long, default_value_t = 9090)]
    pub metrics_port: u16,
    #[arg(long, default_value_t = 8081)]
    pub health_port: u16,
    /// Accepted and unused: there is no Go profiler here.
    #[arg(long, default_value_t = 6060, hide = true)]
    pub pprof_port: u16,
    /// Accepted and unused: there is no Go profiler here.
    #[arg(
        long,
        value_parser = flags::parse_bool,
        default_value = "false",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        hide = true
    )]
    pub profile_memory_usage: bool,
    /// Accepted and unused: there is no Go profiler here.
    #[arg(long, default_value = "30s", hide = true)]
    pub memory_profile_interval: GoDuration,
}

/// Whether the service can do its work. It starts as not ready.
#[derive(Clone, Debug, Default)]
pub struct ServiceReadiness(Arc<ReadinessConditions>);

#[derive(Debug, Default)]
struct ReadinessConditions {
    set: AtomicBool,
    /// The infrastructure cluster refuses a permission that the work depends on.
    forbidden: AtomicBool,
}

impl ServiceReadiness {
    /// Sets the service's own part of the readiness.
    pub fn set_ready(&self, ready: bool) {
        self.0.set.store(ready, Ordering::Release);
    }

    /// Sets whether the permissions that the work depends on are granted; they are assumed to be.
    pub fn set_permitted(&self, allowed: bool) {
        self.0.forbidden.store(!allowed, Ordering::Release);
    }

    pub fn is_ready(&self) -> bool {
        self.0.set.load(Ordering::Acquire) && !self.0.forbidden.load(Ordering::Acquire)
    }
}

/// A service's metrics and health.
#[derive(Debug, Default)]
pub struct Instrumentation {
    /// Register metrics here before [`Instrumentation::serve_ports`].
    pub registry: Registry,
    /// The service sets this once it can do its work.
    pub ready: ServiceReadiness,
}

impl Instrumentation {
    /// Binds both ports and serves until `shutdown`, after which `/healthz/ready` answers 503.
    pub async fn serve_ports(
        self,
        options: &InstrumentationOptions,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<()> {
        let metrics = bind_port(options.metrics_port)
            .await
            .context("--metrics-port")?;
        let health = bind_port(options.health_port)
            .await
            .context("--health-port")?;
        let health_router = health_router(self.ready, shutdown.clone());
        // The health port answers probes until the process ends.
        tokio::spawn(serve_http(
            health,
            health_router,
            ServeOptions::default(),
            CancellationToken::new(),
        ));
        tokio::spawn(serve_http(
            metrics,
            metrics_router(Arc::new(self.registry)),
            ServeOptions::default(),
            shutdown.clone(),
        ));
        Ok(())
    }
}

async fn bind_port(port: u16) -> anyhow::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))
        .await
        .with_context(|| format!("cannot listen on port {port}"))
}

/// `/metrics` in the `OpenMetrics` text format, which Prometheus reads.
pub fn metrics_router(registry: Arc<Registry>) -> Router {
    Router::new()
        .route("/metrics", get(render_metrics))
        .with_state(registry)
}

async fn render_metrics(State(registry): State<Arc<Registry>>) -> impl IntoResponse {
    let mut text = String::new();
    match encode(&mut text, &registry) {
        Ok(()) => (
            [(
                header::CONTENT_TYPE,
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
            )],
            text,
        )
            .into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// `/healthz` and `/healthz/ready`.
pub fn health_router(ready: ServiceReadiness, shutdown: CancellationToken) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "OK" }))
        .route(
            "/healthz/ready",
            get(move || {
                let ok = ready.is_ready() && !shutdown.is_cancelled();
                async move {
                    if ok {
                        (StatusCode::OK, "OK")
                    } else {
                        (StatusCode::SERVICE_UNAVAILABLE, "not ready")
                    }
                }
            }),
        )
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::Request};
    use tower::ServiceExt;

    use super::*;

    async fn status(router: &Router, path: &str) -> StatusCode {
        let request = Request::get(path).body(Body::empty()).unwrap();
        router.clone().oneshot(request).await.unwrap().status()
    }

    #[tokio::test]
    async fn ready_only_between_start_and_shutdown() {
        let (ready, shutdown) = (ServiceReadiness::default(), CancellationToken::new());
        let router = health_router(ready.clone(), shutdown.clone());
        assert_eq!(status(&router, "/healthz").await, StatusCode::OK);
        let path = "/healthz/ready";
        assert_eq!(status(&router, path).await, StatusCode::SERVICE_UNAVAILABLE);
        ready.set_ready(true);
        assert_eq!(status(&router, path).await, StatusCode::OK);
        ready.set_permitted(false);
        assert_eq!(status(&router, path).await, StatusCode::SERVICE_UNAVAILABLE);
        ready.set_permitted(true);
        assert_eq!(status(&router, path).await, StatusCode::OK);
        shutdown.cancel();
        assert_eq!(status(&router, path).await, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(status(&router, "/healthz").await, StatusCode::OK);
    }
}
