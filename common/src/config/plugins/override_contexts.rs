//! `override`: who may declare a failed context passed.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::prowjob::null_default;

/// Who may in addition to administrators of the repository.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct OverrideConfig {
    /// Approvers of the root OWNERS file.
    #[serde(deserialize_with = "null_default")]
    pub allow_top_level_owners: bool,
    /// Slugs of teams by `org` or `org/repo`.
    #[serde(deserialize_with = "null_default")]
    pub allowed_github_teams: BTreeMap<String, Vec<String>>,
}
