//! Where a plugin is enabled, and which organisations and repositories a file configures.

use std::collections::{BTreeMap, BTreeSet};

use super::{PluginConfiguration, TriggerConfig};
use crate::repo_names;

/// A set of organisations and repositories.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepoSet {
    /// Organisations, each with its repositories (`org/repo`) that are not in the set.
    pub orgs: BTreeMap<String, BTreeSet<String>>,
    /// `org/repo`.
    pub repos: BTreeSet<String>,
}

/// What a file configures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigScope {
    /// Whether it has settings for everything.
    pub global: bool,
    pub orgs: BTreeSet<String>,
    /// `org/repo`.
    pub repos: BTreeSet<String>,
}

impl ConfigScope {
    fn add_key(&mut self, key: &str) {
        if key.contains('/') {
            self.repos.insert(key.to_owned());
        } else {
            self.orgs.insert(key.to_owned());
        }
    }
}

impl PluginConfiguration {
    /// Whether a plugin is enabled in a repository: the list of the repository or of its
    /// organisation names it, and the organisation does not exclude the repository.
    pub fn is_enabled(&self, plugin: &str, org: &str, repo: &str) -> bool {
        self.plugins.is_enabled(plugin, org, repo)
    }

    /// The names of all plugins that are enabled somewhere.
    pub fn plugin_names(&self) -> BTreeSet<&str> {
        let entries = self.plugins.0.values();
        entries
            .flat_map(|entry| &entry.plugins)
            .map(String::as_str)
            .collect()
    }

    /// The names of all external plugins that are configured somewhere.
    pub fn external_plugin_names(&self) -> BTreeSet<&str> {
        let entries = self.external_plugins.values().flatten();
        entries.map(|plugin| plugin.name.as_str()).collect()
    }

    /// Where a plugin is enabled. A repository that enables it itself is not excluded.
    pub fn enabled_repos_for_plugin(&self, plugin: &str) -> RepoSet {
        let mut found = RepoSet::default();
        for (key, entry) in &self.plugins.0 {
            if !entry.plugins.iter().any(|name| name == plugin) {
                continue;
            }
            if key.contains('/') {
                found.repos.insert(key.clone());
            } else {
                let excluded = entry.excluded_repos.iter();
                let excluded = excluded.map(|repo| format!("{key}/{repo}")).collect();
                found.orgs.insert(key.clone(), excluded);
            }
        }
        for excluded in found.orgs.values_mut() {
            excluded.retain(|repo| !found.repos.contains(repo));
        }
        found
    }

    /// The repositories whose events an external plugin gets.
    pub fn enabled_repos_for_external_plugin(&self, plugin: &str) -> RepoSet {
        let mut found = RepoSet::default();
        for (key, plugins) in &self.external_plugins {
            if !plugins.iter().any(|external| external.name == plugin) {
                continue;
            }
            if key.contains('/') {
                found.repos.insert(key.clone());
            } else {
                found.orgs.insert(key.clone(), BTreeSet::new());
            }
        }
        found
    }

    /// The trigger plugin's settings for a repository: the entry that lists the repository, else
    /// the one that lists its organisation, else the defaults.
    pub fn trigger_for(&self, org: &str, repo: &str) -> TriggerConfig {
        let full = format!("{org}/{repo}");
        [full.as_str(), org]
            .iter()
            .find_map(|key| {
                self.triggers.iter().find(|trigger| {
                    trigger
                        .repos
                        .iter()
                        .any(|entry| repo_names::is_same_name(entry, key))
                })
            })
            .cloned()
            .unwrap_or_default()
    }

    /// The scope of a file from [`PluginConfiguration::parse_part`].
    pub fn config_scope(&self) -> ConfigScope {
        let mut scope = ConfigScope {
            global: !self.not_mergeable().is_empty() || self.bugzilla.default.is_some(),
            ..ConfigScope::default()
        };
        let lists = [
            self.approve.iter().map(|it| &it.repos).collect::<Vec<_>>(),
            self.lgtm.iter().map(|it| &it.repos).collect(),
            self.triggers.iter().map(|it| &it.repos).collect(),
            self.welcome.iter().map(|it| &it.repos).collect(),
        ];
        let keys = self.plugins.0.keys().chain(self.external_plugins.keys());
        for key in lists.into_iter().flatten().flatten().chain(keys) {
            scope.add_key(key);
        }
        for key in self.label.restricted_labels.keys() {
            if key == "*" {
                scope.global = true;
            } else {
                scope.add_key(key);
            }
        }
        for (name, org) in &self.bugzilla.orgs {
            if org.default.is_some() {
                scope.add_key(name);
            }
            for repo in org.repos.keys() {
                scope.add_key(&format!("{name}/{repo}"));
            }
        }
        scope
    }
}

