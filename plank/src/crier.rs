//! Tells the world how jobs are doing: once for each state of a job, by each reporter.
//!
//! ```text
//! ProwJob watch ─► controller ─► courier ─┬─► github   commit status, comment
//!                               (one job) ├─► checks   check run
//!                                         ├─► slack    message
//!                                         ├─► gcs      prowjob.json, started.json, finished.json
//!                                         ├─► gcsk8s   podinfo.json, the pod's finalizer
//!                                         └─► one mark of all in prev_report_states
//! ```
//!
//! The marks on the object say which state was told last, so nothing is lost or told twice
//! across restarts. Reports of one job by one reporter never overtake each other.

pub mod checks;
pub mod comment;
mod controller;
mod courier;
mod destination;
pub mod digest;
mod files;
mod gcs;
mod gcsk8s;
mod github;
mod metrics;
mod news;
mod obituary;
mod options;
mod prepare;
mod pull_queue;
mod quote;
pub mod report;
mod reporter;
mod seats;
mod slack;
mod slot;

use std::{sync::Arc, time::Duration};

use common::{
    config::{Config, LoadMetrics},
    github::{Client, Enablement},
    kube::{Clusters, Needs, Right},
    service::{
        Instrumentation, Ready, configure, flags, install_crypto,
        lease::{Candidate, Fence, Lease},
        logging,
    },
};
use tokio_util::sync::CancellationToken;

pub use destination::Buckets;
pub use metrics::Metrics;
pub use options::Options;
pub use slack::{SLACK_API, Slack};

use reporter::{Reporter, Workers};

/// The name under which reports to GitHub are marked on a `ProwJob`.
pub const GITHUB_REPORTER: &str = "github-reporter";

/// The lease of which one holder reports. Prow's crier has none.
pub const LEASE: &str = "prow-crier-leader-lock";

const NEEDS: Needs = Needs {
    service: "crier",
    infra: &[Right::essential(
        "prow.k8s.io",
        "prowjobs",
        &["get", "list", "watch", "patch"],
    )],
    build: Some(&[
        Right::only_for("podinfo.json", "pods", &["get", "patch"]),
        Right::only_for("events in podinfo.json", "events", &["list"]),
    ]),
};

/// What crier works with.
#[derive(Clone)]
pub struct Context {
    /// Where the `ProwJob`s are, and where their pods.
    pub clusters: Clusters,
    pub config: tokio::sync::watch::Receiver<Arc<Config>>,
    pub github: Client,
    pub slack: Slack,
    pub buckets: Arc<Buckets>,
    pub metrics: Metrics,
    /// Set once all `ProwJob`s are listed.
    pub ready: Ready,
    /// Asked before anything is sent or marked.
    pub fence: Fence,
    pub settings: Settings,
}

/// What is told, and of which jobs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Reports to GitHub at once; 0 for none.
    pub github_workers: u16,
    /// Messages to Slack at once; 0 for none.
    pub slack_workers: u16,
    /// Jobs at once whose files are stored; 0 for none.
    pub blob_storage_workers: u16,
    /// Jobs at once whose `podinfo.json` is stored; 0 for none.
    pub kubernetes_blob_storage_workers: u16,
    /// Of which share of jobs, from 0 to 1.
    pub kubernetes_report_fraction: f64,
    /// Only jobs with this agent are reported to GitHub; empty for all.
    pub report_agent: String,
    pub enablement: Enablement,
    /// Log what would be told, tell nothing, mark nothing.
    pub dry_run: bool,
}

/// Nothing is told of any job.
impl Default for Settings {
    fn default() -> Self {
        Self {
            github_workers: 0,
            slack_workers: 0,
            blob_storage_workers: 0,
            kubernetes_blob_storage_workers: 0,
            kubernetes_report_fraction: 1.0,
            report_agent: String::new(),
            enablement: Enablement::default(),
            dry_run: false,
        }
    }
}

impl Context {
    fn workers(&self, count: u16, patience: Duration) -> Workers {
        Workers::new(count, patience, self.fence.clone())
    }
}

/// The reporters that have workers.
fn reporters(ctx: &Arc<Context>) -> Vec<Box<dyn Reporter>> {
    let mut all: Vec<Box<dyn Reporter>> = Vec::new();
    if ctx.settings.github_workers > 0 {
        all.push(Box::new(github::GithubReporter::new(ctx)));
        all.push(Box::new(checks::CheckReporter::new(ctx)));
    }
    if ctx.settings.slack_workers > 0 {
        all.push(Box::new(slack::SlackReporter::new(ctx)));
    }
    if ctx.settings.blob_storage_workers > 0 {
        all.push(Box::new(gcs::GcsReporter::new(ctx)));
    }
    if ctx.settings.kubernetes_blob_storage_workers > 0 {
        all.push(Box::new(gcsk8s::GcsK8sReporter::new(ctx)));
    }
    all
}

/// Crier as a process of its own.
pub async fn main(options: Options, shutdown: CancellationToken) -> anyhow::Result<()> {
    logging::init("crier");
    install_crypto();
    options.leader_election.check()?;
    options.check()?;
    flags::warn_unbuilt(options.unbuilt());
    let mut instrumentation = Instrumentation::default();
    let loads = LoadMetrics::register(&mut instrumentation.registry);
    let (_agent, config) = configure(&options.config, &loads)?;
    let kubernetes = &options.kubernetes;
    let clusters =
        Clusters::follow(kubernetes, &config, NEEDS, &loads, &mut instrumentation).await?;
    let ctx = Context {
        clusters,
        config,
        github: Client::new(&options.github, "crier")?,
        slack: Slack::new(SLACK_API, options.slack_token_files()?)?,
        buckets: Arc::new(options.buckets()),
        metrics: Metrics::new(&mut instrumentation.registry),
        ready: instrumentation.ready.clone(),
        fence: Fence::open(),
        settings: options.settings(),
    };
    instrumentation
        .serve(&options.instrumentation, &shutdown)
        .await?;
    let candidate = Candidate::new(options.leader_election);
    lead(ctx, candidate, shutdown).await
}

/// Runs crier whenever its lease is held, until `shutdown`. A dry run needs none.
pub async fn lead(
    ctx: Context,
    candidate: Candidate,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    if ctx.settings.dry_run {
        return run(ctx, shutdown).await;
    }
    let namespace = ctx.config.borrow().prow.prowjob_namespace.clone();
    let infra = ctx.clusters.infra().clone();
    let lease = Lease::new(infra, &namespace, LEASE, candidate).or_without();
    let work = |fence: Fence| {
        let clusters = ctx.clusters.fenced(&fence);
        let ctx = ctx.clone();
        run(
            Context {
                clusters,
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
    let ctx = Arc::new(ctx);
    let reporters = reporters(&ctx);
    controller::run(ctx, reporters, shutdown).await;
    Ok(())
}
