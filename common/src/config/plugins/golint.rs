//! `golint`: which of the linter's messages are reported.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of the plugin.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct GolintConfig {
    /// From 0 to 1; 0.8 unless set.
    pub minimum_confidence: Option<f64>,
}
