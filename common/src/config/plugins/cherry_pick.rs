//! `cherry_pick_approved` and `cherry_pick_unapproved`: who approves changes to release branches.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::section_diagnostics::SectionDiagnostics;
use crate::{config::ConfigPath, prowjob::null_default};

const RELEASE_BRANCHES: &str = "^release-.*$";
const NOT_APPROVED: &str = "This PR is not for the master branch but does not have the `cherry-pick-approved`  label. Adding the `do-not-merge/cherry-pick-not-approved`  label.";

/// Who approves changes in a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CherryPickApproved {
    #[serde(deserialize_with = "null_default")]
    pub org: String,
    /// The bare name of the repository.
    #[serde(deserialize_with = "null_default")]
    pub repo: String,
    /// `^release-.*$` unless set.
    #[serde(deserialize_with = "null_default")]
    pub branchregexp: String,
    /// Logins.
    #[serde(deserialize_with = "null_default")]
    pub approvers: Vec<String>,
    #[serde(deserialize_with = "null_default")]
    pub allow_missing_approved_label: bool,
    #[serde(deserialize_with = "null_default")]
    pub allow_missing_lgtm_label: bool,
}

/// The comment on pull requests that nobody has approved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CherryPickUnapproved {
    /// `^release-.*$` unless set.
    #[serde(deserialize_with = "null_default")]
    pub branchregexp: String,
    #[serde(deserialize_with = "null_default")]
    pub comment: String,
}

impl CherryPickApproved {
    pub(super) fn set_defaults(&mut self) {
        super::fill_default(&mut self.branchregexp, RELEASE_BRANCHES);
    }
}

impl CherryPickUnapproved {
    pub(super) fn set_defaults(&mut self) {
        super::fill_default(&mut self.branchregexp, RELEASE_BRANCHES);
        super::fill_default(&mut self.comment, NOT_APPROVED);
    }
}

pub(super) fn check_cherry_pick(
    approved: &[CherryPickApproved],
    unapproved: &CherryPickUnapproved,
    report: &mut SectionDiagnostics<'_>,
) {
    let section = ConfigPath::Root.key("cherry_pick_approved");
    for (index, entry) in approved.iter().enumerate() {
        let path = section.index(index);
        report.check_pattern(&path.key("branchregexp"), &entry.branchregexp);
    }
    let section = ConfigPath::Root.key("cherry_pick_unapproved");
    report.check_pattern(&section.key("branchregexp"), &unapproved.branchregexp);
}

#[cfg(test)]
mod tests {
    use crate::config::plugins::tests::{loaded, refused};

    #[test]
    fn branches_are_patterns() {
        for (yaml, message) in [
            (
                "cherry_pick_approved:\n- branchregexp: '('",
                r#"plugins.yaml:2:3: cherry_pick_approved[0].branchregexp: "(" is no regular expression: missing closing )"#,
            ),
            (
                "cherry_pick_unapproved:\n  branchregexp: '('",
                r#"plugins.yaml:2:3: cherry_pick_unapproved.branchregexp: "(" is no regular expression: missing closing )"#,
            ),
        ] {
            assert_eq!(refused(yaml), message);
        }
        let plugins = loaded("cherry_pick_approved: [{org: o}]");
        assert_eq!(plugins.cherry_pick_approved[0].branchregexp, "^release-.*$");
        assert_eq!(plugins.cherry_pick_unapproved.branchregexp, "^release-.*$");
    }
}
