//! What every type of job has.

use std::sync::Arc;

use super::PodSpecJson;
use crate::{
    config::PathSegment,
    prowjob::{
        DecorationConfig, ProwJobAgent, ProwJobDefault, RawPodSpec, Refs, ReporterConfig,
        RerunAuthConfig, StringMap, TektonPipelineRunSpec,
    },
};

/// The fields common to presubmits, postsubmits and periodics.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JobBase {
    pub name: String,
    /// Copied to the `ProwJob` and its pod; presets select jobs by them.
    pub labels: StringMap,
    /// How many runs there may be at once; 0 is no limit.
    pub max_concurrency: i64,
    pub agent: ProwJobAgent,
    /// Build cluster, `default` when not given.
    pub cluster: String,
    /// The pod's namespace, `pod_namespace` when not given.
    pub namespace: String,
    pub error_on_eviction: bool,
    /// The pod spec of the file, with presets applied.
    pub spec: Option<PodSpecJson>,
    pub pipeline_run_spec: Option<RawPodSpec>,
    pub tekton_pipeline_run_spec: Option<TektonPipelineRunSpec>,
    pub annotations: StringMap,
    pub reporter_config: Option<ReporterConfig>,
    pub rerun_auth_config: Option<RerunAuthConfig>,
    /// Shown only by a Deck that shows hidden jobs.
    pub hidden: bool,
    pub prowjob_defaults: Option<ProwJobDefault>,
    pub job_queue_name: String,
    pub utility: UtilityConfig,
    pub origin: ConfigOrigin,
}

/// How the job's sources are cloned and its container is decorated.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UtilityConfig {
    /// The job's own setting, else `decorate_all_jobs`.
    pub decorate: bool,
    pub path_alias: String,
    pub clone_uri: String,
    pub skip_submodules: bool,
    pub clone_depth: i64,
    pub skip_fetch_head: bool,
    pub extra_refs: Vec<Refs>,
    /// With all defaults merged in; the pod is decorated if it is set. Jobs with the same settings
    /// share it.
    pub decoration_config: Option<Arc<DecorationConfig>>,
}

/// Where a job is defined.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigOrigin {
    /// The path, as found from the configured one, or inside the repository.
    pub file: Arc<str>,
    /// The job's path in the file's document.
    pub path: Vec<PathSegment>,
}

impl Default for ConfigOrigin {
    fn default() -> Self {
        Self {
            file: Arc::from(""),
            path: Vec::new(),
        }
    }
}
