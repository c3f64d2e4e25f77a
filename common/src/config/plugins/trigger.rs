//! `triggers`: whom the trigger plugin trusts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::prowjob::null_default;

/// Settings for the repositories it lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TriggerConfig {
    /// `org` or `org/repo`.
    #[serde(deserialize_with = "null_default")]
    pub repos: Vec<String>,
    /// GitHub Apps whose pull requests are trusted, with or without `[bot]`.
    #[serde(deserialize_with = "null_default")]
    pub trusted_apps: Vec<String>,
    /// Its members are trusted like those of the repository's organisation. Deprecated in Prow.
    #[serde(deserialize_with = "null_default")]
    pub trusted_org: String,
    /// Link on how to become trusted; the people page of `trusted_org` unless set.
    #[serde(deserialize_with = "null_default")]
    pub join_org_url: String,
    /// Collaborators are not trusted, members are.
    #[serde(deserialize_with = "null_default")]
    pub only_org_members: bool,
    /// `/ok-to-test` has no effect.
    #[serde(deserialize_with = "null_default")]
    pub ignore_ok_to_test: bool,
    /// Accepted, but not implemented yet: starting GitHub's own workflows.
    #[serde(deserialize_with = "null_default")]
    pub trigger_github_workflows: bool,
    /// Accepted, but not implemented yet: nobody is invited.
    #[serde(deserialize_with = "null_default")]
    pub org_invite: OrgInvite,
}

/// How a stranger is invited into the organisation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct OrgInvite {
    #[serde(deserialize_with = "null_default")]
    pub prominent: ProminentInvite,
}

/// How a stranger with several merged pull requests is invited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ProminentInvite {
    #[serde(deserialize_with = "null_default")]
    pub disabled: bool,
    /// Minimum number of merged pull requests; 3 unless set.
    pub merged_pr_threshold: Option<i64>,
    /// `{join_org_url}` in it stands for that URL.
    #[serde(deserialize_with = "null_default")]
    pub message: String,
}

impl TriggerConfig {
    pub(super) fn set_defaults(&mut self) {
        if !self.trusted_org.is_empty() && self.join_org_url.is_empty() {
            self.join_org_url = format!("https://github.com/orgs/{}/people", self.trusted_org);
        }
    }
}
