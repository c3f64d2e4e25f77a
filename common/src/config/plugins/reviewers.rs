//! `blunderbuss` and `rifle`: who is asked for reviews.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::section_diagnostics::SectionDiagnostics;
use crate::{config::ConfigPath, prowjob::null_default};

/// How many reviewers are asked unless set.
const REQUEST_COUNT: i64 = 2;

/// Tide's description of a pull request that only lacks reviews.
const LACKS_REVIEWS: &str = r"Not mergeable. (PullRequest is missing sufficient approving GitHub review\(s\)|Needs (lgtm|approved|approved, lgtm) labels?)\.?";

/// Settings of either plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ReviewersConfig {
    /// Minimum number of reviewers to ask; 2 unless set.
    pub request_count: Option<i64>,
    /// Maximum number of reviewers to ask; 0 is no limit.
    #[serde(deserialize_with = "null_default")]
    pub max_request_count: i64,
    /// Approvers are not asked, even if there are too few reviewers.
    #[serde(deserialize_with = "null_default")]
    pub exclude_approvers: bool,
    /// Users whose status on GitHub says they are busy are not asked.
    #[serde(deserialize_with = "null_default")]
    pub use_status_availability: bool,
    /// Nobody is asked for a draft.
    #[serde(deserialize_with = "null_default")]
    pub ignore_drafts: bool,
    /// Nobody is asked for these users' pull requests.
    #[serde(deserialize_with = "null_default")]
    pub ignore_authors: Vec<String>,
    /// Nobody is asked before the commit has this status.
    pub wait_for_status: Option<ContextMatch>,
}

/// A status on a commit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ContextMatch {
    /// `tide` unless set.
    #[serde(deserialize_with = "null_default")]
    pub context: String,
    /// A pattern; unless set, Tide's description of a pull request that only lacks reviews.
    #[serde(deserialize_with = "null_default")]
    pub description: String,
    /// `pending` unless set.
    #[serde(deserialize_with = "null_default")]
    pub state: String,
}

impl ReviewersConfig {
    pub(super) fn set_defaults(&mut self) {
        self.request_count.get_or_insert(REQUEST_COUNT);
        if let Some(status) = &mut self.wait_for_status {
            super::fill_default(&mut status.context, "tide");
            super::fill_default(&mut status.state, "pending");
            super::fill_default(&mut status.description, LACKS_REVIEWS);
        }
    }

    pub(super) fn check_reviewers(&self, section: &str, report: &mut SectionDiagnostics<'_>) {
        let section = ConfigPath::Root.key(section);
        if let Some(count) = self.request_count.filter(|count| *count < 1) {
            report.add_diagnostic(
                "request-count",
                &section.key("request_count"),
                format!("found {count}, expected 1 or more"),
            );
        }
        if let Some(status) = &self.wait_for_status {
            let path = section.key("wait_for_status");
            report.check_pattern(&path.key("description"), &status.description);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::plugins::tests::{loaded, refused};

    #[test]
    fn somebody_is_asked() {
        for (yaml, message) in [
            (
                "blunderbuss:\n  request_count: 0",
                "plugins.yaml:2:3: blunderbuss.request_count: found 0, expected 1 or more",
            ),
            (
                "rifle:\n  request_count: -1",
                "plugins.yaml:2:3: rifle.request_count: found -1, expected 1 or more",
            ),
            (
                "blunderbuss:\n  wait_for_status: {description: '('}",
                r#"plugins.yaml:2:21: blunderbuss.wait_for_status.description: "(" is no regular expression: missing closing )"#,
            ),
            (
                "rifle:\n  wait_for_status: {description: '*'}",
                r#"plugins.yaml:2:21: rifle.wait_for_status.description: "*" is no regular expression: missing argument to repetition operator: `*`"#,
            ),
        ] {
            assert_eq!(refused(yaml), message);
        }
    }

    #[test]
    fn what_is_not_written_is_filled_in() {
        let plugins = loaded("blunderbuss:\n  wait_for_status: {state: success}");
        let status = plugins.blunderbuss.wait_for_status.unwrap();
        assert_eq!((&*status.context, &*status.state), ("tide", "success"));
        assert!(status.description.starts_with("Not mergeable."));
        assert_eq!(plugins.blunderbuss.request_count, Some(2));
        assert_eq!(plugins.rifle.request_count, Some(2));
        assert_eq!(plugins.rifle.wait_for_status, None);
    }
}
