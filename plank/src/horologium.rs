//! Makes `ProwJob`s of periodics when their time has come.
//!
//! ```text
//! ProwJob watch, configuration, clock ─► table ─► due: now, later, when something changes (pure)
//!                                          └────► create, under a name derived from the slot
//! ```
//!
//! All state is in the `ProwJob`s: a restart knows what ran, and makes up for the last missed
//! time of a schedule, once. What is kept in memory is a few fields of the newest run of each
//! job, and the names of the unfinished ones. It does not run the jobs; plank does.

mod controller;
pub mod due;
mod history;
mod observe;
mod options;
mod table;

use std::{sync::Arc, time::Duration};

use common::{
    config::{Config, LoadMetrics},
    kube::{Clusters, Needs, Right},
    service::{
        Instrumentation, Ready, configure, install_crypto,
        lease::{Candidate, Fence, Lease},
        logging,
    },
};
use tokio_util::sync::CancellationToken;

pub use history::{History, Run};
pub use options::Options;

/// The lease of which one holder makes `ProwJob`s. Prow's horologium has none.
pub const LEASE: &str = "prow-horologium-leader-lock";

const NEEDS: Needs = Needs {
    service: "horologium",
    infra: &[Right::essential(
        "prow.k8s.io",
        "prowjobs",
        &["create", "list", "watch"],
    )],
    build: None,
};

/// What horologium works with.
#[derive(Clone)]
pub struct Context {
    /// Where the `ProwJob`s are.
    pub client: kube::Client,
    pub config: tokio::sync::watch::Receiver<Arc<Config>>,
    /// Set once all `ProwJob`s are listed.
    pub ready: Ready,
    /// Listing that takes longer is an error.
    pub timeout_listing_prowjobs: Duration,
    /// Log what would be made, make nothing.
    pub dry_run: bool,
}

/// Horologium as a process of its own.
pub async fn main(options: Options, shutdown: CancellationToken) -> anyhow::Result<()> {
    logging::init("horologium");
    install_crypto();
    options.leader_election.check()?;
    let mut instrumentation = Instrumentation::default();
    let loads = LoadMetrics::register(&mut instrumentation.registry);
    let (_agent, config) = configure(&options.config, &loads)?;
    let kubernetes = &options.kubernetes;
    let clusters =
        Clusters::follow(kubernetes, &config, NEEDS, &loads, &mut instrumentation).await?;
    let ctx = Context {
        client: clusters.infra().clone(),
        config,
        ready: instrumentation.ready.clone(),
        timeout_listing_prowjobs: options.timeout_listing_prowjobs.to_std(),
        dry_run: options.dry_run,
    };
    instrumentation
        .serve(&options.instrumentation, &shutdown)
        .await?;
    let candidate = Candidate::new(options.leader_election);
    lead(ctx, candidate, shutdown).await
}

/// Runs horologium whenever its lease is held, until `shutdown`. A dry run needs none.
pub async fn lead(
    ctx: Context,
    candidate: Candidate,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    if ctx.dry_run {
        return run(ctx, shutdown).await;
    }
    let namespace = ctx.config.borrow().prow.prowjob_namespace.clone();
    let lease = Lease::new(ctx.client.clone(), &namespace, LEASE, candidate).or_without();
    let work = |fence: Fence| {
        let client = fence.client(&ctx.client);
        let ctx = ctx.clone();
        run(Context { client, ..ctx }, shutdown.clone())
    };
    lease.lead(&ctx.ready, &shutdown, work).await
}

/// Runs horologium until `shutdown`. An error is an API that does not list the `ProwJob`s.
pub async fn run(ctx: Context, shutdown: CancellationToken) -> anyhow::Result<()> {
    tokio::select! {
        // A create that is cut off is made again under the same name.
        () = shutdown.cancelled() => Ok(()),
        outcome = controller::run(ctx) => outcome,
    }
}
