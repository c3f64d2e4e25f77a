//! `invalid_commit_msg`: which commit messages keep a pull request from merging.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::section_diagnostics::{SectionDiagnostics, did_you_mean};
use crate::{config::ConfigPath, prowjob::null_default};

/// The names of the plugin's checks.
const CHECKS: [&str; 2] = ["fixupPrefix", "issueClosingKeywords"];

/// Settings for the repositories it lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct InvalidCommitMsg {
    /// `org` or `org/repo`, each in one entry only.
    #[serde(deserialize_with = "null_default")]
    pub repos: Vec<String>,
    #[serde(deserialize_with = "null_default")]
    pub checks: Vec<InvalidCommitMsgCheck>,
}

/// One of the checks; all are enabled unless disabled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct InvalidCommitMsgCheck {
    /// `fixupPrefix` or `issueClosingKeywords`.
    #[serde(deserialize_with = "null_default")]
    pub name: String,
    #[serde(deserialize_with = "null_default")]
    pub disabled: bool,
}

const RULE: &str = "invalid-commit-msg";

pub(super) fn check_invalid_commit_msg(
    entries: &[InvalidCommitMsg],
    report: &mut SectionDiagnostics<'_>,
) {
    report.check_listed_once(
        "invalid_commit_msg",
        entries.iter().map(|entry| &entry.repos),
    );
    let section = ConfigPath::Root.key("invalid_commit_msg");
    for (index, entry) in entries.iter().enumerate() {
        let place = section.index(index);
        let repos = place.key("repos");
        for (index, repo) in entry.repos.iter().enumerate() {
            if repo.trim().is_empty() {
                let message = format!("found {repo:?}, expected org or org/repo");
                report.add_diagnostic(RULE, &repos.index(index), message);
            }
        }
        let checks = place.key("checks");
        for (index, check) in entry.checks.iter().enumerate() {
            let place = checks.index(index);
            if check.name.trim().is_empty() {
                report.add_diagnostic(RULE, &place.key("name"), "is required");
            } else if !CHECKS.contains(&check.name.as_str()) {
                report.add_with_hint(
                    RULE,
                    &place.key("name"),
                    format!(
                        "found {:?}, expected one of {}",
                        check.name,
                        CHECKS.join(", ")
                    ),
                    did_you_mean(&check.name, CHECKS),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::plugins::tests::refused;

    #[test]
    fn repositories_are_named_once_and_checks_are_known() {
        for (yaml, message) in [
            (
                "[{repos: [' ']}]",
                r#"plugins.yaml:2:12: invalid_commit_msg[0].repos[0]: found " ", expected org or org/repo"#,
            ),
            (
                "[{repos: [o, o/r]}, {repos: [o/r]}]",
                r#"plugins.yaml:2:31: invalid_commit_msg[1].repos[0]: "o/r" is already listed in invalid_commit_msg[0]"#,
            ),
            (
                "[{checks: [{name: ''}]}]",
                "plugins.yaml:2:14: invalid_commit_msg[0].checks[0].name: is required",
            ),
            (
                "[{checks: [{name: fixupPrefixes}]}]",
                r#"plugins.yaml:2:14: invalid_commit_msg[0].checks[0].name: found "fixupPrefixes", expected one of fixupPrefix, issueClosingKeywords; did you mean "fixupPrefix"?"#,
            ),
        ] {
            assert_eq!(refused(&format!("invalid_commit_msg:\n {yaml}")), message);
        }
    }
}
