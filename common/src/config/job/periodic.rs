//! Jobs that run on a schedule.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::JobBase;
use crate::{duration::GoDuration, prowjob::null_default};

/// Exactly one of `interval`, `minimum_interval` and `cron` is set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Periodic {
    pub base: JobBase,
    /// From start to start.
    pub interval: Option<GoDuration>,
    /// From completion to start.
    pub minimum_interval: Option<GoDuration>,
    /// Empty unless set.
    pub cron: String,
    pub tags: Vec<String>,
    pub retry: Option<Retry>,
}

/// How a failed job is retried.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Retry {
    /// Whether to go on after a success.
    #[serde(deserialize_with = "null_default")]
    pub run_all: bool,
    #[serde(deserialize_with = "null_default")]
    pub attempts: i64,
    pub interval: Option<GoDuration>,
}
