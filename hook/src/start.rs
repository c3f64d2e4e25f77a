//! `hook` as a process of its own: from flags to a [`Context`].

use std::{net::Ipv4Addr, sync::Arc};

use anyhow::Context as _;
use common::{
    config::{self, plugins::Plugins},
    github, kube,
    service::{self, Instrumentation, logging},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{Context, InRepoReader, Inbox, Metrics, Options, SecretFile, Settings, run};

/// Where `plugins.yaml` is looked for when no flag says so. Only there it may be missing.
const DEFAULT_PLUGINS: &str = "/etc/plugins/plugins.yaml";

/// Runs hook until `shutdown`.
pub async fn main(options: Options, shutdown: CancellationToken) -> anyhow::Result<()> {
    service::install_crypto();
    logging::init("hook");
    options.repositories.validate()?;
    let (_agent, config) = config::Agent::start(&options.config)?;
    let plugins = load_plugins(&options.plugins)?;
    let github = github::Client::new(&options.github, "hook")?;
    let mut instrumentation = Instrumentation::default();
    let context = Context {
        in_repo: InRepoReader::new(
            github.clone(),
            &git_base(&options.github.github_host),
            options.config.cache_dir_base.clone(),
            options.config.in_repo_config_cache_size,
        )?,
        secrets: Arc::new(SecretFile::open(&options.hmac_secret_file)?),
        cluster: kube::Clusters::load(&options.kube).await?.infra,
        inbox: Inbox::open(Some(&options.database)).await?,
        metrics: Metrics::new(&mut instrumentation.registry),
        ready: instrumentation.ready.clone(),
        settings: Settings {
            webhook_path: options.webhook_path,
            dry_run: options.dry_run,
            grace_period: options.grace_period.to_std(),
            repositories: options.repositories,
            ..Settings::default()
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
    instrumentation
        .serve(&options.instrumentation, &shutdown)
        .await?;
    run(context, listener, shutdown).await
}

fn load_plugins(options: &config::plugins::Options) -> anyhow::Result<Option<Arc<Plugins>>> {
    if options.plugin_config.as_os_str() == DEFAULT_PLUGINS && !options.plugin_config.exists() {
        tracing::info!("there is no {DEFAULT_PLUGINS}: every plugin looks at every repository");
        return Ok(None);
    }
    let plugins = Plugins::load(options)?;
    for section in plugins.unused_sections() {
        tracing::warn!("plugins.yaml: no plugin here reads the section {section}");
    }
    Ok(Some(Arc::new(plugins)))
}

/// `--github-host` is a host in Prow; with a scheme it is the whole base, for a GitHub without
/// TLS.
fn git_base(host: &str) -> String {
    if host.contains("://") {
        host.to_owned()
    } else {
        format!("https://{host}")
    }
}
