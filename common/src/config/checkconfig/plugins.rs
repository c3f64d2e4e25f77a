//! Warnings about `plugins.yaml`, alone and together with the jobs.

use std::collections::{BTreeMap, BTreeSet};

use super::{CheckconfigInput, repositories::RepoSetItem};
use crate::config::{
    ConfigPath, JobBase,
    diagnostics::Diagnostics,
    plugins::{PluginConfiguration, RepoSet},
};

/// Plugins that read OWNERS files: repositories where they are enabled should have such files.
const OWNERS_PLUGINS: [&str; 4] = ["approve", "blunderbuss", "rifle", "owners-label"];

/// The repositories in which a plugin reads OWNERS files.
pub fn repos_reading_owners(plugins: &PluginConfiguration) -> RepoSet {
    OWNERS_PLUGINS
        .iter()
        .map(|plugin| plugins.enabled_repos_for_plugin(plugin))
        .reduce(|all, more| all.union(&more))
        .unwrap_or_default()
}

pub(super) fn check_verify_owners(subject: &CheckconfigInput<'_>, findings: &mut Diagnostics) {
    let Some(plugins) = subject.plugins else {
        return;
    };
    let verified = plugins.enabled_repos_for_plugin("verify-owners");
    for item in repos_reading_owners(plugins)
        .difference(&verified)
        .iter_items()
    {
        let message = format!(
            "{item} has a plugin that reads OWNERS files ({}), and not verify-owners, which keeps \
             them valid",
            OWNERS_PLUGINS.join(", ")
        );
        add_at_entry("validate-owners", plugins, &item, message, findings);
    }
}

pub(super) fn check_missing_trigger(subject: &CheckconfigInput<'_>, findings: &mut Diagnostics) {
    let Some(plugins) = subject.plugins else {
        return;
    };
    let jobs = &subject.config.jobs;
    let postsubmits = jobs.postsubmits.iter();
    let postsubmits = postsubmits.map(|(repo, jobs)| (repo, jobs.first().map(|job| &job.base)));
    let presubmits = jobs.presubmits.iter();
    let presubmits = presubmits.map(|(repo, jobs)| (repo, jobs.first().map(|job| &job.base)));
    let first: BTreeMap<&String, Option<&JobBase>> = postsubmits.chain(presubmits).collect();
    let configured = RepoSet {
        repos: first.keys().copied().cloned().collect(),
        ..RepoSet::default()
    };
    for repo in configured
        .difference(&plugins.enabled_repos_for_plugin("trigger"))
        .repos
    {
        let message = format!("{repo} has jobs, and the trigger plugin is not enabled for it");
        let Some(job) = first.get(&repo).copied().flatten() else {
            subject.add_diagnostic("missing-trigger", &ConfigPath::Root, message, findings);
            continue;
        };
        let list = &job.origin.path[..job.origin.path.len().saturating_sub(1)];
        findings.add_diagnostic(
            "missing-trigger",
            &job.origin.file,
            &ConfigPath::Below(list),
            message,
        );
    }
}

/// Adds a diagnostic at the entry of `plugins` for an organisation or a repository.
pub(super) fn add_at_entry(
    rule: &'static str,
    plugins: &PluginConfiguration,
    item: &RepoSetItem<'_>,
    message: String,
    findings: &mut Diagnostics,
) {
    let section = ConfigPath::Root.key("plugins");
    add_at_path(
        rule,
        plugins,
        &section.key(item.config_key()),
        message,
        findings,
    );
}

/// Adds a diagnostic at a path of the merged configuration, in the file that it came from.
fn add_at_path(
    rule: &'static str,
    plugins: &PluginConfiguration,
    path: &ConfigPath<'_>,
    message: String,
    findings: &mut Diagnostics,
) {
    let (file, there) = plugins.locate_path(path);
    findings.add_diagnostic(rule, &file, &ConfigPath::Below(&there), message);
}

pub(super) fn check_restricted_labels(subject: &CheckconfigInput<'_>, findings: &mut Diagnostics) {
    let Some(plugins) = subject.plugins else {
        return;
    };
    let label = &plugins.label;
    let additional: BTreeSet<&String> = label.additional_labels.iter().collect();
    let section = ConfigPath::Root.key("label");
    let section = section.key("restricted_labels");
    for (key, restricted) in &label.restricted_labels {
        let list = section.key(key);
        for (index, restricted) in restricted.iter().enumerate() {
            let message = if restricted.label.is_empty() {
                format!("{key} restricts a label without a name")
            } else if additional.contains(&restricted.label) {
                format!(
                    "{key} restricts {:?}, which is one of the additional_labels that everybody \
                     may set",
                    restricted.label
                )
            } else {
                continue;
            };
            add_at_path(
                "validate-label",
                plugins,
                &list.index(index),
                message,
                findings,
            );
        }
    }
}

pub(super) fn check_config_updater(subject: &CheckconfigInput<'_>, findings: &mut Diagnostics) {
    let Some(plugins) = subject.plugins else {
        return;
    };
    let section = ConfigPath::Root.key("config_updater");
    let section = section.key("maps");
    for (pattern, map) in &plugins.config_updater.maps {
        let entry = section.key(pattern);
        for (key, repos) in [
            ("allowed_repos", &map.allowed_repos),
            ("denied_repos", &map.denied_repos),
        ] {
            let list = entry.key(key);
            for (index, repo) in repos.iter().enumerate() {
                if let Some(expected) = expected_repo_form(repo) {
                    let message = format!("found {repo:?}, expected {expected}");
                    let path = list.index(index);
                    add_at_path(
                        "validate-config-updater-acls",
                        plugins,
                        &path,
                        message,
                        findings,
                    );
                }
            }
        }
    }
}

/// The form that is expected, if `name` is neither an organisation nor a repository.
fn expected_repo_form(name: &str) -> Option<&'static str> {
    let mut parts = name.splitn(3, '/');
    let org = parts.next().unwrap_or_default();
    if name.is_empty() {
        Some("org or org/repo")
    } else if parts.nth(1).is_some() {
        Some("no more than one slash")
    } else if org.is_empty() {
        Some("an organisation before the slash")
    } else {
        None
    }
}
