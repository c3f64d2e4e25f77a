//! `plugins.yaml` as hook takes it: read, held against what is built, and kept up to date.

use std::{path::PathBuf, sync::Arc};

use common::config::{
    Agent, Errors, LoadMetrics,
    agent::Files,
    plugins::{KNOWN, Options, Plugins},
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
    for line in remarks(&options.plugin_config.display().to_string(), &plugins) {
        tracing::warn!("{line}");
    }
    Ok(Some(plugins))
}

/// What an operator should know of a file that holds.
fn remarks(file: &str, plugins: &Plugins) -> Vec<String> {
    let told = [
        plugins.unknown_plugins(),
        plugins.unknown_fields(),
        plugins.remarks(),
    ];
    let told = told.into_iter().flatten().map(ToString::to_string);
    told.chain(not_built(file, plugins)).collect()
}

/// What Prow does and hook does not, in one line.
fn not_built(file: &str, plugins: &Plugins) -> Option<String> {
    let built = |name: &str| ALL.iter().any(|plugin| plugin.name == name);
    let names = plugins.names().into_iter();
    let names = names.filter(|name| KNOWN.contains(name) && !built(name));
    let external = plugins.external_names().into_iter();
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
            let plugins = Plugins::parse("p.yaml", yaml).unwrap();
            assert_eq!(remarks("p.yaml", &plugins), lines, "{yaml}");
        }
    }
}
