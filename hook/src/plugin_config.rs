//! `plugins.yaml` as hook takes it: read, held against what is built, and kept up to date.

use std::{path::PathBuf, sync::Arc};

use common::config::{
    Agent, Errors, LoadMetrics, Problem,
    agent::Files,
    plugins::{Options, Plugins},
};
use tokio::sync::watch;

use crate::plugins::ALL;

/// Where `plugins.yaml` is looked for when no flag says so. Only there it may be missing.
const DEFAULT: &str = "/etc/plugins/plugins.yaml";

/// What every event is held against: `None` when there is no file.
pub type PluginConfig = watch::Receiver<Arc<Option<Plugins>>>;

/// Reads `plugins.yaml` and follows it for as long as the agent lives. A first reading that
/// fails is final.
pub fn follow(
    options: &Options,
    metrics: &LoadMetrics,
) -> Result<(Agent<Option<Plugins>>, PluginConfig), Errors> {
    let files = [&options.plugin_config].into_iter();
    let folders = options.supplemental_plugin_config_dir.iter();
    let paths: Vec<PathBuf> = files.chain(folders).cloned().collect();
    let options = options.clone();
    Agent::follow(
        "plugins",
        Files::new(paths, move || load(&options)),
        metrics,
    )
}

fn load(options: &Options) -> Result<Option<Plugins>, Errors> {
    if options.plugin_config.as_os_str() == DEFAULT && !options.plugin_config.exists() {
        tracing::info!("there is no {DEFAULT}: every plugin looks at every repository");
        return Ok(None);
    }
    let plugins = Plugins::load(options)?;
    let file = options.plugin_config.display().to_string();
    refuse_unbuilt(&file, &plugins)?;
    for section in plugins.unused_sections() {
        tracing::warn!("plugins.yaml: no plugin here reads the section {section}");
    }
    Ok(Some(plugins))
}

/// What is asked for and not built is an error: nobody should wait for it.
fn refuse_unbuilt(file: &str, plugins: &Plugins) -> Result<(), Errors> {
    let refuse = |message: String| Err(Problem::in_file("not-built", file, message).into());
    for (key, entry) in &plugins.plugins.0 {
        let built = |name: &str| ALL.iter().any(|plugin| plugin.name == name);
        if let Some(name) = entry.plugins.iter().find(|name| !built(name)) {
            return refuse(format!("the plugin {name} (of {key}) is not built yet"));
        }
    }
    if plugins
        .unused_sections()
        .any(|name| name == "external_plugins")
    {
        return refuse("external_plugins are not built yet".into());
    }
    if plugins
        .triggers
        .iter()
        .any(|it| it.trigger_github_workflows)
    {
        return refuse("trigger_github_workflows is not built yet".into());
    }
    Ok(())
}
