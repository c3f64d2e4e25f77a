//! What all services have in common: flags in Go's spelling, JSON logs, metrics, health, leases,
//! graceful shutdown. No service's own work is here.

mod configuration;
pub mod flags;
mod instrumentation;
pub mod lease;
pub mod logging;
mod serve;
mod write_timeout;

use tokio_util::sync::CancellationToken;

pub use configuration::start_config_agent;
pub use instrumentation::{
    Instrumentation, InstrumentationOptions, ServiceReadiness, health_router, metrics_router,
};
pub use serve::{ServeOptions, serve_http};

/// Installs the crypto provider of the process. Every process calls it first, and so do tests that
/// use TLS; a second call changes nothing.
pub fn install_crypto() {
    // An error means that a provider is already installed, which is fine.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// A token that SIGINT or SIGTERM cancels. A second signal ends the process at once.
pub fn shutdown_signal() -> CancellationToken {
    let token = CancellationToken::new();
    let cancelled = token.clone();
    tokio::spawn(async move {
        let name = await_signal().await;
        tracing::info!(signal = name, "shutting down");
        cancelled.cancel();
        await_signal().await;
        std::process::exit(130);
    });
    token
}

async fn await_signal() -> &'static str {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).expect("SIGTERM can be handled");
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        result = tokio::signal::ctrl_c() => {
            result.expect("SIGINT can be handled");
            "SIGINT"
        }
    }
}
