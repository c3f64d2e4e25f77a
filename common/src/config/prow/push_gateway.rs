//! `push_gateway`: where Prometheus' metrics are sent.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::duration::GoDuration;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PushGateway {
    /// Nothing is sent while it is empty.
    pub endpoint: String,
    interval: Option<GoDuration>,
    /// Services show their metrics as well.
    pub serve_metrics: bool,
}

impl PushGateway {
    /// The time between two pushes; 1 min unless set.
    pub fn interval(&self) -> GoDuration {
        self.interval.unwrap_or(GoDuration::from_secs(60))
    }
}
