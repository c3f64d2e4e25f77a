//! What every kind of job has.

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
    /// Go to the `ProwJob` and its pod; presets choose by them.
    pub labels: StringMap,
    /// Runs at once; 0 is no limit.
    pub max_concurrency: i64,
    pub agent: ProwJobAgent,
    /// Build cluster, `default` when not given.
    pub cluster: String,
    /// The pod's namespace, `pod_namespace` when not given.
    pub namespace: String,
    pub error_on_eviction: bool,
    /// The pod as written, with presets applied.
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

/// How the job's sources are fetched and its container is wrapped.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UtilityConfig {
    /// As the job says it, else as `decorate_all_jobs` says.
    pub decorate: bool,
    pub path_alias: String,
    pub clone_uri: String,
    pub skip_submodules: bool,
    pub clone_depth: i64,
    pub skip_fetch_head: bool,
    pub extra_refs: Vec<Refs>,
    /// With every default merged in; its presence is what decorates the pod. Jobs that say the
    /// same share it.
    pub decoration_config: Option<Arc<DecorationConfig>>,
}

/// Where a job is written.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigOrigin {
    /// As found from the path that was configured, or inside the repository.
    pub file: Arc<str>,
    /// The job's place in the file's document.
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
