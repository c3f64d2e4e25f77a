//! Creates the `ProwJob`s of periodics when they are due.
//!
//! ```text
//! ProwJob watch, configuration, clock ─► table ─► due: now, at a time, or it waits (pure)
//!                                          └────► create, under a name derived from the slot
//! ```
//!
//! All state is in the `ProwJob`s: after a restart horologium knows what ran, and makes up for the
//! last missed slot of a schedule, once. In memory it keeps a few fields of the newest run of each
//! job, and the names of unfinished runs. It does not run the jobs; plank does.

mod controller;
pub mod due;
mod history;
mod options;
mod slim_periodic;
mod table;

use std::{sync::Arc, time::Duration};

use common::{
    config::{Config, LoadMetrics},
    kube::{ClusterClients, ClusterPermission, RequiredPermissions},
    service::{
        Instrumentation, ServiceReadiness, install_crypto,
        lease::{LeaderCandidate, LeaderElector, LeaderFence},
        logging, start_config_agent,
    },
};
use tokio_util::sync::CancellationToken;

pub use history::{PeriodicHistory, PeriodicRun};
pub use options::HorologiumOptions;

/// The name of horologium's lease. Prow's horologium has none.
pub const LEASE: &str = "prow-horologium-leader-lock";

const NEEDS: RequiredPermissions = RequiredPermissions {
    service: "horologium",
    infra: &[ClusterPermission::essential(
        "prow.k8s.io",
        "prowjobs",
        &["create", "list", "watch"],
    )],
    build: None,
};

/// What horologium works with.
#[derive(Clone)]
pub struct HorologiumContext {
    /// Where the `ProwJob`s are.
    pub client: kube::Client,
    pub config: tokio::sync::watch::Receiver<Arc<Config>>,
    /// Set once all `ProwJob`s are listed.
    pub ready: ServiceReadiness,
    /// Listing that takes longer is an error.
    pub timeout_listing_prowjobs: Duration,
    /// Log what would be created, create nothing.
    pub dry_run: bool,
}

/// Runs horologium as a process of its own.
pub async fn main(options: HorologiumOptions, shutdown: CancellationToken) -> anyhow::Result<()> {
    logging::init_logging("horologium");
    install_crypto();
    options.leader_election.validate_flags()?;
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
    let ctx = HorologiumContext {
        client: clusters.infra().clone(),
        config,
        ready: instrumentation.ready.clone(),
        timeout_listing_prowjobs: options.timeout_listing_prowjobs.to_std(),
        dry_run: options.dry_run,
    };
    instrumentation
        .serve_ports(&options.instrumentation, &shutdown)
        .await?;
    let candidate = LeaderCandidate::new(options.leader_election);
    run_as_leader(ctx, candidate, shutdown).await
}

/// Runs horologium whenever its lease is held, until `shutdown`. A dry run takes no lease.
pub async fn run_as_leader(
    ctx: HorologiumContext,
    candidate: LeaderCandidate,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    if ctx.dry_run {
        return run_horologium(ctx, shutdown).await;
    }
    let namespace = ctx.config.borrow().prow.prowjob_namespace.clone();
    let lease =
        LeaderElector::new(ctx.client.clone(), &namespace, LEASE, candidate).or_without_lease();
    let work = |fence: LeaderFence| {
        let client = fence.fenced_client(&ctx.client);
        let ctx = ctx.clone();
        run_horologium(HorologiumContext { client, ..ctx }, shutdown.clone())
    };
    lease.run_while_leading(&ctx.ready, &shutdown, work).await
}

/// Runs horologium until `shutdown`. Fails if the API does not list the `ProwJob`s.
pub async fn run_horologium(
    ctx: HorologiumContext,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    tokio::select! {
        // A create that is cut off is repeated under the same name.
        () = shutdown.cancelled() => Ok(()),
        outcome = controller::run_controller(ctx) => outcome,
    }
}
