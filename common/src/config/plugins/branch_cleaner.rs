//! `branch_cleaner`: which merged branches are kept.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::prowjob::null_default;

/// Branches to keep, by name or pattern, by `org` or `org/repo`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct BranchCleaner {
    #[serde(deserialize_with = "null_default")]
    pub preserved_branches: BTreeMap<String, Vec<String>>,
}
