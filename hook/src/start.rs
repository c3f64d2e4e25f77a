//! `hook` as a process of its own: from flags to a [`Context`].

use std::{net::Ipv4Addr, sync::Arc};

use anyhow::{Context as _, bail};
use common::{
    config::{self, plugins::Plugins},
    github, kube,
    service::{self, Instrumentation, logging},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    Context, InRepoReader, Inbox, Metrics, Options, SecretFile, Settings, plugins::ALL, run,
};

/// Where `plugins.yaml` is looked for when no flag says so. Only there it may be missing.
const DEFAULT_PLUGINS: &str = "/etc/plugins/plugins.yaml";

/// Runs hook until `shutdown`.
pub async fn main(options: Options, shutdown: CancellationToken) -> anyhow::Result<()> {
    service::install_crypto();
    logging::init("hook");
    options.enablement.validate()?;
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
            enablement: options.enablement,
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
    refuse_unbuilt(&plugins)?;
    for section in plugins.unused_sections() {
        tracing::warn!("plugins.yaml: no plugin here reads the section {section}");
    }
    Ok(Some(Arc::new(plugins)))
}

/// What is asked for and not built is an error: nobody should wait for it.
fn refuse_unbuilt(plugins: &Plugins) -> anyhow::Result<()> {
    for (key, entry) in &plugins.plugins.0 {
        let built = |name: &str| ALL.iter().any(|plugin| plugin.name == name);
        if let Some(name) = entry.plugins.iter().find(|name| !built(name)) {
            bail!("plugins.yaml: the plugin {name} (of {key}) is not built yet");
        }
    }
    if plugins
        .unused_sections()
        .any(|name| name == "external_plugins")
    {
        bail!("plugins.yaml: external_plugins are not built yet");
    }
    if plugins
        .triggers
        .iter()
        .any(|it| it.trigger_github_workflows)
    {
        bail!("plugins.yaml: trigger_github_workflows is not built yet");
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_built_is_refused_by_name() {
        for (yaml, error) in [
            ("plugins: {o: [trigger]}", None),
            (
                "plugins: {o: [trigger, lgtm]}",
                Some("plugins.yaml: the plugin lgtm (of o) is not built yet"),
            ),
            (
                "external_plugins: {o: [{name: x}]}",
                Some("plugins.yaml: external_plugins are not built yet"),
            ),
            (
                "triggers: [{repos: [o], trigger_github_workflows: true}]",
                Some("plugins.yaml: trigger_github_workflows is not built yet"),
            ),
        ] {
            let plugins = Plugins::parse("plugins.yaml", yaml).unwrap();
            let found = refuse_unbuilt(&plugins)
                .err()
                .map(|error| error.to_string());
            assert_eq!(found.as_deref(), error, "{yaml}");
        }
    }

    #[test]
    fn a_host_is_a_host_unless_it_says_how_to_reach_it() {
        assert_eq!(git_base("github.com"), "https://github.com");
        assert_eq!(git_base("http://127.0.0.1:3000"), "http://127.0.0.1:3000");
    }
}
