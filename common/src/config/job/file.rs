//! Job files as serde parses them.
//!
//! A macro repeats the fields that all types of jobs share: `serde(flatten)` would lose the
//! positions of errors and the coercion of numbers to strings.

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

/// What a job file may contain, and `config.yaml` in addition to its sections.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(in crate::config) struct JobFile {
    /// Environment, volumes and tolerations that jobs select by label.
    #[serde(deserialize_with = "null_default")]
    pub(in crate::config) presets: Vec<Preset>,
    /// Jobs that run on pull requests before they merge, by `org/repo`.
    #[serde(deserialize_with = "null_default")]
    pub(in crate::config) presubmits: BTreeMap<String, Option<Vec<PresubmitFields>>>,
    /// Jobs that run after a push to a branch, by `org/repo`.
    #[serde(deserialize_with = "null_default")]
    pub(in crate::config) postsubmits: BTreeMap<String, Option<Vec<PostsubmitFields>>>,
    /// Jobs that run on a schedule.
    #[serde(deserialize_with = "null_default")]
    pub(in crate::config) periodics: Vec<PeriodicFields>,
    /// Has an effect in `config.yaml` only.
    decorate_all_jobs: Option<bool>,
    /// Any value; for anchors that others refer to.
    prow_ignored: Option<Value>,
}

/// A repository's own file in Prow's form: plain lists of its jobs.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(in crate::config) struct InRepoFile {
    /// Environment, volumes and tolerations that jobs select by label.
    #[serde(deserialize_with = "null_default")]
    pub(in crate::config) presets: Vec<Preset>,
    /// Jobs that run on pull requests before they merge.
    #[serde(deserialize_with = "null_default")]
    pub(in crate::config) presubmits: Vec<PresubmitFields>,
    /// Jobs that run after a push to a branch.
    #[serde(deserialize_with = "null_default")]
    pub(in crate::config) postsubmits: Vec<PostsubmitFields>,
    /// Any value; for anchors that others refer to.
    prow_ignored: Option<Value>,
}

/// A repository's own file in the form of a central job file.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(in crate::config) struct KeyedInRepoFile {
    /// Environment, volumes and tolerations that jobs select by label.
    #[serde(deserialize_with = "null_default")]
    pub(in crate::config) presets: Vec<Preset>,
    /// Jobs that run on pull requests before they merge, by `org/repo`.
    #[serde(deserialize_with = "null_default")]
    pub(in crate::config) presubmits: BTreeMap<String, Option<Vec<PresubmitFields>>>,
    /// Jobs that run after a push to a branch, by `org/repo`.
    #[serde(deserialize_with = "null_default")]
    pub(in crate::config) postsubmits: BTreeMap<String, Option<Vec<PostsubmitFields>>>,
    /// Any value; for anchors that others refer to.
    prow_ignored: Option<Value>,
}

