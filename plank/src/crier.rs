//! Reports the states of jobs: each state once, by each reporter.
//!
//! ```text
//! ProwJob watch ─► controller ─► report_worker ─┬─► github   commit status, comment
//!                                  (one job)    ├─► checks   check run
//!                                               ├─► slack    message
//!                                               ├─► gcs      prowjob, started, finished.json
//!                                               ├─► gcsk8s   podinfo.json, the pod's finalizer
//!                                               └─► prev_report_states, one write for all
//! ```
//!
//! `prev_report_states` on the object says which state was reported last, so nothing is lost or
//! reported twice across restarts. Reports of one job by one reporter never overtake each other.

pub mod checks;
pub mod comment;
mod controller;
mod deleted_job;
mod destination;
pub mod digest;
mod gcs;
mod gcsk8s;
mod github;
mod metrics;
mod options;
mod pull_queue;
mod quote;
mod report_details;
mod report_slot;
mod report_worker;
mod reporter;
mod run_files;
mod slack;
mod state_change;
pub mod status_report;
mod worker_pool;

use std::{sync::Arc, time::Duration};

use common::{
    config::{Config, LoadMetrics},
    github::{GithubClient, GithubEnablementOptions},
    kube::{ClusterClients, ClusterPermission, RequiredPermissions},
    service::{
        Instrumentation, ServiceReadiness, flags, install_crypto,
        lease::{LeaderCandidate, LeaderElector, LeaderFence},
        logging, start_config_agent,
    },
};
use tokio_util::sync::CancellationToken;

pub use destination::BucketOpener;
pub use metrics::CrierMetrics;
pub use options::CrierOptions;
pub use slack::{SLACK_API, SlackClient};

use reporter::{Reporter, SendLimiter};

/// The key of reports to GitHub in a job's `prev_report_states`.
pub const GITHUB_REPORTER: &str = "github-reporter";

/// The name of crier's lease. Prow's crier has none.
pub const LEASE: &str = "prow-crier-leader-lock";

const NEEDS: RequiredPermissions = RequiredPermissions {
    service: "crier",
    infra: &[ClusterPermission::essential(
        "prow.k8s.io",
        "prowjobs",
        &["get", "list", "watch", "patch"],
    )],
    build: Some(&[
        ClusterPermission::only_for("podinfo.json", "pods", &["get", "patch"]),
        ClusterPermission::only_for("events in podinfo.json", "events", &["list"]),
    ]),
};

/// What crier works with.
#[derive(Clone)]
pub struct CrierContext {
    /// Where the `ProwJob`s are, and where their pods.
    pub clusters: ClusterClients,
    pub config: tokio::sync::watch::Receiver<Arc<Config>>,
    pub github: GithubClient,
    pub slack: SlackClient,
    pub buckets: Arc<BucketOpener>,
    pub metrics: CrierMetrics,
    /// Set once all `ProwJob`s are listed.
    pub ready: ServiceReadiness,
    /// Checked before anything is sent or written.
    pub fence: LeaderFence,
    pub settings: CrierSettings,
}

/// Which reports are sent, and for which jobs.
#[derive(Clone, Debug)]
pub struct CrierSettings {
    /// Reports to GitHub that are sent at once; 0 for none.
    pub github_workers: u16,
    /// Messages to Slack that are sent at once; 0 for none.
    pub slack_workers: u16,
    /// Jobs whose files are stored at once; 0 for none.
    pub blob_storage_workers: u16,
    /// Jobs whose `podinfo.json` is stored at once; 0 for none.
    pub kubernetes_blob_storage_workers: u16,
    /// The share of jobs with a `podinfo.json`, from 0 to 1.
    pub kubernetes_report_fraction: f64,
    /// Only jobs with this agent are reported to GitHub; empty for all.
    pub report_agent: String,
    pub enablement: GithubEnablementOptions,
    /// Log what would be reported; report and write nothing.
    pub dry_run: bool,
}

