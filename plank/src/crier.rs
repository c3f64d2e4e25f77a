//! Tells GitHub how jobs are doing: one commit status for each state of a job.
//!
//! ```text
//! ProwJob watch ─► report::due ─► commit status ─► prev_report_states of the ProwJob
//! ```
//!
//! The mark on the object says which state was told last, so nothing is lost or told twice
//! across restarts. Reports of one job never overtake each other.

mod controller;
mod metrics;
mod options;
pub mod report;

use std::sync::Arc;

use common::{
    config::{Config, LoadMetrics},
    github,
    kube::Clusters,
    service::{Instrumentation, Ready, configure, install_crypto, logging},
};
use tokio_util::sync::CancellationToken;

pub use metrics::Metrics;
pub use options::Options;

/// The name under which reports to GitHub are marked on a `ProwJob`.
pub const GITHUB_REPORTER: &str = "github-reporter";

/// What crier works with.
pub struct Context {
    /// Where the `ProwJob`s are.
    pub client: kube::Client,
    pub config: tokio::sync::watch::Receiver<Arc<Config>>,
    pub github: github::Client,
    pub metrics: Metrics,
    /// Set once all `ProwJob`s are listed.
    pub ready: Ready,
    /// Jobs reported on at once.
    pub github_workers: u16,
    /// Only jobs with this agent are reported; empty for all.
    pub report_agent: String,
    pub enablement: github::Enablement,
    /// Log what would be told, tell nothing, mark nothing.
    pub dry_run: bool,
}

/// Crier as a process of its own.
pub async fn main(options: Options, shutdown: CancellationToken) -> anyhow::Result<()> {
    logging::init("crier");
    install_crypto();
    options.check()?;
    let mut instrumentation = Instrumentation::default();
    let loads = LoadMetrics::register(&mut instrumentation.registry);
    let (_agent, config) = configure(&options.config, &loads)?;
    let clusters = Clusters::load(&options.kubernetes).await?;
    let ctx = Context {
        client: clusters.infra,
        config,
        github: github::Client::new(&options.github, "crier")?,
        metrics: Metrics::new(&mut instrumentation.registry),
        ready: instrumentation.ready.clone(),
        github_workers: options.github_workers,
        report_agent: options.report_agent.clone(),
        enablement: options.enablement.clone(),
        dry_run: options.dry_run,
    };
    instrumentation
        .serve(&options.instrumentation, &shutdown)
        .await?;
    run(ctx, shutdown).await
}

/// Runs crier until `shutdown`.
pub async fn run(ctx: Context, shutdown: CancellationToken) -> anyhow::Result<()> {
    controller::run(ctx, shutdown).await;
    Ok(())
}
