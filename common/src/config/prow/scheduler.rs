//! `scheduler`: which build cluster a job goes to, chosen when it starts.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    config::{Path, report::Report},
    duration::GoDuration,
};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Scheduler {
    pub enabled: bool,
    pub failover: Option<Failover>,
    pub external: Option<External>,
}

/// Another cluster instead of one that is away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Failover {
    /// From the cluster that a job names to the one that it gets.
    pub mappings: BTreeMap<String, String>,
}

/// A service that is asked for the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct External {
    pub url: String,
    pub cache: ExternalCache,
}

/// How long answers are kept; Prow has its own numbers where they are not set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ExternalCache {
    pub entry_timeout_interval: Option<GoDuration>,
    pub cleanup_interval: Option<GoDuration>,
}

impl Scheduler {
    pub(super) fn check(&self, report: &mut Report<'_>) {
        if self.enabled {
            report.add(
                "scheduler",
                &Path::Root.key("scheduler").key("enabled"),
                "choosing clusters by a scheduler is not supported yet",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::prow::tests::refused;

    #[test]
    fn it_is_not_there_yet() {
        assert_eq!(
            refused("scheduler: {enabled: true, failover: {mappings: {a: b}}}"),
            "config.yaml:1:13: scheduler.enabled: choosing clusters by a scheduler is not supported yet"
        );
    }
}
