//! `triggers`: whom the trigger plugin trusts.

use serde::Deserialize;

use crate::prowjob::null_default;

/// Settings for the repositories it lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Trigger {
    /// `org` or `org/repo`.
    #[serde(deserialize_with = "null_default")]
    pub repos: Vec<String>,
    /// GitHub Apps whose pull requests are trusted, with or without `[bot]`.
    #[serde(deserialize_with = "null_default")]
    pub trusted_apps: Vec<String>,
    /// Its members are trusted as the repository's own organisation's are.
    #[serde(deserialize_with = "null_default")]
    pub trusted_org: String,
    /// Where a stranger learns how to become trusted.
    #[serde(deserialize_with = "null_default")]
    pub join_org_url: String,
    /// Collaborators are not trusted, members are.
    #[serde(deserialize_with = "null_default")]
    pub only_org_members: bool,
    /// `/ok-to-test` changes nothing.
    #[serde(deserialize_with = "null_default")]
    pub ignore_ok_to_test: bool,
    /// Kept; starting GitHub's own workflows is not built yet.
    #[serde(deserialize_with = "null_default")]
    pub trigger_github_workflows: bool,
}
