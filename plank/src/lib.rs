#![doc = include_str!("../README.md")]

mod build_clusters;
mod controller;
pub mod crier;
pub mod decorate;
pub mod horologium;
pub mod job_index;
pub mod job_url;
mod leftover_pods;
mod metrics;
mod options;
pub mod patch;
pub mod pod_view;
mod pods;
mod reconcile;
mod scheduler;
pub mod supersede_key;
mod tot;
pub mod transition;
mod watch;
mod workqueue;
mod writer;

use std::sync::Arc;

use anyhow::Context as _;
use common::{
    config::{Config, LoadMetrics},
    kube::{ClusterClients, ClusterPermission, RequiredPermissions},
    service::{
        Instrumentation, ServiceReadiness, install_crypto,
        lease::{LeaderCandidate, LeaderElector, LeaderFence},
        logging, start_config_agent,
    },
    storage::token::keys::StorageKeyFile,
    template::GoTemplate,
};
use tokio_util::sync::CancellationToken;

pub use metrics::PlankMetrics;
pub use options::PlankOptions;
pub use transition::EnabledControllers;

/// The name of plank's lease, Prow's own.
pub const LEASE: &str = "prow-controller-manager-leader-lock";

/// Prow needs the same verbs on pods.
const NEEDS: RequiredPermissions = RequiredPermissions {
    service: "prow-controller-manager",
    infra: &[ClusterPermission::essential(
        "prow.k8s.io",
        "prowjobs",
        &["get", "list", "watch", "patch"],
    )],
    build: Some(&[
        ClusterPermission::essential(
            "",
            "pods",
            &["create", "delete", "list", "watch", "get", "patch"],
        ),
        ClusterPermission::only_for("word of a missing Secret or ConfigMap", "events", &["list"]),
        ClusterPermission::only_for(
            "storing of results in Deck's storage",
            "secrets",
            &["create"],
        ),
    ]),
};

/// What plank works with.
#[derive(Clone)]
pub struct PlankContext {
    /// Build clusters may come and go; the infrastructure cluster stays.
    pub clusters: ClusterClients,
    /// Keeps every client from writing once it is closed.
    pub fence: LeaderFence,
    pub config: tokio::sync::watch::Receiver<Arc<Config>>,
    pub metrics: PlankMetrics,
    /// Set once all `ProwJob`s are listed.
    pub ready: ServiceReadiness,
    /// Where build ids come from; without it plank makes them itself.
    pub tot: Option<tot::TotClient>,
    /// The key shared with Deck, for jobs whose results go to Deck's storage.
    pub storage_key: Option<StorageKeyFile>,
    /// Selects pods in addition to `created-by-prow=true`; empty for none.
    pub label_selector: String,
    /// Which controllers run.
    pub controllers: EnabledControllers,
    /// Decide and log, change nothing.
    pub dry_run: bool,
}

/// Runs plank as a process of its own.
pub async fn main(options: PlankOptions, shutdown: CancellationToken) -> anyhow::Result<()> {
    logging::init_logging("prow-controller-manager");
    install_crypto();
    options.leader_election.validate_flags()?;
    let controllers = options.parse_controllers()?;
    let (tot, storage_key) = (options.build_tot_client()?, options.storage_key());
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
    let ctx = PlankContext {
        clusters,
        fence: LeaderFence::new_open(),
        config,
        metrics: PlankMetrics::new(&mut instrumentation.registry),
        ready: instrumentation.ready.clone(),
        tot,
        storage_key,
        label_selector: options.label_selector.clone(),
        controllers,
        dry_run: options.dry_run,
    };
    instrumentation
        .serve_ports(&options.instrumentation, &shutdown)
        .await?;
    let candidate = LeaderCandidate::new(options.leader_election);
    run_as_leader(ctx, candidate, shutdown).await
}

/// Runs plank whenever its lease is held, until `shutdown`. A dry run takes no lease.
pub async fn run_as_leader(
    ctx: PlankContext,
    candidate: LeaderCandidate,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    if ctx.dry_run {
        return run_plank(ctx, shutdown).await;
    }
    let namespace = ctx.config.borrow().prow.prowjob_namespace.clone();
    let infra = ctx.clusters.infra().clone();
    let lease = LeaderElector::new(infra, &namespace, LEASE, candidate);
    let work = |fence: LeaderFence| {
        let ctx = ctx.clone();
        run_plank(PlankContext { fence, ..ctx }, shutdown.clone())
    };
    lease.run_while_leading(&ctx.ready, &shutdown, work).await
}

/// Runs plank until `shutdown`. Fails if the configuration cannot be honoured.
pub async fn run_plank(ctx: PlankContext, shutdown: CancellationToken) -> anyhow::Result<()> {
    {
        let config = ctx.config.borrow();
        let plank = &config.prow.plank;
        GoTemplate::parse_for_jobs(&plank.job_url_template)
            .context("config.yaml: plank.job_url_template")?;
        if !plank.build_cluster_status_file.is_empty() {
            tracing::warn!("plank.build_cluster_status_file is not built yet: nothing is written");
        }
    }
    controller::run_controller(ctx, shutdown).await;
    Ok(())
}
