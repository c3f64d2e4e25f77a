//! `sinker`: how long finished jobs and pods are kept.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{duration::GoDuration, prowjob::null_default};

const HOUR: i64 = 3600;

/// Ages are counted from the start of a job or pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SinkerConfig {
    resync_period: Option<GoDuration>,
    max_prowjob_age: Option<GoDuration>,
    max_pod_age: Option<GoDuration>,
    terminated_pod_ttl: Option<GoDuration>,
    /// Build clusters whose pods are not deleted.
    #[serde(deserialize_with = "null_default")]
    pub exclude_clusters: Vec<String>,
}

impl SinkerConfig {
    /// The longest time between two cleanups; 1 h unless set.
    pub fn resync_period(&self) -> GoDuration {
        self.resync_period.unwrap_or(GoDuration::from_secs(HOUR))
    }

    /// 168 h unless set.
    pub fn max_prowjob_age(&self) -> GoDuration {
        self.max_prowjob_age
            .unwrap_or(GoDuration::from_secs(168 * HOUR))
    }

    /// 24 h unless set.
    pub fn max_pod_age(&self) -> GoDuration {
        self.max_pod_age.unwrap_or(GoDuration::from_secs(24 * HOUR))
    }

    /// How long a pod is kept after its job completes; [`SinkerConfig::max_pod_age`] unless set.
    pub fn terminated_pod_ttl(&self) -> GoDuration {
        self.terminated_pod_ttl
            .unwrap_or_else(|| self.max_pod_age())
    }
}
