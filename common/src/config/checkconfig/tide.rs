//! Warnings about Tide's queries together with the plugins that set their labels, and with branch
//! protection.

use super::{CheckconfigInput, plugins};
use crate::config::{ConfigPath, diagnostics::Diagnostics, plugins::RepoSet, prow::TideQuery};

/// A label in Tide's queries, and the plugin that sets it.
struct PluginLabel {
    plugin: &'static str,
    label: &'static str,
    /// Whether merging requires the label; otherwise the label prevents merging.
    required: bool,
}

const fn required_label(plugin: &'static str, label: &'static str) -> PluginLabel {
    PluginLabel {
        plugin,
        label,
        required: true,
    }
}

const fn forbidden_label(plugin: &'static str, label: &'static str) -> PluginLabel {
    PluginLabel {
        plugin,
        label,
        required: false,
    }
}

const REQUIRED_LABELS: [PluginLabel; 2] = [
    required_label("lgtm", "lgtm"),
    required_label("approve", "approved"),
];

const FORBIDDEN_LABELS: [PluginLabel; 7] = [
    forbidden_label("hold", "do-not-merge/hold"),
    forbidden_label("wip", "do-not-merge/work-in-progress"),
    forbidden_label("bugzilla", "bugzilla/invalid-bug"),
    forbidden_label("verify-owners", "do-not-merge/invalid-owners-file"),
    forbidden_label("release-note", "do-not-merge/release-note-label-needed"),
    forbidden_label(
        "cherry-pick-unapproved",
        "do-not-merge/cherry-pick-not-approved",
    ),
    forbidden_label("blockade", "do-not-merge/blocked-paths"),
];

/// An external plugin sets it. Tide merges no conflicts, so a query need not forbid the label.
const NEEDS_REBASE: PluginLabel = forbidden_label("needs-rebase", "needs-rebase");

impl PluginLabel {
    fn is_in(&self, query: &TideQuery) -> bool {
        let labels = if self.required {
            &query.labels
        } else {
            &query.missing_labels
        };
        labels.iter().any(|label| label == self.label)
    }

    fn query_verb(&self) -> &'static str {
        if self.required { "requires" } else { "forbids" }
    }
}

pub(super) fn check_mismatched_labels(subject: &CheckconfigInput<'_>, findings: &mut Diagnostics) {
    for pair in REQUIRED_LABELS.iter().chain(&FORBIDDEN_LABELS) {
        check_both_ways("mismatched-tide", pair, subject, findings);
    }
    if let Some(plugins) = subject.plugins {
        let enabled = plugins.enabled_repos_for_external_plugin(NEEDS_REBASE.plugin);
        check_plugin_enabled(
            "mismatched-tide",
            &NEEDS_REBASE,
            &enabled,
            subject,
            findings,
        );
    }
}

pub(super) fn check_mismatched_lenient(subject: &CheckconfigInput<'_>, findings: &mut Diagnostics) {
    for pair in &REQUIRED_LABELS {
        check_both_ways("mismatched-tide-lenient", pair, subject, findings);
    }
}

/// The plugin must be enabled where Tide queries its label, and Tide must query the label wherever
/// it merges and the plugin is enabled.
fn check_both_ways(
    rule: &'static str,
    pair: &PluginLabel,
    subject: &CheckconfigInput<'_>,
    findings: &mut Diagnostics,
) {
    let Some(all_plugins) = subject.plugins else {
        return;
    };
    let enabled = all_plugins.enabled_repos_for_plugin(pair.plugin);
    check_plugin_enabled(rule, pair, &enabled, subject, findings);
    let queries = &subject.config.prow.tide.queries;
    let looked_at = covered_repos(queries.iter().filter(|query| pair.is_in(query)));
    let merged = covered_repos(queries);
    let not_looked_at = enabled.intersection(&merged).difference(&looked_at);
    for item in not_looked_at.iter_items() {
        let verb = if pair.required { "require" } else { "forbid" };
        let message = format!(
            "{item} enables the {} plugin, and Tide does not {verb} the label {:?} there",
            pair.plugin, pair.label
        );
        plugins::add_at_entry(rule, all_plugins, &item, message, findings);
    }
}

fn check_plugin_enabled(
    rule: &'static str,
    pair: &PluginLabel,
    enabled: &RepoSet,
    subject: &CheckconfigInput<'_>,
    findings: &mut Diagnostics,
) {
    let queries = &subject.config.prow.tide.queries;
    let looked_at = covered_repos(queries.iter().filter(|query| pair.is_in(query)));
    for item in looked_at.difference(enabled).iter_items() {
        let message = format!(
            "{item} is merged by a query that {} the label {:?}, and the {} plugin is not enabled \
             there",
            pair.query_verb(),
            pair.label,
            pair.plugin
        );
        let names = |query: &TideQuery| {
            let mut keys = query
                .orgs
                .iter()
                .chain(&query.repos)
                .chain(&query.excluded_repos);
            pair.is_in(query) && keys.any(|key| key == item.config_key())
        };
        let tide = ConfigPath::Root.key("tide");
        let list = tide.key("queries");
        match queries.iter().position(names) {
            Some(index) => subject.add_diagnostic(rule, &list.index(index), message, findings),
            None => subject.add_diagnostic(rule, &list, message, findings),
        }
    }
}

/// The repositories of queries. A repository that one query excludes and another names is covered.
pub(super) fn covered_repos<'a>(queries: impl IntoIterator<Item = &'a TideQuery>) -> RepoSet {
    let mut covered = RepoSet::default();
    for query in queries {
        for org in &query.orgs {
            let prefix = format!("{org}/");
            let excluded = query.excluded_repos.iter();
            let excluded = excluded
                .filter(|repo| repo.starts_with(&prefix))
                .cloned()
                .collect();
            covered
                .orgs
                .entry(org.clone())
                .and_modify(|except| *except = &*except & &excluded)
                .or_insert(excluded);
        }
        covered.repos.extend(query.repos.iter().cloned());
    }
    for except in covered.orgs.values_mut() {
        except.retain(|repo| !covered.repos.contains(repo));
    }
    covered
}

pub(super) fn check_needs_ok_to_test(subject: &CheckconfigInput<'_>, findings: &mut Diagnostics) {
    let tide = ConfigPath::Root.key("tide");
    let list = tide.key("queries");
    for (index, query) in subject.config.prow.tide.queries.iter().enumerate() {
        let has = |labels: &[String], wanted: &str| labels.iter().any(|label| label == wanted);
        if has(&query.labels, "lgtm") && has(&query.missing_labels, "needs-ok-to-test") {
            let query = list.index(index);
            subject.add_diagnostic(
                "needs-ok-to-test",
                &query.key("missingLabels"),
                "the query requires lgtm and forbids needs-ok-to-test: who may say /lgtm has \
                 looked, so the second only keeps tested pull requests from merging",
                findings,
            );
        }
    }
}
