//! `help`: the guidelines that contributors are pointed to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::prowjob::null_default;

const GUIDELINES: &str = "https://git.k8s.io/community/contributors/guide/help-wanted.md";

/// Settings of the plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct HelpConfig {
    /// Kubernetes' own guide unless set.
    #[serde(deserialize_with = "null_default")]
    pub help_guidelines_url: String,
    /// A summary of the guidelines, for the comment.
    #[serde(deserialize_with = "null_default")]
    pub help_guidelines_summary: String,
}

impl HelpConfig {
    pub(super) fn set_defaults(&mut self) {
        super::fill_default(&mut self.help_guidelines_url, GUIDELINES);
    }
}
