//! `pipeline`: settings for Tekton pipelines.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PipelineConfig {
    /// A newer postsubmit does not abort an older one of the same name.
    pub allow_concurrent_postsubmit_jobs: bool,
}
