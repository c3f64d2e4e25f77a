//! `plugins.yaml`: which plugins look at which repository, and the settings of those built here.
//!
//! Sections of plugins that are not built yet are kept by name, see [`Plugins::unused_sections`].

mod enablement;
mod trigger;

use std::{collections::BTreeMap, path::PathBuf};

use serde::Deserialize;
use serde_json::Value;

pub use enablement::{Enablement, OrgPlugins};
pub use trigger::Trigger;

use super::{Errors, files, yaml};
use crate::prowjob::null_default;

/// The flags that say where `plugins.yaml` is.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Options {
    #[arg(long, value_name = "FILE", default_value = "/etc/plugins/plugins.yaml")]
    pub plugin_config: PathBuf,
    /// Folders with further parts of `plugins.yaml`. Not yet: naming one is an error.
    #[arg(long, value_name = "DIR")]
    pub supplemental_plugin_config_dir: Vec<PathBuf>,
    /// What a further part's file name ends in.
    #[arg(long, default_value = "_pluginconfig.yaml")]
    pub supplemental_plugin_configs_filename_suffix: String,
}

/// The content of `plugins.yaml`. The default enables nothing.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Plugins {
    /// By `org` or `org/repo`.
    #[serde(deserialize_with = "null_default")]
    pub plugins: Enablement,
    #[serde(deserialize_with = "null_default")]
    pub triggers: Vec<Trigger>,
    #[serde(skip)]
    unused: BTreeMap<String, Value>,
}

impl Plugins {
    /// Reads the file that `options` name.
    pub fn load(options: &Options) -> Result<Self, Errors> {
        if let Some(dir) = options.supplemental_plugin_config_dir.first() {
            return Err(super::Problem::in_file(
                "options",
                dir.display().to_string(),
                "--supplemental-plugin-config-dir is not supported yet",
            )
            .into());
        }
        let file = options.plugin_config.display().to_string();
        Self::parse(&file, &files::read(&options.plugin_config)?)
    }

    /// `file` is named in errors.
    pub fn parse(file: &str, text: &str) -> Result<Self, Errors> {
        let mut plugins: Self = yaml::parse(file, text)?;
        let mut sections: BTreeMap<String, Value> = yaml::parse(file, text)?;
        sections.retain(|name, _| !["plugins", "triggers"].contains(&name.as_str()));
        plugins.unused = sections;
        Ok(plugins)
    }

    /// Whether a plugin looks at a repository: the repository's own list or its organisation's
    /// names it, and the organisation does not exclude the repository.
    pub fn is_enabled(&self, plugin: &str, org: &str, repo: &str) -> bool {
        self.plugins.is_enabled(plugin, org, repo)
    }

    /// The trigger plugin's settings for a repository: those that list the repository, else its
    /// organisation, else the defaults.
    pub fn trigger_for(&self, org: &str, repo: &str) -> Trigger {
        let full = format!("{org}/{repo}");
        [full.as_str(), org]
            .iter()
            .find_map(|key| {
                self.triggers
                    .iter()
                    .find(|trigger| trigger.repos.iter().any(|entry| entry == key))
            })
            .cloned()
            .unwrap_or_default()
    }

    /// Sections no plugin here reads.
    pub fn unused_sections(&self) -> impl Iterator<Item = &str> {
        self.unused.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
plugins:
  org:
    plugins: [trigger, hold]
    excluded_repos: [quiet]
  org/quiet: [lgtm]
  other/repo:
  - trigger
triggers:
- repos: [org]
  only_org_members: true
  trusted_apps: [dependabot]
- repos: [org/special]
  ignore_ok_to_test: yes
  trusted_org: friends
lgtm: []
";

    #[test]
    fn enablement_by_repository_and_organisation() {
        let plugins = Plugins::parse("plugins.yaml", FILE).unwrap();
        for (plugin, org, repo, enabled) in [
            ("trigger", "org", "any", true),
            ("trigger", "org", "quiet", false),
            ("lgtm", "org", "quiet", true),
            ("lgtm", "org", "any", false),
            ("trigger", "other", "repo", true),
            ("trigger", "other", "else", false),
        ] {
            assert_eq!(
                plugins.is_enabled(plugin, org, repo),
                enabled,
                "{plugin} {org}/{repo}"
            );
        }
        assert_eq!(plugins.unused_sections().collect::<Vec<_>>(), ["lgtm"]);
    }

    #[test]
    fn the_repositorys_trigger_settings_win_over_the_organisations() {
        let plugins = Plugins::parse("plugins.yaml", FILE).unwrap();
        assert!(plugins.trigger_for("org", "any").only_org_members);
        let special = plugins.trigger_for("org", "special");
        assert!(special.ignore_ok_to_test && !special.only_org_members);
        assert_eq!(special.trusted_org, "friends");
        assert_eq!(plugins.trigger_for("x", "y"), Trigger::default());
    }
}
