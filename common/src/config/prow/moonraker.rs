//! `moonraker`: Prow's service for in-repository configuration.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::duration::GoDuration;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MoonrakerConfig {
    client_timeout: Option<GoDuration>,
}

impl MoonrakerConfig {
    /// How long clients wait for an answer; 10 min unless set.
    pub fn client_timeout(&self) -> GoDuration {
        self.client_timeout.unwrap_or(GoDuration::from_secs(600))
    }
}
