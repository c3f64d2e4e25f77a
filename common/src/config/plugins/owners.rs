//! `owners`: how OWNERS files are read.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::prowjob::null_default;

/// Settings of all plugins that read OWNERS files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct OwnersConfig {
    /// Repositories (`org` or `org/repo`) where Markdown files may name owners at their top.
    #[serde(deserialize_with = "null_default")]
    pub mdyamlrepos: Vec<String>,
    /// Repositories (`org` or `org/repo`) where owners need not be collaborators.
    #[serde(deserialize_with = "null_default")]
    pub skip_collaborators: Vec<String>,
    /// Labels that no OWNERS file may set; `approved` and `lgtm` unless set.
    pub labels_denylist: Option<Vec<String>>,
    /// Other names of the files, by `org` or `org/repo`.
    #[serde(deserialize_with = "null_default")]
    pub filenames: BTreeMap<String, OwnersFilenames>,
}

/// The names of the files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct OwnersFilenames {
    #[serde(deserialize_with = "null_default")]
    pub owners: String,
    #[serde(deserialize_with = "null_default")]
    pub owners_aliases: String,
}

impl OwnersConfig {
    pub(super) fn set_defaults(&mut self) {
        self.labels_denylist
            .get_or_insert_with(|| ["approved", "lgtm"].map(str::to_owned).into());
    }
}
