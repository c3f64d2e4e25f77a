//! `scheduler`: which build cluster a job goes to, chosen when it starts.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::links::check_url;
use crate::{
    config::{Path, report::Report},
    duration::GoDuration,
    prowjob::ProwJobState,
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

/// How long answers are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ExternalCache {
    pub entry_timeout_interval: Option<GoDuration>,
    /// Taken and unused: an answer is dropped when its time is over.
    pub cleanup_interval: Option<GoDuration>,
}

impl ExternalCache {
    /// 5 min unless set.
    pub fn entry_timeout(&self) -> GoDuration {
        self.entry_timeout_interval
            .unwrap_or(GoDuration::from_secs(5 * 60))
    }
}

impl Scheduler {
    pub(super) fn check(&self, report: &mut Report<'_>) {
        if let Some(external) = &self.external {
            let path = Path::Root.key("scheduler");
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
        assert_eq!(Scheduler::default().first_state(), ProwJobState::Triggered);
        let enabled = Scheduler {
            enabled: true,
            ..Scheduler::default()
        };
        assert_eq!(enabled.first_state(), ProwJobState::Scheduling);
    }

    #[test]
    fn answers_are_kept_for_a_while() {
        assert_eq!(ExternalCache::default().entry_timeout().to_string(), "5m0s");
    }
}
