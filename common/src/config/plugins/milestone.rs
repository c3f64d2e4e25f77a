//! `repo_milestone` and `milestone_applier`: who sets milestones, and which are set by branch.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::prowjob::null_default;

const MAINTAINERS: &str = "SIG Chairs/TLs";

/// Milestones by branch.
pub type BranchToMilestone = BTreeMap<String, String>;

/// Who sets milestones in a repository; under the empty name, in all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MilestoneConfig {
    /// The team's number: the older form of `maintainers_team`.
    #[serde(deserialize_with = "null_default")]
    pub maintainers_id: i64,
    #[serde(deserialize_with = "null_default")]
    pub maintainers_team: String,
    /// The team's name in comments; `SIG Chairs/TLs` unless set.
    #[serde(deserialize_with = "null_default")]
    pub maintainers_friendly_name: String,
}

impl MilestoneConfig {
    pub(super) fn set_defaults(&mut self) {
        super::fill_default(&mut self.maintainers_friendly_name, MAINTAINERS);
    }
}
