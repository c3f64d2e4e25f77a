//! `scheduler`: which build cluster a job goes to, chosen when it starts.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::links::check_url;
use crate::{
    config::{ConfigPath, section_diagnostics::SectionDiagnostics},
    duration::GoDuration,
    prowjob::ProwJobState,
};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SchedulerConfig {
    pub enabled: bool,
    pub failover: Option<FailoverScheduling>,
    pub external: Option<ExternalScheduling>,
}

/// Another cluster instead of one that is away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct FailoverScheduling {
    /// From the cluster that a job names to the one that it gets.
    pub mappings: BTreeMap<String, String>,
}

/// A service that is asked for the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ExternalScheduling {
    pub url: String,
    pub cache: ExternalSchedulingCache,
}

/// How long answers are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ExternalSchedulingCache {
    pub entry_timeout_interval: Option<GoDuration>,
    /// Taken and unused: an answer is dropped when its time is over.
    pub cleanup_interval: Option<GoDuration>,
}

impl ExternalSchedulingCache {
    /// 5 min unless set.
    pub fn entry_timeout(&self) -> GoDuration {
        self.entry_timeout_interval
            .unwrap_or(GoDuration::from_secs(5 * 60))
    }
}

impl SchedulerConfig {
    pub(super) fn check_scheduler(&self, report: &mut SectionDiagnostics<'_>) {
        if let Some(external) = &self.external {
            let path = ConfigPath::Root.key("scheduler");
            let path = path.key("external");
            check_url("scheduler-url", &path.key("url"), &external.url, report);
        }
    }

    /// The state that a new job begins in.
    pub fn first_state(&self) -> ProwJobState {
        match self.enabled {
            true => ProwJobState::Scheduling,
            false => ProwJobState::Triggered,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheduler_takes_new_jobs_first() {
        assert_eq!(
            SchedulerConfig::default().first_state(),
            ProwJobState::Triggered
        );
        let enabled = SchedulerConfig {
            enabled: true,
            ..SchedulerConfig::default()
        };
        assert_eq!(enabled.first_state(), ProwJobState::Scheduling);
    }

    #[test]
    fn answers_are_kept_for_a_while() {
        assert_eq!(
            ExternalSchedulingCache::default()
                .entry_timeout()
                .to_string(),
            "5m0s"
        );
    }
}
