#![doc = include_str!("../README.md")]

mod controller;
pub mod crier;
pub mod decorate;
mod fleet;
pub mod horologium;
pub mod identity;
pub mod index;
pub mod job_url;
mod leftovers;
mod metrics;
mod options;
pub mod patch;
pub mod pod_view;
mod pods;
mod reconcile;
mod scheduler;
mod tot;
pub mod transition;
mod watch;
mod work;
mod writer;

use std::sync::Arc;

use anyhow::Context as _;
use common::{
    config::{Config, LoadMetrics},
    kube::{Clusters, Needs, Right},
    service::{
        Instrumentation, Ready, configure, install_crypto,
        lease::{Candidate, Fence, Lease},
        logging,
    },
    storage::token::keys::KeyFile,
    template::Template,
};
use tokio_util::sync::CancellationToken;

pub use metrics::Metrics;
pub use options::Options;
pub use transition::Controllers;

/// The lease of which one holder works, under Prow's name.
pub const LEASE: &str = "prow-controller-manager-leader-lock";

/// Prow asks for the same verbs of pods.
const NEEDS: Needs = Needs {
    service: "prow-controller-manager",
    infra: &[Right::essential(
        "prow.k8s.io",
        "prowjobs",
        &["get", "list", "watch", "patch"],
    )],
    build: Some(&[
        Right::essential(
            "",
            "pods",
            &["create", "delete", "list", "watch", "get", "patch"],
        ),
        Right::only_for("word of a missing Secret or ConfigMap", "events", &["list"]),
        Right::only_for(
            "storing of results in Deck's storage",
            "secrets",
            &["create"],
        ),
    ]),
};

/// What plank works with.
#[derive(Clone)]
pub struct Context {
    /// Build clusters may come and go; the infrastructure cluster stays.
    pub clusters: Clusters,
    /// Keeps every client from writing once it is closed.
    pub fence: Fence,
    pub config: tokio::sync::watch::Receiver<Arc<Config>>,
    pub metrics: Metrics,
    /// Set once all `ProwJob`s are listed.
    pub ready: Ready,
    /// Where build ids come from instead of from here.
    pub tot: Option<tot::Tot>,
    /// The key shared with Deck, for jobs whose results go to Deck's storage.
    pub storage_key: Option<KeyFile>,
    /// Beside `created-by-prow=true`, for pods alone; empty for none.
    pub label_selector: String,
    /// Which states are moved on.
    pub controllers: Controllers,
    /// Decide and log, change nothing.
    pub dry_run: bool,
}

/// Plank as a process of its own.
pub async fn main(options: Options, shutdown: CancellationToken) -> anyhow::Result<()> {
    logging::init("prow-controller-manager");
    install_crypto();
    options.leader_election.check()?;
    let controllers = options.controllers()?;
    let (tot, storage_key) = (options.tot()?, options.storage_key());
    let mut instrumentation = Instrumentation::default();
    let loads = LoadMetrics::register(&mut instrumentation.registry);
    let (_agent, config) = configure(&options.config, &loads)?;
    let kubernetes = &options.kubernetes;
    let clusters =
        Clusters::follow(kubernetes, &config, NEEDS, &loads, &mut instrumentation).await?;
    let ctx = Context {
        clusters,
        fence: Fence::open(),
        config,
        metrics: Metrics::new(&mut instrumentation.registry),
        ready: instrumentation.ready.clone(),
        tot,
        storage_key,
        label_selector: options.label_selector.clone(),
        controllers,
        dry_run: options.dry_run,
    };
    instrumentation
        .serve(&options.instrumentation, &shutdown)
        .await?;
    let candidate = Candidate::new(options.leader_election);
    lead(ctx, candidate, shutdown).await
}

/// Runs plank whenever its lease is held, until `shutdown`. A dry run needs none.
pub async fn lead(
    ctx: Context,
    candidate: Candidate,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    if ctx.dry_run {
        return run(ctx, shutdown).await;
    }
    let namespace = ctx.config.borrow().prow.prowjob_namespace.clone();
    let infra = ctx.clusters.infra().clone();
    let lease = Lease::new(infra, &namespace, LEASE, candidate);
    let work = |fence: Fence| {
        let ctx = ctx.clone();
        run(Context { fence, ..ctx }, shutdown.clone())
    };
    lease.lead(&ctx.ready, &shutdown, work).await
}

/// Runs plank until `shutdown`. An error is a configuration that cannot be honoured.
pub async fn run(ctx: Context, shutdown: CancellationToken) -> anyhow::Result<()> {
    {
        let config = ctx.config.borrow();
        let plank = &config.prow.plank;
        Template::for_jobs(&plank.job_url_template)
            .context("config.yaml: plank.job_url_template")?;
        if !plank.build_cluster_status_file.is_empty() {
            tracing::warn!("plank.build_cluster_status_file is not built yet: nothing is written");
        }
    }
    controller::run(ctx, shutdown).await;
    Ok(())
}
