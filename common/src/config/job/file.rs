//! The written form of job files, as serde reads it.
//!
//! Fields that all kinds share are repeated by a macro: `serde(flatten)` would lose the place of
//! errors and the reading of numbers as texts.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::PodSpec;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::Retry;
use crate::{
    config::Preset,
    duration::GoDuration,
    prowjob::{
        DecorationConfig, JenkinsSpec, ProwJobDefault, RawPodSpec, Refs, ReporterConfig,
        RerunAuthConfig, StringMap, TektonPipelineRunSpec, null_default,
    },
};

/// What a job file may hold, and `config.yaml` beside its sections.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::config) struct JobFile {
    #[serde(deserialize_with = "null_default")]
    pub(in crate::config) presets: Vec<Preset>,
    #[serde(deserialize_with = "null_default")]
    pub(in crate::config) presubmits: BTreeMap<String, Option<Vec<PresubmitFields>>>,
    #[serde(deserialize_with = "null_default")]
    pub(in crate::config) postsubmits: BTreeMap<String, Option<Vec<PostsubmitFields>>>,
    #[serde(deserialize_with = "null_default")]
    pub(in crate::config) periodics: Vec<PeriodicFields>,
}

/// A repository's own file in Prow's form: plain lists, for itself.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(in crate::config) struct InRepoFile {
    #[serde(deserialize_with = "null_default")]
    pub(in crate::config) presets: Vec<Preset>,
    #[serde(deserialize_with = "null_default")]
    pub(in crate::config) presubmits: Vec<PresubmitFields>,
    #[serde(deserialize_with = "null_default")]
    pub(in crate::config) postsubmits: Vec<PostsubmitFields>,
    prow_ignored: Option<Value>,
}

/// A repository's own file in the form of a central job file.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(in crate::config) struct KeyedInRepoFile {
    #[serde(deserialize_with = "null_default")]
    pub(in crate::config) presets: Vec<Preset>,
    #[serde(deserialize_with = "null_default")]
    pub(in crate::config) presubmits: BTreeMap<String, Option<Vec<PresubmitFields>>>,
    #[serde(deserialize_with = "null_default")]
    pub(in crate::config) postsubmits: BTreeMap<String, Option<Vec<PostsubmitFields>>>,
    prow_ignored: Option<Value>,
}

/// The fields that every kind of job has, as written.
#[derive(Debug, Default)]
pub(in crate::config) struct BaseFields {
    pub(in crate::config) name: String,
    pub(in crate::config) labels: StringMap,
    pub(in crate::config) max_concurrency: i64,
    pub(in crate::config) agent: String,
    pub(in crate::config) cluster: String,
    pub(in crate::config) namespace: String,
    pub(in crate::config) error_on_eviction: bool,
    pub(in crate::config) spec: Option<RawPodSpec>,
    pub(in crate::config) pipeline_run_spec: Option<RawPodSpec>,
    pub(in crate::config) tekton_pipeline_run_spec: Option<TektonPipelineRunSpec>,
    pub(in crate::config) annotations: StringMap,
    pub(in crate::config) reporter_config: Option<ReporterConfig>,
    pub(in crate::config) rerun_auth_config: Option<RerunAuthConfig>,
    pub(in crate::config) hidden: bool,
    pub(in crate::config) prowjob_defaults: Option<ProwJobDefault>,
    pub(in crate::config) job_queue_name: String,
    pub(in crate::config) decorate: Option<bool>,
    pub(in crate::config) path_alias: String,
    pub(in crate::config) clone_uri: String,
    pub(in crate::config) skip_submodules: bool,
    pub(in crate::config) clone_depth: i64,
    pub(in crate::config) skip_fetch_head: bool,
    pub(in crate::config) extra_refs: Vec<Refs>,
    pub(in crate::config) decoration_config: Option<DecorationConfig>,
}

