//! `release_note`: the guidelines that contributors are pointed to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::prowjob::null_default;

const GUIDELINES: &str = "https://git.k8s.io/community/contributors/guide/release-notes.md";

/// Settings of the plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ReleaseNote {
    /// Kubernetes' own guide unless set.
    #[serde(deserialize_with = "null_default")]
    pub guidelines_url: String,
}

impl ReleaseNote {
    pub(super) fn set_defaults(&mut self) {
        super::fill_default(&mut self.guidelines_url, GUIDELINES);
    }
}
