//! Warnings about `plugins.yaml`, alone and beside the jobs.

use std::collections::{BTreeMap, BTreeSet};

use super::{Subject, repositories::Item};
use crate::config::{
    JobBase, Path,
    findings::Findings,
    plugins::{Plugins, Where},
};

/// Plugins that read OWNERS files: where they are enabled, a repository is taken to have them.
const READ_OWNERS: [&str; 4] = ["approve", "blunderbuss", "rifle", "owners-label"];

/// Where OWNERS files are read.
pub fn reads_owners(plugins: &Plugins) -> Where {
    READ_OWNERS
        .iter()
        .map(|plugin| plugins.enabled(plugin))
        .reduce(|all, more| all.union(&more))
        .unwrap_or_default()
}

pub(super) fn owners(subject: &Subject<'_>, findings: &mut Findings) {
    let Some(plugins) = subject.plugins else {
        return;
    };
    let verified = plugins.enabled("verify-owners");
    for item in reads_owners(plugins).difference(&verified).items() {
        let message = format!(
            "{item} has a plugin that reads OWNERS files ({}), and not verify-owners, which keeps \
             them valid",
            READ_OWNERS.join(", ")
        );
        at_entry("validate-owners", plugins, &item, message, findings);
    }
}

pub(super) fn missing_trigger(subject: &Subject<'_>, findings: &mut Findings) {
    let Some(plugins) = subject.plugins else {
        return;
    };
    let jobs = &subject.config.jobs;
    let postsubmits = jobs.postsubmits.iter();
    let postsubmits = postsubmits.map(|(repo, jobs)| (repo, jobs.first().map(|job| &job.base)));
    let presubmits = jobs.presubmits.iter();
    let presubmits = presubmits.map(|(repo, jobs)| (repo, jobs.first().map(|job| &job.base)));
    let first: BTreeMap<&String, Option<&JobBase>> = postsubmits.chain(presubmits).collect();
    let configured = Where {
        repos: first.keys().copied().cloned().collect(),
        ..Where::default()
    };
    for repo in configured.difference(&plugins.enabled("trigger")).repos {
        let message = format!("{repo} has jobs, and the trigger plugin is not enabled for it");
        let Some(job) = first.get(&repo).copied().flatten() else {
            subject.add("missing-trigger", &Path::Root, message, findings);
            continue;
        };
        let list = &job.origin.path[..job.origin.path.len().saturating_sub(1)];
        findings.add(
            "missing-trigger",
            &job.origin.file,
            &Path::Below(list),
            message,
        );
    }
}

/// At the entry of `plugins` for an organisation or a repository.
pub(super) fn at_entry(
    rule: &'static str,
    plugins: &Plugins,
    item: &Item<'_>,
    message: String,
    findings: &mut Findings,
) {
    let section = Path::Root.key("plugins");
    at(rule, plugins, &section.key(item.key()), message, findings);
}

/// At a path in the whole, where the file that brought it has it.
fn at(
    rule: &'static str,
    plugins: &Plugins,
    path: &Path<'_>,
    message: String,
    findings: &mut Findings,
) {
    let (file, there) = plugins.place(path);
    findings.add(rule, &file, &Path::Below(&there), message);
}

pub(super) fn labels(subject: &Subject<'_>, findings: &mut Findings) {
    let Some(plugins) = subject.plugins else {
        return;
    };
    let label = &plugins.label;
    let additional: BTreeSet<&String> = label.additional_labels.iter().collect();
    let section = Path::Root.key("label");
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
            at(
                "validate-label",
                plugins,
                &list.index(index),
                message,
                findings,
            );
        }
    }
}

pub(super) fn config_updater(subject: &Subject<'_>, findings: &mut Findings) {
    let Some(plugins) = subject.plugins else {
        return;
    };
    let section = Path::Root.key("config_updater");
    let section = section.key("maps");
    for (pattern, map) in &plugins.config_updater.maps {
        let entry = section.key(pattern);
        for (key, repos) in [
            ("allowed_repos", &map.allowed_repos),
            ("denied_repos", &map.denied_repos),
        ] {
            let list = entry.key(key);
            for (index, repo) in repos.iter().enumerate() {
                if let Some(expected) = no_repository(repo) {
                    let message = format!("found {repo:?}, expected {expected}");
                    let path = list.index(index);
                    at(
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

/// What is expected where `name` is neither an organisation nor a repository.
fn no_repository(name: &str) -> Option<&'static str> {
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