#[cfg(test)]
mod tests {
    use crate::config::plugins::{PluginConfiguration, TriggerConfig, tests::loaded};

    const FILE: &str = "\
plugins:
  org:
    plugins: [trigger, hold]
    excluded_repos: [quiet, still]
  org/quiet: [lgtm]
  org/still: [hold]
  other/repo:
  - trigger
external_plugins:
  org: [{name: needs-rebase}]
  other/repo: [{name: needs-rebase}, {name: cherrypicker}]
triggers:
- repos: [org]
  only_org_members: true
  trusted_apps: [dependabot]
- repos: [org/special]
  ignore_ok_to_test: yes
  trusted_org: friends
";

    #[test]
    fn enablement_by_repository_and_organisation() {
        let plugins = loaded(FILE);
        for (plugin, org, repo, enabled) in [
            ("trigger", "org", "any", true),
            ("trigger", "org", "quiet", false),
            ("lgtm", "org", "quiet", true),
            ("lgtm", "org", "any", false),
            ("hold", "org", "still", true),
            ("trigger", "other", "repo", true),
            ("trigger", "other", "else", false),
            ("trigger", "Other", "REPO", true),
            ("trigger", "Org", "Quiet", false),
        ] {
            assert_eq!(
                plugins.is_enabled(plugin, org, repo),
                enabled,
                "{plugin} {org}/{repo}"
            );
        }
        let names: Vec<_> = plugins.plugin_names().into_iter().collect();
        assert_eq!(names, ["hold", "lgtm", "trigger"]);
    }

    #[test]
    fn where_a_plugin_is_enabled() {
        let plugins = loaded(FILE);
        let hold = plugins.enabled_repos_for_plugin("hold");
        assert_eq!(hold.orgs["org"].iter().collect::<Vec<_>>(), ["org/quiet"]);
        assert_eq!(hold.repos.iter().collect::<Vec<_>>(), ["org/still"]);
        let rebase = plugins.enabled_repos_for_external_plugin("needs-rebase");
        assert!(rebase.orgs["org"].is_empty() && rebase.repos.contains("other/repo"));
        assert_eq!(plugins.external_plugin_names().len(), 2);
    }

    #[test]
    fn the_repositorys_trigger_settings_win_over_the_organisations() {
        let plugins = loaded(FILE);
        assert!(plugins.trigger_for("org", "any").only_org_members);
        let special = plugins.trigger_for("org", "special");
        assert!(special.ignore_ok_to_test && !special.only_org_members);
        assert_eq!(special.trusted_org, "friends");
        assert_eq!(
            special.join_org_url,
            "https://github.com/orgs/friends/people"
        );
        assert_eq!(plugins.trigger_for("Org", "Special"), special);
        assert_eq!(plugins.trigger_for("x", "y"), TriggerConfig::default());
    }

    #[test]
    fn a_part_is_about_those_it_names() {
        for (text, global, orgs, repos) in [
            ("", false, &[][..], &[][..]),
            ("plugins: {o: [], o/r: []}", false, &["o"], &["o/r"]),
            ("lgtm: [{repos: [o/r]}]", false, &[], &["o/r"]),
            ("external_plugins: {o: []}", false, &["o"], &[]),
            ("label: {restricted_labels: {'*': []}}", true, &[], &[]),
            ("label: {additional_labels: [x]}", true, &[], &[]),
            ("heart: {adorees: [x]}", true, &[], &[]),
            ("bugzilla: {default: {}}", true, &[], &[]),
            (
                "bugzilla: {orgs: {o: {repos: {r: {}}}}}",
                false,
                &[],
                &["o/r"],
            ),
        ] {
            let scope = PluginConfiguration::parse_part("p", text)
                .unwrap()
                .config_scope();
            assert_eq!(scope.global, global, "{text}");
            assert!(scope.orgs.iter().eq(orgs), "{text}");
            assert!(scope.repos.iter().eq(repos), "{text}");
        }
    }
}