/// No job is reported.
impl Default for CrierSettings {
    fn default() -> Self {
        Self {
            github_workers: 0,
            slack_workers: 0,
            blob_storage_workers: 0,
            kubernetes_blob_storage_workers: 0,
            kubernetes_report_fraction: 1.0,
            report_agent: String::new(),
            enablement: GithubEnablementOptions::default(),
            dry_run: false,
        }
    }
}

impl CrierContext {
    fn new_limiter(&self, count: u16, patience: Duration) -> SendLimiter {
        SendLimiter::new(count, patience, self.fence.clone())
    }
}

/// The reporters that have workers.
fn enabled_reporters(ctx: &Arc<CrierContext>) -> Vec<Box<dyn Reporter>> {
    let mut all: Vec<Box<dyn Reporter>> = Vec::new();
    if ctx.settings.github_workers > 0 {
        all.push(Box::new(github::GithubJobReporter::new(ctx)));
        all.push(Box::new(checks::CheckRunReporter::new(ctx)));
    }
    if ctx.settings.slack_workers > 0 {
        all.push(Box::new(slack::SlackJobReporter::new(ctx)));
    }
    if ctx.settings.blob_storage_workers > 0 {
        all.push(Box::new(gcs::GcsReporter::new(ctx)));
    }
    if ctx.settings.kubernetes_blob_storage_workers > 0 {
        all.push(Box::new(gcsk8s::GcsK8sReporter::new(ctx)));
    }
    all
}

/// Runs crier as a process of its own.
pub async fn main(options: CrierOptions, shutdown: CancellationToken) -> anyhow::Result<()> {
    logging::init_logging("crier");
    install_crypto();
    options.leader_election.validate_flags()?;
    options.validate_flags()?;
    flags::warn_unimplemented_flags(options.unbuilt_flags());
    let mut instrumentation = Instrumentation::default();
    let loads = LoadMetrics::register_metrics(&mut instrumentation.registry);
    let (_agent, config) = start_config_agent(&options.config, &loads)?;
    let kubernetes = &options.kubernetes;
    let clusters = ClusterClients::discover_and_watch(
        kubernetes,
        &config,
        NEEDS,
        &loads,
        &mut instrumentation,
    )
    .await?;
    let ctx = CrierContext {
        clusters,
        config,
        github: GithubClient::new(&options.github, "crier")?,
        slack: SlackClient::new(SLACK_API, options.slack_token_files()?)?,
        buckets: Arc::new(options.bucket_opener()),
        metrics: CrierMetrics::new(&mut instrumentation.registry),
        ready: instrumentation.ready.clone(),
        fence: LeaderFence::new_open(),
        settings: options.to_settings(),
    };
    instrumentation
        .serve_ports(&options.instrumentation, &shutdown)
        .await?;
    let candidate = LeaderCandidate::new(options.leader_election);
    run_as_leader(ctx, candidate, shutdown).await
}

/// Runs crier whenever its lease is held, until `shutdown`. A dry run takes no lease.
pub async fn run_as_leader(
    ctx: CrierContext,
    candidate: LeaderCandidate,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    if ctx.settings.dry_run {
        return run_crier(ctx, shutdown).await;
    }
    let namespace = ctx.config.borrow().prow.prowjob_namespace.clone();
    let infra = ctx.clusters.infra().clone();
    let lease = LeaderElector::new(infra, &namespace, LEASE, candidate).or_without_lease();
    let work = |fence: LeaderFence| {
        let clusters = ctx.clusters.with_fence(&fence);
        let ctx = ctx.clone();
        run_crier(
            CrierContext {
                clusters,
                fence,
                ..ctx
            },
            shutdown.clone(),
        )
    };
    lease.run_while_leading(&ctx.ready, &shutdown, work).await
}

/// Runs crier until `shutdown`.
pub async fn run_crier(ctx: CrierContext, shutdown: CancellationToken) -> anyhow::Result<()> {
    let ctx = Arc::new(ctx);
    let reporters = enabled_reporters(&ctx);
    controller::run_controller(ctx, reporters, shutdown).await;
    Ok(())
}
