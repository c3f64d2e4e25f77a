//! `slack`: what is told to which channels.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::prowjob::null_default;

/// Settings of the plugin slackevents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SlackConfig {
    /// Hear of mentions of special interest groups.
    #[serde(deserialize_with = "null_default")]
    pub mentionchannels: Vec<String>,
    #[serde(deserialize_with = "null_default")]
    pub mergewarnings: Vec<MergeWarning>,
}

/// Tells of merges by hand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MergeWarning {
    /// `org` or `org/repo`.
    #[serde(deserialize_with = "null_default")]
    pub repos: Vec<String>,
    #[serde(deserialize_with = "null_default")]
    pub channels: Vec<String>,
    /// Users who may.
    #[serde(deserialize_with = "null_default")]
    pub exempt_users: Vec<String>,
    /// Branches into which anyone may, by `org` or `org/repo`.
    #[serde(deserialize_with = "null_default")]
    pub exempt_branches: BTreeMap<String, Vec<String>>,
}
