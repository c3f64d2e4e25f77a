//! `jira`: which projects' issues are not linked.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::prowjob::null_default;

/// Settings of the plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct JiraConfig {
    /// Case does not matter.
    #[serde(deserialize_with = "null_default")]
    pub disabled_jira_projects: Vec<String>,
}
