//! `label`: which labels may be set, and by whom.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::prowjob::null_default;

/// Settings of the plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LabelConfig {
    /// Labels in addition to those of the known categories.
    #[serde(deserialize_with = "null_default")]
    pub additional_labels: Vec<String>,
    /// By `*`, `org` or `org/repo`.
    #[serde(deserialize_with = "null_default")]
    pub restricted_labels: BTreeMap<String, Vec<RestrictedLabel>>,
}

/// A label that only some users may set and remove.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RestrictedLabel {
    #[serde(deserialize_with = "null_default")]
    pub label: String,
    /// Slugs of teams.
    #[serde(deserialize_with = "null_default")]
    pub allowed_teams: Vec<String>,
    /// Logins.
    #[serde(deserialize_with = "null_default")]
    pub allowed_users: Vec<String>,
    /// When one of these labels is set, `allowed_users` are assigned.
    #[serde(deserialize_with = "null_default")]
    pub assign_on: Vec<AssignOn>,
}

/// A label that leads to assignments.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AssignOn {
    #[serde(deserialize_with = "null_default")]
    pub label: String,
}
