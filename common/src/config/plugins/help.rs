//! `help`: what contributors are pointed to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::prowjob::null_default;

const GUIDELINES: &str = "https://git.k8s.io/community/contributors/guide/help-wanted.md";

/// Settings of the plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Help {
    /// Kubernetes' own guide unless set.
    #[serde(deserialize_with = "null_default")]
    pub help_guidelines_url: String,
    /// What it says, for the comment.
    #[serde(deserialize_with = "null_default")]
    pub help_guidelines_summary: String,
}

impl Help {
    pub(super) fn complete(&mut self) {
        super::or(&mut self.help_guidelines_url, GUIDELINES);
    }
}
