//! `github_reporter`: which jobs are told of on GitHub, and how.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::prowjob::{ProwJobType, null_default};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct GithubReporter {
    /// Presubmits and postsubmits unless set; the other two kinds cannot be reported.
    pub job_types_to_report: Vec<ProwJobType>,
    /// `org` or `org/repo` where results are statuses only.
    #[serde(deserialize_with = "null_default")]
    pub no_comment_repos: Vec<String>,
    /// `org` or `org/repo` where one comment sums up all results.
    #[serde(deserialize_with = "null_default")]
    pub summary_comment_repos: Vec<String>,
}

impl Default for GithubReporter {
    fn default() -> Self {
        Self {
            job_types_to_report: vec![ProwJobType::Presubmit, ProwJobType::Postsubmit],
            no_comment_repos: Vec::new(),
            summary_comment_repos: Vec::new(),
        }
    }
}

impl GithubReporter {
    /// Whether results of this repository get a comment.
    pub fn comments_on(&self, org: &str, repo: &str) -> bool {
        !lists(&self.no_comment_repos, org, repo)
    }

    /// Whether this repository gets one comment for all results.
    pub fn sums_up(&self, org: &str, repo: &str) -> bool {
        lists(&self.summary_comment_repos, org, repo)
    }
}

fn lists(repos: &[String], org: &str, repo: &str) -> bool {
    repos
        .iter()
        .any(|entry| entry == org || entry.split_once('/') == Some((org, repo)))
}
