//! `slack`: what is reported to which channels.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::prowjob::null_default;

/// Settings of the plugin slackevents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SlackConfig {
    /// Channels that get mentions of special interest groups.
    #[serde(deserialize_with = "null_default")]
    pub mentionchannels: Vec<String>,
    #[serde(deserialize_with = "null_default")]
    pub mergewarnings: Vec<MergeWarning>,
}

/// Reports manual merges.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MergeWarning {
    /// `org` or `org/repo`.
    #[serde(deserialize_with = "null_default")]
    pub repos: Vec<String>,
    #[serde(deserialize_with = "null_default")]
    pub channels: Vec<String>,
    /// Users who may merge manually.
    #[serde(deserialize_with = "null_default")]
    pub exempt_users: Vec<String>,
    /// Branches into which anyone may merge manually, by `org` or `org/repo`.
    #[serde(deserialize_with = "null_default")]
    pub exempt_branches: BTreeMap<String, Vec<String>>,
}
