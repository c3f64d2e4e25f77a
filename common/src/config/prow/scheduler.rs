//! `scheduler`: which build cluster a job runs in, chosen when it starts.

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

/// Another cluster instead of one that is not available.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct FailoverScheduling {
    /// The cluster that a job gets, by the cluster that it names.
    pub mappings: BTreeMap<String, String>,
}

/// A service that chooses the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ExternalScheduling {
    pub url: String,
    pub cache: ExternalSchedulingCache,
}

/// How long answers are cached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ExternalSchedulingCache {
    pub entry_timeout_interval: Option<GoDuration>,
    /// Accepted, but without effect: an answer is dropped when it expires.
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

    /// The first state of a new job.
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
