//! One of `queries`: a search for pull requests that may merge.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{ConfigPath, section_diagnostics::SectionDiagnostics};

/// All conditions must hold at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct TideQuery {
    /// A login; anybody unless set.
    pub author: String,
    /// Labels that the pull request must all have; an entry with commas is a choice of several.
    pub labels: Vec<String>,
    /// Labels that it must not have.
    pub missing_labels: Vec<String>,
    pub excluded_branches: Vec<String>,
    pub included_branches: Vec<String>,
    /// The title; any or none unless set.
    pub milestone: String,
    /// GitHub must say that its reviewers approve.
    pub review_approved_required: bool,
    pub orgs: Vec<String>,
    pub repos: Vec<String>,
    /// Repositories of `orgs` that are excluded.
    pub excluded_repos: Vec<String>,
}

impl TideQuery {
    pub(super) fn check_query(&self, query: &ConfigPath<'_>, report: &mut SectionDiagnostics<'_>) {
        let orgs = query.key("orgs");
        for (index, org) in self.orgs.iter().enumerate() {
            if org.is_empty() || org.contains('/') {
                let message = format!("found {org:?}, expected the name of an organisation");
                report.add_diagnostic("tide-query-org", &orgs.index(index), message);
            }
        }
        self.check_repos(query, report);
        let labels = query.key("missingLabels");
        for (index, label) in self.missing_labels.iter().enumerate() {
            if self.labels.contains(label) {
                let message = format!("{label:?} is required in labels: nothing can merge");
                report.add_diagnostic("tide-query-label", &labels.index(index), message);
            }
        }
        if !self.included_branches.is_empty() && !self.excluded_branches.is_empty() {
            report.add_diagnostic(
                "tide-query-branches",
                &query.key("excludedBranches"),
                "includedBranches and excludedBranches exclude each other",
            );
        }
        for (key, list) in [
            ("orgs", &self.orgs),
            ("repos", &self.repos),
            ("excludedRepos", &self.excluded_repos),
            ("labels", &self.labels),
            ("missingLabels", &self.missing_labels),
            ("includedBranches", &self.included_branches),
            ("excludedBranches", &self.excluded_branches),
        ] {
            refuse_duplicates(&query.key(key), list, report);
        }
    }

    fn check_repos(&self, query: &ConfigPath<'_>, report: &mut SectionDiagnostics<'_>) {
        if self.orgs.is_empty() && self.repos.is_empty() {
            report.add_diagnostic("tide-query-empty", query, "expected orgs, repos, or both");
        }
        let repos = query.key("repos");
        for (index, repo) in self.repos.iter().enumerate() {
            let path = repos.index(index);
            if let Some(org) = parse_org(&path, repo, report)
                && self.orgs.iter().any(|own| own == org)
            {
                let message = format!("{repo:?} is in the organisation {org}, which orgs has");
                report.add_diagnostic("tide-query-repo-twice", &path, message);
            }
        }
        let excluded = query.key("excludedRepos");
        for (index, repo) in self.excluded_repos.iter().enumerate() {
            let path = excluded.index(index);
            if let Some(org) = parse_org(&path, repo, report)
                && !self.orgs.iter().any(|own| own == org)
            {
                let message = format!("{repo:?} does nothing: orgs does not have {org}");
                report.add_diagnostic("tide-query-excluded-repo", &path, message);
            }
        }
    }
}

/// The organisation of `repo`, which must be `org/repo`.
fn parse_org<'a>(
    path: &ConfigPath<'_>,
    repo: &'a str,
    report: &mut SectionDiagnostics<'_>,
) -> Option<&'a str> {
    let parts = repo.split_once('/');
    let found =
        parts.filter(|(org, name)| !org.is_empty() && !name.is_empty() && !name.contains('/'));
    if found.is_none() {
        let message = format!("found {repo:?}, expected org/repo");
        report.add_diagnostic("tide-query-repo", path, message);
    }
    found.map(|(org, _)| org)
}

fn refuse_duplicates(path: &ConfigPath<'_>, list: &[String], report: &mut SectionDiagnostics<'_>) {
    let mut seen = BTreeSet::new();
    for (index, entry) in list.iter().enumerate() {
        if !seen.insert(entry) {
            let message = format!("{entry:?} stands above already");
            report.add_diagnostic("tide-query-twice", &path.index(index), message);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::prow::tests::{loaded, refused};

    #[test]
    fn each_rule_tells_its_place() {
        for (fields, message) in [
            (
                "orgs: [o/r]",
                r#"config.yaml:3:13: tide.queries[0].orgs[0]: found "o/r", expected the name of an organisation"#,
            ),
            (
                "orgs: ['']",
                r#"config.yaml:3:13: tide.queries[0].orgs[0]: found "", expected the name of an organisation"#,
            ),
            (
                "labels: [lgtm]",
                "config.yaml:3:5: tide.queries[0]: expected orgs, repos, or both",
            ),
            (
                "repos: [o/r/s]",
                r#"config.yaml:3:14: tide.queries[0].repos[0]: found "o/r/s", expected org/repo"#,
            ),
            (
                "orgs: [o], repos: [o/r]",
                r#"config.yaml:3:25: tide.queries[0].repos[0]: "o/r" is in the organisation o, which orgs has"#,
            ),
            (
                "orgs: [o], excludedRepos: [r]",
                r#"config.yaml:3:33: tide.queries[0].excludedRepos[0]: found "r", expected org/repo"#,
            ),
            (
                "orgs: [o], excludedRepos: [p/r]",
                r#"config.yaml:3:33: tide.queries[0].excludedRepos[0]: "p/r" does nothing: orgs does not have p"#,
            ),
            (
                "orgs: [o], labels: [a, b], missingLabels: [b]",
                r#"config.yaml:3:49: tide.queries[0].missingLabels[0]: "b" is required in labels: nothing can merge"#,
            ),
            (
                "orgs: [o], includedBranches: [a], excludedBranches: [b]",
                "config.yaml:3:40: tide.queries[0].excludedBranches: includedBranches and excludedBranches exclude each other",
            ),
            (
                "orgs: [o], labels: [a, b, a]",
                r#"config.yaml:3:32: tide.queries[0].labels[2]: "a" stands above already"#,
            ),
            (
                "orgs: [o, o]",
                r#"config.yaml:3:16: tide.queries[0].orgs[1]: "o" stands above already"#,
            ),
        ] {
            let yaml = format!("tide:\n  queries:\n  - {{{fields}}}");
            assert_eq!(refused(&yaml), message);
        }
        let tide = loaded("tide: {queries: [{orgs: [o], reviewApprovedRequired: true, author: a, milestone: v1}]}").tide;
        assert!(tide.queries[0].review_approved_required);
    }
}
