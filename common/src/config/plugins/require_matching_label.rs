//! `require_matching_label`: which labels every issue and pull request must have.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::section_diagnostics::SectionDiagnostics;
use crate::{config::ConfigPath, duration::GoDuration, prowjob::null_default};

/// One rule for a repository or an organisation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RequireMatchingLabel {
    #[serde(deserialize_with = "null_default")]
    pub org: String,
    /// The bare name of the repository; all of the organisation unless set.
    #[serde(deserialize_with = "null_default")]
    pub repo: String,
    /// The base branch of pull requests; all unless set.
    #[serde(deserialize_with = "null_default")]
    pub branch: String,
    /// The rule applies to pull requests.
    #[serde(deserialize_with = "null_default")]
    pub prs: bool,
    /// The rule applies to issues.
    #[serde(deserialize_with = "null_default")]
    pub issues: bool,
    /// A pattern that a label must match.
    #[serde(deserialize_with = "null_default")]
    pub regexp: String,
    /// The label that is set while none matches.
    #[serde(deserialize_with = "null_default")]
    pub missing_label: String,
    /// The comment that is posted when `missing_label` is set.
    #[serde(deserialize_with = "null_default")]
    pub missing_comment: String,
    /// How long others may set labels first; `5s` unless set. A Go duration.
    #[serde(deserialize_with = "null_default")]
    pub grace_period: String,
}

impl RequireMatchingLabel {
    pub(super) fn set_defaults(&mut self) {
        super::fill_default(&mut self.grace_period, "5s");
    }

    fn check_entry(&self, entry: &ConfigPath<'_>, report: &mut SectionDiagnostics<'_>) {
        let mut wrong =
            |key: &str, message: &str| report.add_diagnostic(RULE, &entry.key(key), message);
        for (key, text) in [
            ("org", &self.org),
            ("regexp", &self.regexp),
            ("missing_label", &self.missing_label),
        ] {
            if text.is_empty() {
                wrong(key, "is required");
            }
        }
        if self.repo.contains('/') {
            wrong("repo", "expected its bare name; the organisation is org");
        }
        if !self.prs && !self.issues {
            wrong("prs", "expected prs: true, issues: true, or both");
        } else if !self.prs && !self.branch.is_empty() {
            wrong("branch", "only pull requests have one; expected prs: true");
        }
        if let Err(error) = self.grace_period.parse::<GoDuration>() {
            report.add_diagnostic("duration", &entry.key("grace_period"), error.to_string());
        }
        let Some(pattern) = report.check_pattern(&entry.key("regexp"), &self.regexp) else {
            return;
        };
        let given = !self.regexp.is_empty() && !self.missing_label.is_empty();
        if given && pattern.is_match(&self.missing_label) {
            report.add_diagnostic(
                RULE,
                &entry.key("missing_label"),
                format!("{:?} fits regexp itself", self.missing_label),
            );
        }
    }
}

const RULE: &str = "require-matching-label";

pub(super) fn check_matching_labels(
    entries: &[RequireMatchingLabel],
    report: &mut SectionDiagnostics<'_>,
) {
    let section = ConfigPath::Root.key("require_matching_label");
    for (index, entry) in entries.iter().enumerate() {
        entry.check_entry(&section.index(index), report);
    }
}

#[cfg(test)]
mod tests {
    use crate::config::plugins::tests::{loaded, refused};

    #[test]
    fn an_entry_says_where_what_and_what_else() {
        for (fields, message) in [
            (
                "regexp: ^kind/, missing_label: needs-kind, prs: true",
                "plugins.yaml:2:3: require_matching_label[0].org: is required",
            ),
            (
                "org: o, missing_label: needs-kind, prs: true",
                "plugins.yaml:2:3: require_matching_label[0].regexp: is required",
            ),
            (
                "org: o, regexp: ^kind/, prs: true",
                "plugins.yaml:2:3: require_matching_label[0].missing_label: is required",
            ),
            (
                "org: o, repo: o/r, regexp: ^kind/, missing_label: needs-kind, prs: true",
                "plugins.yaml:2:12: require_matching_label[0].repo: expected its bare name; the organisation is org",
            ),
            (
                "org: o, regexp: ^kind/, missing_label: needs-kind",
                "plugins.yaml:2:3: require_matching_label[0].prs: expected prs: true, issues: true, or both",
            ),
            (
                "org: o, branch: main, regexp: ^kind/, missing_label: needs-kind, issues: true",
                "plugins.yaml:2:12: require_matching_label[0].branch: only pull requests have one; expected prs: true",
            ),
            (
                "org: o, regexp: kind, missing_label: needs-kind, prs: true",
                r#"plugins.yaml:2:26: require_matching_label[0].missing_label: "needs-kind" fits regexp itself"#,
            ),
            (
                "org: o, regexp: '(', missing_label: needs-kind, prs: true",
                r#"plugins.yaml:2:12: require_matching_label[0].regexp: "(" is no regular expression: missing closing )"#,
            ),
            (
                "org: o, regexp: ^kind/, missing_label: needs-kind, prs: true, grace_period: 5",
                r#"plugins.yaml:2:66: require_matching_label[0].grace_period: "5" is not a duration: expected numbers with units, as in 300ms, 1h30m or 10s"#,
            ),
        ] {
            assert_eq!(
                refused(&format!("require_matching_label:\n- {{{fields}}}")),
                message
            );
        }
    }

    #[test]
    fn others_have_five_seconds() {
        let plugins = loaded(
            "require_matching_label: [{org: o, regexp: ^a, missing_label: b, issues: true}]",
        );
        assert_eq!(plugins.require_matching_label[0].grace_period, "5s");
    }
}