/// The fields that every type of job has, as parsed.
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
    ($(#[$doc:meta])* $name:ident { $($(#[$about:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
        #[serde(default)]
        pub(in crate::config) struct $name {
            /// The job's name: letters, digits, `-`, `.` and `_`.
            #[serde(deserialize_with = "null_default")]
            name: String,
            /// Copied to the `ProwJob` and its pod; presets select jobs by them.
            #[serde(deserialize_with = "texts")]
            labels: StringMap,
            /// How many runs there may be at once; 0 is no limit.
            #[serde(deserialize_with = "null_default")]
            max_concurrency: i64,
            /// The agent that runs the job: `kubernetes` unless set.
            #[serde(deserialize_with = "null_default")]
            agent: String,
            /// The build cluster, `default` unless set.
            #[serde(deserialize_with = "null_default")]
            cluster: String,
            /// The pod's namespace; it must be the installation's `pod_namespace`.
            #[serde(deserialize_with = "null_default")]
            namespace: String,
            /// An evicted pod ends the job with an error; otherwise the job starts again.
            #[serde(deserialize_with = "null_default")]
            error_on_eviction: bool,
            /// The pod spec: containers, volumes, where the pod may run.
            #[schemars(with = "Option<PodSpec>")]
            spec: Option<RawPodSpec>,
            /// The older form of `tekton_pipeline_run_spec`.
            pipeline_run_spec: Option<RawPodSpec>,
            /// What the agent `tekton-pipeline` runs.
            tekton_pipeline_run_spec: Option<TektonPipelineRunSpec>,
            /// Copied to the `ProwJob` and its pod.
            #[serde(deserialize_with = "texts")]
            annotations: StringMap,
            /// Further reports of the result, such as to Slack.
            reporter_config: Option<ReporterConfig>,
            /// Who may rerun the job in Deck.
            rerun_auth_config: Option<RerunAuthConfig>,
            /// Shown only by a Deck that shows hidden jobs.
            #[serde(deserialize_with = "null_default")]
            hidden: bool,
            /// The tenant, and other settings with defaults of the installation.
            prowjob_defaults: Option<ProwJobDefault>,
            /// The queue of `plank.job_queue_capacities` whose limit the job shares.
            #[serde(deserialize_with = "null_default")]
            job_queue_name: String,
            /// Sources are cloned, and logs and artifacts stored, around the container's command.
            decorate: Option<bool>,
            /// Where sources go below `$GOPATH/src`, instead of `github.com/org/repo`.
            #[serde(deserialize_with = "null_default")]
            path_alias: String,
            /// Where sources are cloned from, instead of the repository's own URL.
            #[serde(deserialize_with = "null_default")]
            clone_uri: String,
            /// Submodules are not cloned.
            #[serde(deserialize_with = "null_default")]
            skip_submodules: bool,
            /// How many commits are fetched; 0 is all.
            #[serde(deserialize_with = "null_default")]
            clone_depth: i64,
            /// Only the refs of the job are fetched, not all branches.
            #[serde(deserialize_with = "null_default")]
            skip_fetch_head: bool,
            /// Further repositories to clone.
            #[serde(deserialize_with = "null_default")]
            extra_refs: Vec<Refs>,
            /// Settings of the decoration; the installation's defaults fill in the rest.
            decoration_config: Option<DecorationConfig>,
            $(
                $(#[$about])*
                #[serde(deserialize_with = "null_default")]
                pub(in crate::config) $field: $type,
            )*
        }

        impl $name {
            /// Takes out the fields that every type of job has.
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
    /// A presubmit as parsed.
    PresubmitFields {
        /// Runs on every push to a pull request.
        always_run: bool,
        /// Its failure does not keep a pull request from merging.
        optional: bool,
        /// A regular expression for comments that trigger the job; only with `rerun_command`.
        trigger: String,
        /// The comment that reruns the job; only with `trigger`.
        rerun_command: String,
        /// Tide runs it before it merges, whatever else is set.
        run_before_merge: bool,
        /// Regular expressions for base branches on which the job runs; all unless set.
        branches: Vec<String>,
        /// Regular expressions for base branches on which the job does not run.
        skip_branches: Vec<String>,
        /// A regular expression: the job runs if it matches the path of a changed file.
        run_if_changed: String,
        /// A regular expression: the job does not run if it matches the path of every changed file.
        skip_if_only_changed: String,
        /// The name of the status on GitHub; the job's name unless set.
        context: String,
        /// No result is reported to GitHub.
        skip_report: bool,
        /// How the agent `jenkins` finds the job.
        jenkins_spec: Option<JenkinsSpec>,
    }
}

written_job! {
    /// A postsubmit as parsed.
    PostsubmitFields {
        /// Whether it runs on every push to a branch; `true` unless changed files decide.
        always_run: Option<bool>,
        /// Regular expressions for base branches on which the job runs; all unless set.
        branches: Vec<String>,
        /// Regular expressions for base branches on which the job does not run.
        skip_branches: Vec<String>,
        /// A regular expression: the job runs if it matches the path of a changed file.
        run_if_changed: String,
        /// A regular expression: the job does not run if it matches the path of every changed file.
        skip_if_only_changed: String,
        /// The name of the status on GitHub; the job's name unless set.
        context: String,
        /// No result is reported to GitHub.
        skip_report: bool,
        /// How the agent `jenkins` finds the job.
        jenkins_spec: Option<JenkinsSpec>,
    }
}

written_job! {
    /// A periodic as parsed.
    PeriodicFields {
        /// From start to start, such as `24h`.
        interval: Option<GoDuration>,
        /// From the end of a run to the next start, such as `24h`.
        minimum_interval: Option<GoDuration>,
        /// When it starts in UTC: five fields, six with seconds first, or a name such as `@daily`.
        cron: String,
        /// Words by which people find the job.
        tags: Vec<String>,
        /// How a failed job is retried.
        retry: Option<Retry>,
    }
}

/// A map of strings in which `null` is the empty string.
fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<StringMap, D::Error> {
    let map = Option::<BTreeMap<String, Option<String>>>::deserialize(deserializer)?;
    let entries = map.unwrap_or_default().into_iter();
    Ok(entries
        .map(|(key, value)| (key, value.unwrap_or_default()))
        .collect())
}
