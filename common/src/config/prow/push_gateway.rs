//! `push_gateway`: where metrics are pushed to Prometheus.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::duration::GoDuration;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PushGateway {
    /// If it is empty, nothing is pushed.
    pub endpoint: String,
    interval: Option<GoDuration>,
    /// Services also serve their metrics.
    pub serve_metrics: bool,
}

impl PushGateway {
    /// The interval between two pushes; 1 min unless set.
    pub fn interval(&self) -> GoDuration {
        self.interval.unwrap_or(GoDuration::from_secs(60))
    }
}
