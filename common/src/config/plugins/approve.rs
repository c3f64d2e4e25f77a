//! `approve`: how the plugin approve decides.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::prowjob::null_default;

/// Settings for the repositories it lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ApproveConfig {
    /// `org` or `org/repo`, each in one entry only.
    #[serde(deserialize_with = "null_default")]
    pub repos: Vec<String>,
    /// A pull request must name an issue.
    #[serde(deserialize_with = "null_default")]
    pub issue_required: bool,
    /// Authors who are approvers do not approve their own changes implicitly; `false` unless set.
    pub require_self_approval: Option<bool>,
    /// `/lgtm` of an approver approves as well.
    #[serde(deserialize_with = "null_default")]
    pub lgtm_acts_as_approve: bool,
    /// Reviews on GitHub are ignored; `false` unless set.
    pub ignore_review_state: Option<bool>,
    /// Link to an explanation of the commands.
    #[serde(rename = "commandHelpLink", deserialize_with = "null_default")]
    pub command_help_link: String,
    /// Link to an explanation of the review process.
    #[serde(deserialize_with = "null_default")]
    pub pr_process_link: String,
}