macro_rules! written_job {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
        #[serde(default)]
        pub(in crate::config) struct $name {
            #[serde(deserialize_with = "null_default")]
            name: String,
            #[serde(deserialize_with = "texts")]
            labels: StringMap,
            #[serde(deserialize_with = "null_default")]
            max_concurrency: i64,
            #[serde(deserialize_with = "null_default")]
            agent: String,
            #[serde(deserialize_with = "null_default")]
            cluster: String,
            #[serde(deserialize_with = "null_default")]
            namespace: String,
            #[serde(deserialize_with = "null_default")]
            error_on_eviction: bool,
            #[schemars(with = "Option<PodSpec>")]
            spec: Option<RawPodSpec>,
            pipeline_run_spec: Option<RawPodSpec>,
            tekton_pipeline_run_spec: Option<TektonPipelineRunSpec>,
            #[serde(deserialize_with = "texts")]
            annotations: StringMap,
            reporter_config: Option<ReporterConfig>,
            rerun_auth_config: Option<RerunAuthConfig>,
            #[serde(deserialize_with = "null_default")]
            hidden: bool,
            prowjob_defaults: Option<ProwJobDefault>,
            #[serde(deserialize_with = "null_default")]
            job_queue_name: String,
            decorate: Option<bool>,
            #[serde(deserialize_with = "null_default")]
            path_alias: String,
            #[serde(deserialize_with = "null_default")]
            clone_uri: String,
            #[serde(deserialize_with = "null_default")]
            skip_submodules: bool,
            #[serde(deserialize_with = "null_default")]
            clone_depth: i64,
            #[serde(deserialize_with = "null_default")]
            skip_fetch_head: bool,
            #[serde(deserialize_with = "null_default")]
            extra_refs: Vec<Refs>,
            decoration_config: Option<DecorationConfig>,
            $(
                #[serde(deserialize_with = "null_default")]
                pub(in crate::config) $field: $type,
            )*
        }

        impl $name {
            /// Takes the fields that every kind has.
            pub(in crate::config) fn take_base(&mut self) -> BaseFields {
                use std::mem::take;
                BaseFields {
                    name: take(&mut self.name),
                    labels: take(&mut self.labels),
                    max_concurrency: self.max_concurrency,
                    agent: take(&mut self.agent),
                    cluster: take(&mut self.cluster),
                    namespace: take(&mut self.namespace),
                    error_on_eviction: self.error_on_eviction,
                    spec: self.spec.take(),
                    pipeline_run_spec: self.pipeline_run_spec.take(),
                    tekton_pipeline_run_spec: self.tekton_pipeline_run_spec.take(),
                    annotations: take(&mut self.annotations),
                    reporter_config: self.reporter_config.take(),
                    rerun_auth_config: self.rerun_auth_config.take(),
                    hidden: self.hidden,
                    prowjob_defaults: self.prowjob_defaults.take(),
                    job_queue_name: take(&mut self.job_queue_name),
                    decorate: self.decorate,
                    path_alias: take(&mut self.path_alias),
                    clone_uri: take(&mut self.clone_uri),
                    skip_submodules: self.skip_submodules,
                    clone_depth: self.clone_depth,
                    skip_fetch_head: self.skip_fetch_head,
                    extra_refs: take(&mut self.extra_refs),
                    decoration_config: self.decoration_config.take(),
                }
            }
        }
    };
}

written_job! {
    /// A presubmit as written.
    PresubmitFields {
        always_run: bool,
        optional: bool,
        trigger: String,
        rerun_command: String,
        run_before_merge: bool,
        branches: Vec<String>,
        skip_branches: Vec<String>,
        run_if_changed: String,
        skip_if_only_changed: String,
        context: String,
        skip_report: bool,
        jenkins_spec: Option<JenkinsSpec>,
    }
}

written_job! {
    /// A postsubmit as written.
    PostsubmitFields {
        always_run: Option<bool>,
        branches: Vec<String>,
        skip_branches: Vec<String>,
        run_if_changed: String,
        skip_if_only_changed: String,
        context: String,
        skip_report: bool,
        jenkins_spec: Option<JenkinsSpec>,
    }
}

written_job! {
    /// A periodic as written.
    PeriodicFields {
        interval: Option<GoDuration>,
        minimum_interval: Option<GoDuration>,
        cron: String,
        tags: Vec<String>,
        retry: Option<Retry>,
    }
}

/// A map of texts in which `null` is the empty text.
fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<StringMap, D::Error> {
    let map = Option::<BTreeMap<String, Option<String>>>::deserialize(deserializer)?;
    let entries = map.unwrap_or_default().into_iter();
    Ok(entries
        .map(|(key, value)| (key, value.unwrap_or_default()))
        .collect())
}
