//! `pipeline`: Tekton's pipelines.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PipelineConfig {
    /// A newer postsubmit leaves an older one of its name running.
    pub allow_concurrent_postsubmit_jobs: bool,
}
