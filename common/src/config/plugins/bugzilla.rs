//! `bugzilla`: which bug a pull request must name, by organisation, repository and branch.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::prowjob::null_default;

/// Options by branch; the most specific ones apply. The branch `*` is every branch.
pub type BugzillaByBranch = BTreeMap<String, BugzillaBranch>;

/// Options for everything, and by organisation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct BugzillaConfig {
    pub default: Option<BugzillaByBranch>,
    #[serde(deserialize_with = "null_default")]
    pub orgs: BTreeMap<String, BugzillaOrg>,
}

/// Options for an organisation, and by the bare name of its repositories.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct BugzillaOrg {
    pub default: Option<BugzillaByBranch>,
    #[serde(deserialize_with = "null_default")]
    pub repos: BTreeMap<String, BugzillaRepo>,
}

/// Options for a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct BugzillaRepo {
    #[serde(deserialize_with = "null_default")]
    pub branches: BugzillaByBranch,
}

/// When a bug is valid for a branch, and how its state changes. A `status` is the older form of a
/// `state` without resolution.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct BugzillaBranch {
    /// Less specific options do not apply.
    pub exclude_defaults: Option<bool>,
    /// A cherry-pick gets a bug of its own.
    pub enable_backporting: Option<bool>,
    /// Every pull request is checked, not only those that name a bug.
    pub validate_by_default: Option<bool>,
    pub is_open: Option<bool>,
    pub target_release: Option<String>,
    pub statuses: Option<Vec<String>>,
    pub valid_states: Option<Vec<BugzillaState>>,
    pub dependent_bug_statuses: Option<Vec<String>>,
    pub dependent_bug_states: Option<Vec<BugzillaState>>,
    pub dependent_bug_target_releases: Option<Vec<String>>,
    /// The older form: one more entry of `dependent_bug_target_releases`.
    pub dependent_bug_target_release: Option<String>,
    pub status_after_validation: Option<String>,
    pub state_after_validation: Option<BugzillaState>,
    /// The bug gets a link to the pull request.
    pub add_external_link: Option<bool>,
    pub status_after_merge: Option<String>,
    pub state_after_merge: Option<BugzillaState>,
    pub state_after_close: Option<BugzillaState>,
    /// A bug of any other group is not linked.
    #[serde(deserialize_with = "null_default")]
    pub allowed_groups: Vec<String>,
}

/// The state of a bug.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct BugzillaState {
    #[serde(deserialize_with = "null_default")]
    pub status: String,
    #[serde(deserialize_with = "null_default")]
    pub resolution: String,
}
