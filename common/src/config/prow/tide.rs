//! `tide`: which pull requests merge automatically, and how.

mod context_options;
mod merge_method;
mod query;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use context_options::{TideContextPolicy, TideContextPolicyOptions};
pub use merge_method::{MergeMethodOrMap, MergeMethods};
pub use query::TideQuery;

use super::{gerrit, gerrit::GerritOrgRepoConfig};
use crate::{
    config::{ConfigPath, section_diagnostics::SectionDiagnostics},
    duration::GoDuration,
    repo_names::find_most_specific,
};

/// Keys of maps are `org/repo`, `org` or `*` unless documented otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TideConfig {
    pub gerrit: Option<TideGerrit>,
    sync_period: Option<GoDuration>,
    status_update_period: Option<GoDuration>,
    max_goroutines: i64,
    /// Pull requests that one of the queries finds are merged.
    pub queries: Vec<TideQuery>,
    pub merge_method: MergeMethods,
    /// By `org/repo` or `org`.
    pub merge_commit_template: BTreeMap<String, TideMergeCommitTemplate>,
    /// Older form of `target_urls` for `*`.
    pub target_url: String,
    /// The links of Tide's status.
    pub target_urls: BTreeMap<String, String>,
    /// Older form of `pr_status_base_urls` for `*`.
    pub pr_status_base_url: String,
    /// Where a pull request's requirements are shown.
    pub pr_status_base_urls: BTreeMap<String, String>,
    /// An open issue with this label blocks all merges; empty is no such label.
    pub blocker_label: String,
    /// A pull request with this label is squashed; empty is no such label.
    pub squash_label: String,
    /// A pull request with this label is rebased; empty is no such label.
    pub rebase_label: String,
    /// A pull request with this label gets a merge commit; empty is no such label.
    pub merge_label: String,
    pub context_options: TideContextPolicyOptions,
    /// Maximum number of pull requests in a batch; 0 is no limit, -1 disables batches.
    pub batch_size_limit: BTreeMap<String, i64>,
    /// Whether a batch that is being tested precedes pull requests that came later.
    pub prioritize_existing_batches: BTreeMap<String, bool>,
    pub github_merge_blocks_policy: BTreeMap<String, GithubMergeBlocksPolicy>,
    /// Sets of labels: pull requests with all labels of the first set go first.
    pub priority: Vec<TidePriority>,
    /// The status describes every query, not only the nearest.
    pub display_all_tide_queries_in_status: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TideGerrit {
    pub queries: Vec<GerritOrgRepoConfig>,
    ratelimit: i64,
}

/// Go templates over the pull request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TideMergeCommitTemplate {
    pub title: String,
    pub body: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TidePriority {
    pub labels: Vec<String>,
}

/// How Tide treats a pull request that GitHub itself would not merge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GithubMergeBlocksPolicy {
    /// Tide tries to merge it and does not mention this.
    Ignore,
    /// Tide tries to merge it and mentions this.
    #[default]
    Permit,
    /// Tide does not merge it yet.
    Block,
}

impl TideGerrit {
    /// How many changes one call requests; 5 unless set.
    pub fn ratelimit(&self) -> i64 {
        gerrit::ratelimit_or_default(self.ratelimit)
    }
}

impl TideConfig {
    /// The interval between two syncs; 1 min unless set.
    pub fn sync_period(&self) -> GoDuration {
        self.sync_period.unwrap_or(GoDuration::from_secs(60))
    }

    /// The interval between two status updates; [`TideConfig::sync_period`] unless set.
    pub fn status_update_period(&self) -> GoDuration {
        self.status_update_period
            .unwrap_or_else(|| self.sync_period())
    }

    /// How many branches are handled at once; 20 unless set.
    pub fn max_goroutines(&self) -> i64 {
        match self.max_goroutines {
            0 => 20,
            number => number,
        }
    }

    /// 0, no limit, unless set.
    pub fn batch_size_limit(&self, org: &str, repo: &str) -> i64 {
        let limit = find_most_specific(&self.batch_size_limit, org, repo);
        limit.copied().unwrap_or(0)
    }

    /// `true` unless set.
    pub fn prioritizes_existing_batches(&self, org: &str, repo: &str) -> bool {
        let set = find_most_specific(&self.prioritize_existing_batches, org, repo);
        set.copied().unwrap_or(true)
    }

    pub fn merge_blocks(&self, org: &str, repo: &str) -> GithubMergeBlocksPolicy {
        let policy = find_most_specific(&self.github_merge_blocks_policy, org, repo);
        policy.copied().unwrap_or_default()
    }

