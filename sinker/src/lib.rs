#![doc = include_str!("../README.md")]

mod apply;
mod build_clusters;
mod metrics;
pub mod observe;
pub mod plan;
mod run;

use std::sync::Arc;

use anyhow::Context as _;
use common::{
    config::{self, Config, LoadMetrics},
    kube::{self as clusters, ClusterClients, ClusterPermission, RequiredPermissions},
    service::{
        Instrumentation, InstrumentationOptions, ServiceReadiness, flags, install_crypto,
        lease::{self, LeaderCandidate, LeaderElector},
        logging, start_config_agent,
    },
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use metrics::SinkerMetrics;
pub use run::run_sinker;

/// The flags of sinker, in Prow's spelling.
#[derive(Clone, Debug, clap::Args)]
pub struct SinkerOptions {
    /// Clean up once and exit.
    #[arg(
        long,
        value_parser = flags::parse_bool,
        default_value = "false",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub run_once: bool,
    /// Only log what would be deleted.
    #[arg(
        long,
        value_parser = flags::parse_bool,
        default_value = "true",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub dry_run: bool,
    #[command(flatten)]
    pub config: config::ConfigOptions,
    #[command(flatten)]
    pub kube: clusters::KubernetesOptions,
    #[command(flatten)]
    pub leader_election: lease::LeaderElectionOptions,
    #[command(flatten)]
    pub instrumentation: InstrumentationOptions,
}

/// The lease whose holder deletes, under Prow's name.
pub const LEASE: &str = "prow-sinker-leaderlock";

/// Prow also omits a cluster that does not grant `patch` on pods.
const NEEDS: RequiredPermissions = RequiredPermissions {
    service: "sinker",
    infra: &[ClusterPermission::essential(
        "prow.k8s.io",
        "prowjobs",
        &["get", "list", "watch", "delete"],
    )],
    build: Some(&[
        ClusterPermission::essential("", "pods", &["delete", "list", "watch", "get"]),
        ClusterPermission::only_for("release of pods that a reporter holds", "pods", &["patch"]),
    ]),
};

/// The state that sinker works with.
#[derive(Clone)]
pub struct SinkerContext {
    pub clusters: ClusterClients,
    pub config: watch::Receiver<Arc<Config>>,
    pub metrics: SinkerMetrics,
    /// Set once all `ProwJob`s are listed, even if a build cluster is unavailable.
    pub ready: ServiceReadiness,
    /// Nothing is deleted; deletions are only logged.
    pub dry_run: bool,
    /// [`run_sinker`] returns after the first cleanup.
    pub run_once: bool,
}

/// Runs sinker as a separate process.
pub async fn main(options: SinkerOptions, shutdown: CancellationToken) -> anyhow::Result<()> {
    install_crypto();
    logging::init_logging("sinker");
    options.leader_election.validate_flags()?;
    let mut instrumentation = Instrumentation::default();
    let loads = LoadMetrics::register_metrics(&mut instrumentation.registry);
    let (_agent, config) =
        start_config_agent(&options.config, &loads).context("loading the configuration")?;
    let clusters = ClusterClients::discover_and_watch(
        &options.kube,
        &config,
        NEEDS,
        &loads,
        &mut instrumentation,
    )
    .await?;
    let context = SinkerContext {
        clusters,
        config,
        metrics: SinkerMetrics::register(&mut instrumentation.registry),
        ready: instrumentation.ready.clone(),
        dry_run: options.dry_run,
        run_once: options.run_once,
    };
    instrumentation
        .serve_ports(&options.instrumentation, &shutdown)
        .await?;
    let candidate = LeaderCandidate::new(options.leader_election);
    run_as_leader(context, candidate, shutdown).await
}

/// Runs sinker whenever its lease is held, until `shutdown`. A dry run needs no lease.
pub async fn run_as_leader(
    context: SinkerContext,
    candidate: LeaderCandidate,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    if context.dry_run {
        tracing::warn!("dry run: nothing is deleted, only named; --dry-run=false deletes");
        return run_sinker(context, shutdown).await;
    }
    let namespace = context.config.borrow().prow.prowjob_namespace.clone();
    let infra = context.clusters.infra().clone();
    let lease = LeaderElector::new(infra, &namespace, LEASE, candidate);
    let work = |fence: lease::LeaderFence| {
        let clusters = context.clusters.with_fence(&fence);
        let context = context.clone();
        run_sinker(
            SinkerContext {
                clusters,
                ..context
            },
            shutdown.clone(),
        )
    };
    lease
        .run_while_leading(&context.ready, &shutdown, work)
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deletes_only_when_told_that_this_is_no_dry_run() {
        let read = |line: &str| -> SinkerOptions {
            let args = line.split_whitespace().map(Into::into);
            flags::parse_flags("sinker", args).unwrap()
        };
        assert!(read("--config-path=c").dry_run);
        let options = read("-config-path c --job-config-path=j --dry-run=false -run-once");
        assert!(!options.dry_run && options.run_once);
        assert_eq!(options.instrumentation.metrics_port, 9090);
    }
}
