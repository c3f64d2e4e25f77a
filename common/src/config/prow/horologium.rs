//! `horologium`: how often periodics are checked.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::duration::GoDuration;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct HorologiumConfig {
    tick_interval: Option<GoDuration>,
}

impl HorologiumConfig {
    /// The interval between two checks; 1 min unless set.
    pub fn tick_interval(&self) -> GoDuration {
        self.tick_interval.unwrap_or(GoDuration::from_secs(60))
    }
}
