//! `github_reporter`: which jobs are reported to GitHub, and how.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    config::{ConfigPath, section_diagnostics::SectionDiagnostics},
    prowjob::{ProwJobType, null_default},
    repo_names,
};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct GithubReporterConfig {
    /// Presubmits and postsubmits if unset or empty; the other two types cannot be reported.
    #[serde(deserialize_with = "job_types")]
    pub job_types_to_report: Vec<ProwJobType>,
    /// `org` or `org/repo` where results are reported as statuses only.
    #[serde(deserialize_with = "null_default")]
    pub no_comment_repos: Vec<String>,
    /// `org` or `org/repo` where one comment summarises all results.
    #[serde(deserialize_with = "null_default")]
    pub summary_comment_repos: Vec<String>,
    /// Results are reported as check runs, too; Prow has no such setting.
    pub checks: bool,
}

impl Default for GithubReporterConfig {
    fn default() -> Self {
        Self {
            job_types_to_report: REPORTED_JOB_TYPES.to_vec(),
            no_comment_repos: Vec::new(),
            summary_comment_repos: Vec::new(),
            checks: false,
        }
    }
}

impl GithubReporterConfig {
    /// Whether results of this repository get a comment.
    pub fn comments_on(&self, org: &str, repo: &str) -> bool {
        !lists_repo(&self.no_comment_repos, org, repo)
    }

    pub(super) fn check_github_reporter(&self, report: &mut SectionDiagnostics<'_>) {
        let section = ConfigPath::Root.key("github_reporter");
        let list = section.key("job_types_to_report");
        for (index, kind) in self.job_types_to_report.iter().enumerate() {
            if !REPORTED_JOB_TYPES.contains(kind) {
                report.add_diagnostic(
                    "job-types-to-report",
                    &list.index(index),
                    format!(
                        "a {kind} has no commit to report on; expected presubmit or postsubmit"
                    ),
                );
            }
        }
    }

    /// Whether this repository gets one comment for all results.
    pub fn uses_summary_comment(&self, org: &str, repo: &str) -> bool {
        lists_repo(&self.summary_comment_repos, org, repo)
    }
}

const REPORTED_JOB_TYPES: [ProwJobType; 2] = [ProwJobType::Presubmit, ProwJobType::Postsubmit];

fn job_types<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<ProwJobType>, D::Error> {
    let written = Option::<Vec<_>>::deserialize(deserializer)?;
    Ok(written
        .filter(|types| !types.is_empty())
        .unwrap_or_else(|| REPORTED_JOB_TYPES.to_vec()))
}

fn lists_repo(repos: &[String], org: &str, repo: &str) -> bool {
    repos
        .iter()
        .any(|entry| repo_names::covers_repo(entry, org, repo))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::prow::tests::{loaded, refused};

    #[test]
    fn only_what_has_a_commit_is_reported() {
        assert_eq!(
            refused("github_reporter: {job_types_to_report: [presubmit, periodic]}"),
            "config.yaml:1:52: github_reporter.job_types_to_report[1]: a periodic has no commit to report on; expected presubmit or postsubmit"
        );
        let reporter = loaded("github_reporter: {job_types_to_report: []}").github_reporter;
        assert_eq!(reporter, GithubReporterConfig::default());
        assert!(!reporter.checks);
    }
}
