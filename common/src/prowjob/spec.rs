//! `spec`: what is requested. It never changes after creation, unless an operator edits it.

use std::{collections::BTreeMap, fmt};

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::{DecorationConfig, ProwJobState, ProwJobStatus, RawPodSpec, Refs, labels};

/// What to run, on what, where, and whom to tell.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, CustomResource)]
#[kube(
    group = "prow.k8s.io",
    version = "v1",
    kind = "ProwJob",
    plural = "prowjobs",
    singular = "prowjob",
    namespaced,
    doc = "ProwJob contains the spec as well as runtime metadata.",
    derive = "PartialEq",
    printcolumn = r#"{"name":"Job","type":"string","description":"The name of the job being run","jsonPath":".spec.job"}"#,
    printcolumn = r#"{"name":"BuildId","type":"string","description":"The ID of the job being run.","jsonPath":".status.build_id"}"#,
    printcolumn = r#"{"name":"Type","type":"string","description":"The type of job being run.","jsonPath":".spec.type"}"#,
    printcolumn = r#"{"name":"Org","type":"string","description":"The org for which the job is running.","jsonPath":".spec.refs.org"}"#,
    printcolumn = r#"{"name":"Repo","type":"string","description":"The repo for which the job is running.","jsonPath":".spec.refs.repo"}"#,
    printcolumn = r#"{"name":"Pulls","type":"string","description":"The pulls for which the job is running.","jsonPath":".spec.refs.pulls[*].number"}"#,
    printcolumn = r#"{"name":"StartTime","type":"date","description":"When the job started running.","jsonPath":".status.startTime"}"#,
    printcolumn = r#"{"name":"CompletionTime","type":"date","description":"When the job finished running.","jsonPath":".status.completionTime"}"#,
    printcolumn = r#"{"name":"State","type":"string","description":"The state of the job.","jsonPath":".status.state"}"#
)]
#[kube(status = "ProwJobStatus")]
pub struct ProwJobSpec {
    #[serde(
        rename = "type",
        default,
        skip_serializing_if = "ProwJobType::is_unset"
    )]
    pub job_type: ProwJobType,
    #[serde(
        default,
        skip_serializing_if = "ProwJobAgent::is_unset",
        deserialize_with = "null_default"
    )]
    pub agent: ProwJobAgent,
    /// Build cluster: a kubeconfig context. Read it through [`ProwJobSpec::cluster_alias`].
    #[serde(
        default,
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_default"
    )]
    pub cluster: String,
    #[serde(
        default,
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_default"
    )]
    pub namespace: String,
    #[serde(
        default,
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_default"
    )]
    pub job: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refs: Option<Refs>,
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_default"
    )]
    pub extra_refs: Vec<Refs>,
    #[serde(
        default,
        skip_serializing_if = "is_false",
        deserialize_with = "null_default"
    )]
    pub report: bool,
    #[serde(
        default,
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_default"
    )]
    pub context: String,
    #[serde(
        default,
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_default"
    )]
    pub rerun_command: String,
    /// 0 is no limit.
    #[serde(
        default,
        skip_serializing_if = "is_zero",
        deserialize_with = "null_default"
    )]
    #[schemars(range(min = 0))]
    pub max_concurrency: i64,
    #[serde(
        default,
        skip_serializing_if = "is_false",
        deserialize_with = "null_default"
    )]
    pub error_on_eviction: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_spec: Option<RawPodSpec>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jenkins_spec: Option<JenkinsSpec>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline_run_spec: Option<RawPodSpec>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tekton_pipeline_run_spec: Option<TektonPipelineRunSpec>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decoration_config: Option<DecorationConfig>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reporter_config: Option<ReporterConfig>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rerun_auth_config: Option<RerunAuthConfig>,
    #[serde(
        default,
        skip_serializing_if = "is_false",
        deserialize_with = "null_default"
    )]
    pub hidden: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prowjob_defaults: Option<ProwJobDefault>,
    #[serde(
        default,
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_default"
    )]
    pub job_queue_name: String,
}

impl ProwJobSpec {
    /// The build cluster's name; `default` when none is given.
    pub fn cluster_alias(&self) -> &str {
        if self.cluster.is_empty() {
            super::DEFAULT_CLUSTER
        } else {
            &self.cluster
        }
    }

    /// The reference that the job is about: its own `refs`, else its first extra one.
    pub fn main_refs(&self) -> Option<&Refs> {
        self.refs.as_ref().or(self.extra_refs.first())
    }
}

impl ProwJob {
    /// Only `completionTime` means that a job is complete, never its state: the pod of an aborted
    /// job may still be running.
    pub fn is_complete(&self) -> bool {
        self.status
            .as_ref()
            .is_some_and(|status| status.completion_time.is_some())
    }

