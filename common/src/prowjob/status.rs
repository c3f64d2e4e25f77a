//! `status`: the progress of a job. There is no status subresource; it is written with the object.

use std::{collections::BTreeMap, fmt};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::spec::{is_zero, null_default};

/// The first words of the description of a waiting job. Jobs that wait for the same limit have the
/// same description, by which Deck computes their queue positions. Not Prow's.
pub const WAITING_PREFIX: &str = "Waiting: ";

/// How far a job is. The names mix cases as Prow's do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProwJobStatus {
    /// When the `ProwJob` was made.
    #[serde(rename = "startTime", default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,
    /// When its pod was made.
    #[serde(
        rename = "pendingTime",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub pending_time: Option<Time>,
    /// Set once. A job is complete when it is set.
    #[serde(
        rename = "completionTime",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub completion_time: Option<Time>,
    /// A missing state means `triggered`.
    #[serde(default, deserialize_with = "null_default")]
    pub state: ProwJobState,
    #[serde(
        default,
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_default"
    )]
    pub description: String,
    #[serde(
        default,
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_default"
    )]
    pub url: String,
    #[serde(
        default,
        skip_serializing_if = "is_zero",
        deserialize_with = "null_default"
    )]
    pub pod_revival_count: i64,
    #[serde(
        default,
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_default"
    )]
    pub pod_name: String,
    #[serde(
        default,
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_default"
    )]
    pub build_id: String,
    #[serde(
        default,
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_default"
    )]
    pub jenkins_build_id: String,
    /// The last state that each reporter reported.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "known_states"
    )]
    pub prev_report_states: BTreeMap<String, ProwJobState>,
}

/// An unknown state counts as not reported.
fn known_states<'de, D>(deserializer: D) -> Result<BTreeMap<String, ProwJobState>, D::Error>
where
    D: Deserializer<'de>,
{
    let states = Option::<BTreeMap<String, String>>::deserialize(deserializer)?;
    let known = states
        .unwrap_or_default()
        .into_iter()
        .filter_map(|(reporter, state)| Some((reporter, ProwJobState::parse_state(&state)?)));
    Ok(known.collect())
}

/// The state of a job.
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
pub enum ProwJobState {
    /// Waits for a scheduler to choose its cluster.
    Scheduling,
    #[default]
    Triggered,
    /// Claimed: its pod exists or is about to.
    Pending,
    Success,
    Failure,
    Aborted,
    /// The job could not be run; this says nothing about the code that it tests.
    Error,
}

impl ProwJobState {
    pub const ALL: [Self; 7] = [
        Self::Scheduling,
        Self::Triggered,
        Self::Pending,
        Self::Success,
        Self::Failure,
        Self::Aborted,
        Self::Error,
    ];

    pub fn parse_state(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduling => "scheduling",
            Self::Triggered => "triggered",
            Self::Pending => "pending",
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Aborted => "aborted",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for ProwJobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
