//! Reads `plugins.yaml`, compares it with the plugins that exist here, and keeps it up to date.

use std::{path::PathBuf, sync::Arc};

use common::config::{
    ConfigAgent, ConfigErrors, LoadMetrics,
    agent::ReloadableFiles,
    plugins::{KNOWN_PLUGINS, PluginConfiguration, PluginOptions},
};
use tokio::sync::watch;

use crate::plugins::ALL_PLUGINS;

/// The path of `plugins.yaml` without a flag. Only there it may be missing.
const DEFAULT: &str = "/etc/plugins/plugins.yaml";

/// The current `plugins.yaml`; `None` when there is no file.
pub type PluginConfigReceiver = watch::Receiver<Arc<Option<PluginConfiguration>>>;

/// Reads `plugins.yaml` and follows its changes for as long as the agent lives. If the first read
/// fails, it is not tried again.
pub fn follow_plugins(
    options: &PluginOptions,
    metrics: &LoadMetrics,
) -> Result<
    (
        ConfigAgent<Option<PluginConfiguration>>,
        PluginConfigReceiver,
    ),
    ConfigErrors,
> {
    let files = [&options.plugin_config].into_iter();
    let folders = options.supplemental_plugin_config_dir.iter();
    let paths: Vec<PathBuf> = files.chain(folders).cloned().collect();
    let options = options.clone();
    ConfigAgent::watch_source(
        "plugins",
        ReloadableFiles::new(paths, move || load_plugins(&options)),
        metrics,
    )
}

fn load_plugins(options: &PluginOptions) -> Result<Option<PluginConfiguration>, ConfigErrors> {
    if options.plugin_config.as_os_str() == DEFAULT && !options.plugin_config.exists() {
        tracing::info!("there is no {DEFAULT}: every plugin looks at every repository");
        return Ok(None);
    }
    let plugins = PluginConfiguration::load_files(options)?;
    for line in plugin_warnings(&options.plugin_config.display().to_string(), &plugins) {
        tracing::warn!("{line}");
    }
    Ok(Some(plugins))
}

/// What an operator should know about a usable file.
fn plugin_warnings(file: &str, plugins: &PluginConfiguration) -> Vec<String> {
    let told = [
        plugins.unknown_plugins(),
        plugins.unknown_fields(),
        plugins.config_warnings(),
    ];
    let told = told.into_iter().flatten().map(ToString::to_string);
    told.chain(unsupported_plugins(file, plugins)).collect()
}

/// One line with what Prow has and hook has not.
fn unsupported_plugins(file: &str, plugins: &PluginConfiguration) -> Option<String> {
    let built = |name: &str| ALL_PLUGINS.iter().any(|plugin| plugin.name == name);
    let names = plugins.plugin_names().into_iter();
    let names = names.filter(|name| KNOWN_PLUGINS.contains(name) && !built(name));
    let external = plugins.external_plugin_names().into_iter();
    let external = external.map(|name| format!("{name} (external)"));
    let mut all: Vec<_> = names.map(str::to_owned).chain(external).collect();
    let mut triggers = plugins.triggers.iter();
    if triggers.any(|trigger| trigger.trigger_github_workflows) {
        all.push("trigger_github_workflows (of triggers)".to_owned());
    }
    (!all.is_empty()).then(|| format!("{file}: known, not built here: {}", all.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_built_is_told_in_one_line() {
        for (yaml, lines) in [
            ("plugins: {o: {plugins: [trigger]}}", &[][..]),
            (
                "plugins: {o: {plugins: [trigger, wip, lgtm]}, p: {plugins: [lgtm]}}",
                &["p.yaml: known, not built here: lgtm, wip"],
            ),
            (
                "plugins: {o: {plugins: [lgmt]}}",
                &[
                    r#"p.yaml:1:25: plugins.o.plugins[0]: no plugin is called "lgmt"; did you mean "lgtm"?"#,
                ],
            ),
            (
                "plugins: {o: {}}\nexternal_plugins: {o: [{name: x}]}\ntriggers: [{repos: [o], trigger_github_workflows: true}]",
                &[
                    "p.yaml: known, not built here: x (external), trigger_github_workflows (of triggers)",
                ],
            ),
        ] {
            let plugins = PluginConfiguration::parse_file("p.yaml", yaml).unwrap();
            assert_eq!(plugin_warnings("p.yaml", &plugins), lines, "{yaml}");
        }
    }
}