    /// A missing state means `triggered`: whoever made the job wants it to run.
    pub fn state(&self) -> ProwJobState {
        self.status
            .as_ref()
            .map_or(ProwJobState::Triggered, |status| status.state)
    }

    /// How often the job's pod was replaced after it was stopped unexpectedly. Where the CRD does not
    /// keep the status field, the annotation counts.
    pub fn pod_revival_count(&self) -> i64 {
        let status = self.status.as_ref();
        let annotations = self.metadata.annotations.as_ref();
        let annotated =
            annotations.and_then(|all| all.get(labels::POD_REVIVAL_COUNT)?.parse().ok());
        status
            .map_or(0, |status| status.pod_revival_count)
            .max(annotated.unwrap_or(0))
    }
}

/// What made the job run.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum ProwJobType {
    /// The job was made without a type. It runs, has no folder in storage and is reported only to
    /// Slack.
    #[default]
    #[serde(skip)]
    Unset,
    Presubmit,
    Postsubmit,
    Periodic,
    Batch,
}

impl ProwJobType {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unset => "",
            Self::Presubmit => "presubmit",
            Self::Postsubmit => "postsubmit",
            Self::Periodic => "periodic",
            Self::Batch => "batch",
        }
    }

    pub fn is_unset(&self) -> bool {
        matches!(self, Self::Unset)
    }
}

impl fmt::Display for ProwJobType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which controller runs the job. Plank runs only [`ProwJobAgent::KUBERNETES`]. The field is open,
/// as in Prow: other controllers may run other agents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ProwJobAgent(pub String);

impl ProwJobAgent {
    pub const KUBERNETES: &'static str = "kubernetes";
    pub const JENKINS: &'static str = "jenkins";
    pub const TEKTON: &'static str = "tekton-pipeline";

    pub fn kubernetes() -> Self {
        Self(Self::KUBERNETES.into())
    }

    pub fn is_kubernetes(&self) -> bool {
        self.0 == Self::KUBERNETES
    }

    fn is_unset(&self) -> bool {
        self.0.is_empty()
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JenkinsSpec {
    #[serde(
        default,
        skip_serializing_if = "is_false",
        deserialize_with = "null_default"
    )]
    pub github_branch_source_job: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TektonPipelineRunSpec {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub v1beta1: Option<RawPodSpec>,
}

/// Who is notified of the job, beyond the installation's defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReporterConfig {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slack: Option<SlackReporterConfig>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SlackReporterConfig {
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_default"
    )]
    pub host: String,
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_default"
    )]
    pub channel: String,
    /// An explicitly empty list turns reporting off; a missing list leaves the default. An empty
    /// list is not written: `report` has that meaning. Unknown states are ignored.
    #[serde(skip_serializing_if = "is_empty_list")]
    pub job_states_to_report: Option<Vec<String>>,
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_default"
    )]
    pub report_template: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<bool>,
}

/// Who may start the job again from Deck.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RerunAuthConfig {
    #[serde(skip_serializing_if = "is_false", deserialize_with = "null_default")]
    pub allow_anyone: bool,
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_default"
    )]
    pub github_team_ids: Vec<i64>,
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_default"
    )]
    pub github_team_slugs: Vec<GithubTeamSlug>,
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_default"
    )]
    pub github_users: Vec<String>,
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_default"
    )]
    pub github_orgs: Vec<String>,
}

impl RerunAuthConfig {
    /// Why the settings contradict each other.
    pub fn find_contradiction(&self) -> Option<&'static str> {
        let lists = self.github_team_ids.len()
            + self.github_team_slugs.len()
            + self.github_users.len()
            + self.github_orgs.len();
        (self.allow_anyone && lists > 0)
            .then_some("allow_anyone and lists of people exclude each other")
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct GithubTeamSlug {
    #[serde(deserialize_with = "null_default")]
    pub slug: String,
    #[serde(deserialize_with = "null_default")]
    pub org: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ProwJobDefault {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resultstore_config: Option<ResultStoreConfig>,
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_default"
    )]
    pub tenant_id: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ResultStoreConfig {
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_default"
    )]
    pub project_id: String,
}

#[expect(clippy::ref_option, reason = "what serde passes")]
pub(super) fn is_empty_list<T>(list: &Option<Vec<T>>) -> bool {
    list.as_ref().is_none_or(Vec::is_empty)
}

/// Labels or annotations.
pub type StringMap = BTreeMap<String, String>;

/// Reads `null` as the default value, as Go's JSON does.
pub fn null_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads a list as [`null_default`] does, and each `null` in it as the default value.
pub fn null_defaults<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    let items = Option::<Vec<Option<T>>>::deserialize(deserializer)?.unwrap_or_default();
    Ok(items.into_iter().map(Option::unwrap_or_default).collect())
}

pub(crate) fn is_false(value: &bool) -> bool {
    !value
}

pub(crate) fn is_zero(number: &i64) -> bool {
    *number == 0
}
