//! `retitle`: which titles may be changed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::prowjob::null_default;

/// Settings of the plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RetitleConfig {
    #[serde(deserialize_with = "null_default")]
    pub allow_closed_issues: bool,
}
