//! `presets`: environment, volumes and tolerations that a job asks for by label.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::prowjob::{RawObject, StringMap, null_default};

/// Applies to every job that has all of its labels; without labels, to every job.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Preset {
    #[serde(deserialize_with = "null_default")]
    pub labels: StringMap,
    #[serde(deserialize_with = "null_default")]
    pub env: Vec<RawObject>,
    #[serde(deserialize_with = "null_default")]
    pub volumes: Vec<RawObject>,
    #[serde(rename = "volumeMounts", deserialize_with = "null_default")]
    pub volume_mounts: Vec<RawObject>,
    #[serde(deserialize_with = "null_default")]
    pub tolerations: Vec<RawObject>,
}
