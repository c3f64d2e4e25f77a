//! `hook` as a process of its own: makes a [`HookContext`] from flags.

use std::{net::Ipv4Addr, sync::Arc};

use anyhow::Context as _;
use common::{
    config::LoadMetrics,
    github, kube,
    service::{self, Instrumentation, logging},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    HmacSecretFile, HookContext, HookMetrics, HookOptions, HookSettings, InRepoReader, Inbox,
    plugin_config, run_hook,
};

/// `patch` is not among them: Prow's role for hook has `update` instead. hook accepts deliveries
/// without these permissions, so it is ready without them.
const NEEDS: kube::RequiredPermissions = kube::RequiredPermissions {
    service: "hook",
    infra: &[kube::ClusterPermission {
        group: "prow.k8s.io",
        resource: "prowjobs",
        verbs: &["create", "get", "list"],
        only_for: Some("work on deliveries"),
    }],
    build: None,
};

/// Runs hook until `shutdown`.
pub async fn main(options: HookOptions, shutdown: CancellationToken) -> anyhow::Result<()> {
    service::install_crypto();
    logging::init_logging("hook");
    options.enablement.validate_flags()?;
    let mut instrumentation = Instrumentation::default();
    let loads = LoadMetrics::register_metrics(&mut instrumentation.registry);
    let (_agent, config) = service::start_config_agent(&options.config, &loads)?;
    let (_plugin_agent, plugins) = plugin_config::follow_plugins(&options.plugins, &loads)?;
    let github = github::GithubClient::new(&options.github, "hook")?;
    let clusters = kube::ClusterClients::discover_and_watch(
        &options.kube,
        &config,
        NEEDS,
        &loads,
        &mut instrumentation,
    )
    .await?;
    let context = HookContext {
        in_repo: InRepoReader::new(github.clone(), options.in_repo())?,
        secrets: Arc::new(HmacSecretFile::open(&options.hmac_secret_file)?),
        cluster: clusters.infra().clone(),
        inbox: Inbox::open(Some(&options.database)).await?,
        metrics: HookMetrics::new(&mut instrumentation.registry),
        ready: instrumentation.ready.clone(),
        settings: HookSettings {
            webhook_path: options.webhook_path,
            dry_run: options.dry_run,
            grace_period: options.grace_period.to_std(),
            enablement: options.enablement,
            config_status_context: options
                .config_status_context
                .filter(|name| !name.is_empty()),
            ..HookSettings::default()
        },
        config,
        plugins,
        github,
    };
    if context.settings.dry_run {
        tracing::warn!("dry run: nothing is changed; start with --dry-run=false to have it done");
    }
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, options.port))
        .await
        .with_context(|| format!("--port {}", options.port))?;
    let address = listener.local_addr()?;
    let path = &context.settings.webhook_path;
    tracing::info!(%address, path, "webhooks are taken");
    instrumentation
        .serve_ports(&options.instrumentation, &shutdown)
        .await?;
    run_hook(context, listener, shutdown).await
}
