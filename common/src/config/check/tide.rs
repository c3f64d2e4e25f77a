//! Warnings about Tide's queries beside the plugins that set their labels, and beside branch
//! protection.

use super::{Subject, plugins};
use crate::config::{Path, findings::Findings, plugins::Where, prow::TideQuery};

/// A label that Tide looks at, and the plugin that sets it.
struct Pair {
    plugin: &'static str,
    label: &'static str,
    /// Whether merging needs the label; else it is in the way of it.
    required: bool,
}

const fn requires(plugin: &'static str, label: &'static str) -> Pair {
    Pair {
        plugin,
        label,
        required: true,
    }
}

const fn forbids(plugin: &'static str, label: &'static str) -> Pair {
    Pair {
        plugin,
        label,
        required: false,
    }
}

const REQUIRED: [Pair; 2] = [requires("lgtm", "lgtm"), requires("approve", "approved")];

const FORBIDDEN: [Pair; 7] = [
    forbids("hold", "do-not-merge/hold"),
    forbids("wip", "do-not-merge/work-in-progress"),
    forbids("bugzilla", "bugzilla/invalid-bug"),
    forbids("verify-owners", "do-not-merge/invalid-owners-file"),
    forbids("release-note", "do-not-merge/release-note-label-needed"),
    forbids(
        "cherry-pick-unapproved",
        "do-not-merge/cherry-pick-not-approved",
    ),
    forbids("blockade", "do-not-merge/blocked-paths"),
];

/// Set by an external plugin. Tide merges nothing that conflicts, so a query need not forbid it.
const NEEDS_REBASE: Pair = forbids("needs-rebase", "needs-rebase");

impl Pair {
    fn is_in(&self, query: &TideQuery) -> bool {
        let labels = if self.required {
            &query.labels
        } else {
            &query.missing_labels
        };
        labels.iter().any(|label| label == self.label)
    }

    fn verb(&self) -> &'static str {
        if self.required { "requires" } else { "forbids" }
    }
}

pub(super) fn mismatched(subject: &Subject<'_>, findings: &mut Findings) {
    for pair in REQUIRED.iter().chain(&FORBIDDEN) {
        both_ways("mismatched-tide", pair, subject, findings);
    }
    if let Some(plugins) = subject.plugins {
        let enabled = plugins.external_enabled(NEEDS_REBASE.plugin);
        not_enabled(
            "mismatched-tide",
            &NEEDS_REBASE,
            &enabled,
            subject,
            findings,
        );
    }
}

pub(super) fn mismatched_lenient(subject: &Subject<'_>, findings: &mut Findings) {
    for pair in &REQUIRED {
        both_ways("mismatched-tide-lenient", pair, subject, findings);
    }
}

/// The plugin is enabled where Tide looks at its label, and Tide looks at the label wherever it
/// merges and the plugin is enabled.
fn both_ways(rule: &'static str, pair: &Pair, subject: &Subject<'_>, findings: &mut Findings) {
    let Some(all_plugins) = subject.plugins else {
        return;
    };
    let enabled = all_plugins.enabled(pair.plugin);
    not_enabled(rule, pair, &enabled, subject, findings);
    let queries = &subject.config.prow.tide.queries;
    let looked_at = covered(queries.iter().filter(|query| pair.is_in(query)));
    let merged = covered(queries);
    let not_looked_at = enabled.intersection(&merged).difference(&looked_at);
    for item in not_looked_at.items() {
        let verb = if pair.required { "require" } else { "forbid" };
        let message = format!(
            "{item} enables the {} plugin, and Tide does not {verb} the label {:?} there",
            pair.plugin, pair.label
        );
        plugins::at_entry(rule, all_plugins, &item, message, findings);
    }
}

fn not_enabled(
    rule: &'static str,
    pair: &Pair,
    enabled: &Where,
    subject: &Subject<'_>,
    findings: &mut Findings,
) {
    let queries = &subject.config.prow.tide.queries;
    let looked_at = covered(queries.iter().filter(|query| pair.is_in(query)));
    for item in looked_at.difference(enabled).items() {
        let message = format!(
            "{item} is merged by a query that {} the label {:?}, and the {} plugin is not enabled \
             there",
            pair.verb(),
            pair.label,
            pair.plugin
        );
        let names = |query: &TideQuery| {
            let mut keys = query
                .orgs
                .iter()
                .chain(&query.repos)
                .chain(&query.excluded_repos);
            pair.is_in(query) && keys.any(|key| key == item.key())
        };
        let tide = Path::Root.key("tide");
        let list = tide.key("queries");
        match queries.iter().position(names) {
            Some(index) => subject.add(rule, &list.index(index), message, findings),
            None => subject.add(rule, &list, message, findings),
        }
    }
}

/// What queries are about. A repository that one query leaves out and another names is covered.
pub(super) fn covered<'a>(queries: impl IntoIterator<Item = &'a TideQuery>) -> Where {
    let mut covered = Where::default();
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

pub(super) fn needs_ok_to_test(subject: &Subject<'_>, findings: &mut Findings) {
    let tide = Path::Root.key("tide");
    let list = tide.key("queries");
    for (index, query) in subject.config.prow.tide.queries.iter().enumerate() {
        let has = |labels: &[String], wanted: &str| labels.iter().any(|label| label == wanted);
        if has(&query.labels, "lgtm") && has(&query.missing_labels, "needs-ok-to-test") {
            let query = list.index(index);
            subject.add(
                "needs-ok-to-test",
                &query.key("missingLabels"),
                "the query requires lgtm and forbids needs-ok-to-test: who may say /lgtm has \
                 looked, so the second only keeps tested pull requests from merging",
                findings,
            );
        }
    }
}
