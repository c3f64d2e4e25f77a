//! `project_config`: who sorts issues into GitHub's classic project boards.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::prowjob::null_default;

/// Settings by organisation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ProjectConfig {
    #[serde(deserialize_with = "null_default")]
    pub project_org_configs: BTreeMap<String, ProjectOrg>,
}

/// Boards of an organisation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ProjectOrg {
    /// The number of the team that may use the boards.
    #[serde(deserialize_with = "null_default")]
    pub org_maintainers_team_id: i64,
    /// The column for a command that names none, by board.
    #[serde(deserialize_with = "null_default")]
    pub org_default_column_map: BTreeMap<String, String>,
    /// By the bare name of the repository; takes precedence over the organisation.
    #[serde(deserialize_with = "null_default")]
    pub project_repo_configs: BTreeMap<String, ProjectRepo>,
}

/// Boards of a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ProjectRepo {
    #[serde(deserialize_with = "null_default")]
    pub repo_maintainers_team_id: i64,
    #[serde(deserialize_with = "null_default")]
    pub repo_default_column_map: BTreeMap<String, String>,
}
