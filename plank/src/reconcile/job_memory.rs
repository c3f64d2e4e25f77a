//! What plank remembers of a job besides its objects. A restart may lose it without harm.

use std::{sync::Arc, time::Instant};

use common::prowjob::ProwJob;
use jiff::Timestamp;
use kube::ResourceExt;

use crate::transition::ObservedObstacle;

#[derive(Debug, Default)]
pub(crate) struct JobMemory {
    /// The UID of the pod for which the Secret with the storage token was created.
    pub(super) token_of: Option<String>,
    /// When its pod was created.
    pub(super) created: Option<Instant>,
    /// The obstacle observed last; `None` before the first decision.
    pub(super) sighting: Option<Option<ObservedObstacle>>,
    /// Since when the deletion of its pod fails.
    pub(super) undeleted_since: Option<Timestamp>,
    /// The job as last written or read, which the watch may not have delivered yet.
    newer: Option<NewerJob>,
    /// Failures in a row.
    pub(crate) failures: u32,
}

#[derive(Debug)]
struct NewerJob {
    /// The version that the watch had delivered by then.
    than: Option<String>,
    job: Arc<ProwJob>,
}

impl JobMemory {
    /// Remembers a job as the API has it, while the watch is at the version `than`.
    pub(super) fn remember_job(&mut self, job: Arc<ProwJob>, than: Option<String>) {
        self.newer = Some(NewerJob { than, job });
    }

    /// Whether the job has ended, so that its memory can be dropped.
    pub(super) fn is_about_ended_job(&self) -> bool {
        self.newer.as_ref().is_some_and(|it| it.job.is_complete())
    }

    /// The newest known version of a job of which the watch has delivered `told`.
    pub(super) fn newest_job(&mut self, told: &Arc<ProwJob>) -> Arc<ProwJob> {
        match &self.newer {
            Some(newer) if newer.than == told.resource_version() => Arc::clone(&newer.job),
            _ => {
                self.newer = None;
                Arc::clone(told)
            }
        }
    }
}