    /// The link of the status of a repository's pull requests; empty is none.
    pub fn target_url(&self, org: &str, repo: &str) -> &str {
        let url = find_most_specific(&self.target_urls, org, repo);
        url.unwrap_or(&self.target_url)
    }

    pub(super) fn check_tide(&self, report: &mut SectionDiagnostics<'_>) {
        let section = ConfigPath::Root.key("tide");
        if self.max_goroutines() < 0 {
            let path = section.key("max_goroutines");
            report.add_diagnostic("max-goroutines", &path, "expected 1 or more");
        }
        self.check_urls(&section, report);
        merge_method::check_merge_methods(&section.key("merge_method"), &self.merge_method, report);
        let templates = section.key("merge_commit_template");
        for (key, template) in &self.merge_commit_template {
            let path = templates.key(key);
            report.check_template(&path.key("title"), &template.title);
            report.check_template(&path.key("body"), &template.body);
        }
        let queries = section.key("queries");
        for (index, query) in self.queries.iter().enumerate() {
            query.check_query(&queries.index(index), report);
        }
    }

    fn check_urls(&self, section: &ConfigPath<'_>, report: &mut SectionDiagnostics<'_>) {
        if !self.target_url.is_empty() && !self.target_urls.is_empty() {
            report.add_diagnostic(
                "tide-target-url-twice",
                &section.key("target_url"),
                "target_url and target_urls exclude each other",
            );
        }
        let by_repo = &self.pr_status_base_urls;
        if !self.pr_status_base_url.is_empty() && !by_repo.is_empty() {
            report.add_diagnostic(
                "tide-pr-status-twice",
                &section.key("pr_status_base_url"),
                "pr_status_base_url and pr_status_base_urls exclude each other",
            );
        } else if !by_repo.is_empty() && !by_repo.contains_key("*") {
            report.add_diagnostic(
                "tide-pr-status-default",
                &section.key("pr_status_base_urls"),
                "expected \"*\" among the keys, for every other repository",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::GithubMergeBlocksPolicy;
    use crate::config::prow::tests::{loaded, refused};

    #[test]
    fn each_rule_tells_its_place() {
        for (fields, message) in [
            (
                "max_goroutines: -1",
                "config.yaml:1:8: tide.max_goroutines: expected 1 or more",
            ),
            (
                "target_url: a, target_urls: {o: b}",
                "config.yaml:1:8: tide.target_url: target_url and target_urls exclude each other",
            ),
            (
                "pr_status_base_url: a, pr_status_base_urls: {'*': b}",
                "config.yaml:1:8: tide.pr_status_base_url: pr_status_base_url and pr_status_base_urls exclude each other",
            ),
            (
                "pr_status_base_urls: {o: b}",
                r#"config.yaml:1:8: tide.pr_status_base_urls: expected "*" among the keys, for every other repository"#,
            ),
            (
                "merge_commit_template: {o: {title: '{{'}}",
                "config.yaml:1:36: tide.merge_commit_template.o.title: line 1, column 3: unclosed action",
            ),
            (
                "merge_commit_template: {o: {body: '{{if}}'}}",
                "config.yaml:1:36: tide.merge_commit_template.o.body: line 1, column 1: {{if}} has no {{end}}",
            ),
            (
                "github_merge_blocks_policy: {o: blok}",
                r#"config.yaml:1:40: tide.github_merge_blocks_policy.o: found "blok", expected one of ignore, permit, block; did you mean "block"?"#,
            ),
        ] {
            assert_eq!(refused(&format!("tide: {{{fields}}}")), message);
        }
    }

    #[test]
    fn what_is_not_set_is_prows() {
        let tide = loaded("tide: {sync_period: 2m, gerrit: {}}").tide;
        assert_eq!(tide.status_update_period().as_secs(), 120);
        assert_eq!(tide.max_goroutines(), 20);
        assert_eq!(tide.gerrit.as_ref().unwrap().ratelimit(), 5);
        assert_eq!(tide.batch_size_limit("o", "r"), 0);
        assert!(tide.prioritizes_existing_batches("o", "r"));
        assert_eq!(tide.merge_blocks("o", "r"), GithubMergeBlocksPolicy::Permit);
        assert_eq!(tide.target_url("o", "r"), "");
    }

    #[test]
    fn the_narrowest_key_counts() {
        let tide = loaded(
            "tide: {batch_size_limit: {'*': 5, o: -1}, target_url: u, github_merge_blocks_policy: {o/r: block}}",
        )
        .tide;
        assert_eq!(tide.batch_size_limit("o", "r"), -1);
        assert_eq!(tide.batch_size_limit("p", "r"), 5);
        assert_eq!(tide.merge_blocks("o", "r"), GithubMergeBlocksPolicy::Block);
        assert_eq!(tide.target_url("o", "r"), "u");
    }
}
