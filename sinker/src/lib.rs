#![doc = include_str!("../README.md")]

mod apply;
mod metrics;
pub mod observe;
pub mod plan;
mod run;

use std::sync::Arc;

use anyhow::Context as _;
use common::{
    config::{self, Config, LoadMetrics},
    kube::{self as clusters, Clusters},
    service::{
        Instrumentation, InstrumentationOptions, Ready, configure, flags, install_crypto, logging,
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
    pub instrumentation: InstrumentationOptions,
}

/// What sinker works with.
pub struct Context {
    pub clusters: Clusters,
    pub config: watch::Receiver<Arc<Config>>,
    pub metrics: Metrics,
    /// Set once everything was listed.
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
    let mut instrumentation = Instrumentation::default();
    let loads = LoadMetrics::register(&mut instrumentation.registry);
    let (_agent, config) =
        configure(&options.config, &loads).context("loading the configuration")?;
    let clusters = Clusters::load(&options.kube).await?;
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
    run(context, shutdown).await
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
