#![doc = include_str!("../README.md")]

mod apply;
mod fleet;
mod metrics;
pub mod observe;
pub mod plan;
mod run;

use std::sync::Arc;

use anyhow::Context as _;
use common::{
    config::{self, Config, LoadMetrics},
    kube::{self as clusters, Clusters, Needs, Right},
    service::{
        Instrumentation, InstrumentationOptions, Ready, configure, flags, install_crypto,
        lease::{self, Candidate, Lease},
        logging,
    },
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use metrics::Metrics;
pub use run::run;

/// The flags of sinker, as Prow spells them.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Look once, delete, and end.
    #[arg(
        long,
        value_parser = flags::boolean,
        default_value = "false",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub run_once: bool,
    /// Only say what would be deleted.
    #[arg(
        long,
        value_parser = flags::boolean,
        default_value = "true",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub dry_run: bool,
    #[command(flatten)]
    pub config: config::Options,
    #[command(flatten)]
    pub kube: clusters::Options,
    #[command(flatten)]
    pub leader_election: lease::Timing,
    #[command(flatten)]
    pub instrumentation: InstrumentationOptions,
}

/// The lease of which one holder deletes, under Prow's name.
pub const LEASE: &str = "prow-sinker-leaderlock";

/// Prow leaves a cluster out where it may not `patch` pods, too.
const NEEDS: Needs = Needs {
    service: "sinker",
    infra: &[Right::essential(
        "prow.k8s.io",
        "prowjobs",
        &["get", "list", "watch", "delete"],
    )],
    build: Some(&[
        Right::essential("", "pods", &["delete", "list", "watch", "get"]),
        Right::only_for("release of pods that a reporter holds", "pods", &["patch"]),
    ]),
};

/// What sinker works with.
#[derive(Clone)]
pub struct Context {
    pub clusters: Clusters,
    pub config: watch::Receiver<Arc<Config>>,
    pub metrics: Metrics,
    /// Set once all `ProwJob`s were listed: a build cluster may be away.
    pub ready: Ready,
    /// Nothing is deleted, only said.
    pub dry_run: bool,
    /// [`run`] returns after the first look.
    pub run_once: bool,
}

/// A process of its own.
pub async fn main(options: Options, shutdown: CancellationToken) -> anyhow::Result<()> {
    install_crypto();
    logging::init("sinker");
    options.leader_election.check()?;
    let mut instrumentation = Instrumentation::default();
    let loads = LoadMetrics::register(&mut instrumentation.registry);
    let (_agent, config) =
        configure(&options.config, &loads).context("loading the configuration")?;
    let clusters =
        Clusters::follow(&options.kube, &config, NEEDS, &loads, &mut instrumentation).await?;
    let context = Context {
        clusters,
        config,
        metrics: Metrics::register(&mut instrumentation.registry),
        ready: instrumentation.ready.clone(),
        dry_run: options.dry_run,
        run_once: options.run_once,
    };
    instrumentation
        .serve(&options.instrumentation, &shutdown)
        .await?;
    let candidate = Candidate::new(options.leader_election);
    lead(context, candidate, shutdown).await
}

/// Runs sinker whenever its lease is held, until `shutdown`. A dry run needs none.
pub async fn lead(
    context: Context,
    candidate: Candidate,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    if context.dry_run {
        tracing::warn!("dry run: nothing is deleted, only named; --dry-run=false deletes");
        return run(context, shutdown).await;
    }
    let namespace = context.config.borrow().prow.prowjob_namespace.clone();
    let infra = context.clusters.infra().clone();
    let lease = Lease::new(infra, &namespace, LEASE, candidate);
    let work = |fence: lease::Fence| {
        let clusters = context.clusters.fenced(&fence);
        let context = context.clone();
        run(
            Context {
                clusters,
                ..context
            },
            shutdown.clone(),
        )
    };
    lease.lead(&context.ready, &shutdown, work).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deletes_only_when_told_that_this_is_no_dry_run() {
        let read = |line: &str| -> Options {
            let args = line.split_whitespace().map(Into::into);
            flags::parse("sinker", args).unwrap()
        };
        assert!(read("--config-path=c").dry_run);
        let options = read("-config-path c --job-config-path=j --dry-run=false -run-once");
        assert!(!options.dry_run && options.run_once);
        assert_eq!(options.instrumentation.metrics_port, 9090);
    }
}
