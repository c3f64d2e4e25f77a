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
    service::{
        Instrumentation, Ready, configure, install_crypto,
        lease::{self, Fence, Lease},
        logging,
    },
};
use tokio_util::sync::CancellationToken;

pub use metrics::Metrics;
pub use options::Options;

/// The name under which reports to GitHub are marked on a `ProwJob`.
pub const GITHUB_REPORTER: &str = "github-reporter";

/// The lease of which one holder reports. Prow's crier has none.
pub const LEASE: &str = "prow-crier-leader-lock";

/// What crier works with.
#[derive(Clone)]
pub struct Context {
    /// Where the `ProwJob`s are.
    pub client: kube::Client,
    pub config: tokio::sync::watch::Receiver<Arc<Config>>,
    pub github: github::Client,
    /// Asked before anything is told.
    pub fence: Fence,
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
        fence: Fence::open(),
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
    lead(ctx, lease::identity(), shutdown).await
}

/// Runs crier whenever its lease is held, until `shutdown`. A dry run needs none.
pub async fn lead(
    ctx: Context,
    identity: String,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    if ctx.dry_run {
        return run(ctx, shutdown).await;
    }
    let namespace = ctx.config.borrow().prow.prowjob_namespace.clone();
    let lease = Lease::new(ctx.client.clone(), &namespace, LEASE, identity);
    let work = |fence: Fence| {
        let client = fence.client(&ctx.client);
        let ctx = ctx.clone();
        run(
            Context {
                client,
                fence,
                ..ctx
            },
            shutdown.clone(),
        )
    };
    lease.lead(&ctx.ready, &shutdown, work).await
}

/// Runs crier until `shutdown`.
pub async fn run(ctx: Context, shutdown: CancellationToken) -> anyhow::Result<()> {
    controller::run(ctx, shutdown).await;
    Ok(())
}
