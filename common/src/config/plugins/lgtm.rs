//! `lgtm`: how the plugin lgtm decides.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::prowjob::null_default;

/// Settings for the repositories it lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LgtmConfig {
    /// `org` or `org/repo`.
    #[serde(deserialize_with = "null_default")]
    pub repos: Vec<String>,
    /// GitHub's own approving reviews set the label, its requests for changes remove it.
    #[serde(deserialize_with = "null_default")]
    pub review_acts_as_lgtm: bool,
    /// The label stays after a push that leaves the tree unchanged, such as a squash.
    #[serde(deserialize_with = "null_default")]
    pub store_tree_hash: bool,
    /// A team whose members' pushes do not remove the label. Whoever takes over one of these
    /// accounts can have anything merged.
    #[serde(deserialize_with = "null_default")]
    pub trusted_team_for_sticky_lgtm: String,
}
