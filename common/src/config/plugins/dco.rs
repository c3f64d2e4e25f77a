//! `dco`: whose commits need a `Signed-off-by`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::prowjob::null_default;

/// Settings of a repository, an organisation or, under `*`, of all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct DcoConfig {
    #[serde(deserialize_with = "null_default")]
    pub skip_dco_check_for_members: bool,
    /// GitHub Apps, without `[bot]`.
    #[serde(deserialize_with = "null_default")]
    pub trusted_apps: Vec<String>,
    /// The organisation whose members are meant; the repository's own unless set.
    #[serde(deserialize_with = "null_default")]
    pub trusted_org: String,
    #[serde(deserialize_with = "null_default")]
    pub skip_dco_check_for_collaborators: bool,
    /// Where `CONTRIBUTING.md` is, if not in the repository itself.
    #[serde(deserialize_with = "null_default")]
    pub contributing_repo: String,
    #[serde(deserialize_with = "null_default")]
    pub contributing_branch: String,
    #[serde(deserialize_with = "null_default")]
    pub contributing_path: String,
}
