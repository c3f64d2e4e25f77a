//! What is kept of a job beside its objects: a restart loses it, and loses nothing by that.

use std::{sync::Arc, time::Instant};

use common::prowjob::ProwJob;
use jiff::Timestamp;
use kube::ResourceExt;

use crate::transition::ObservedObstacle;

#[derive(Debug, Default)]
pub(crate) struct JobMemory {
    /// The UID of the pod that has the Secret with its storage token.
    pub(super) token_of: Option<String>,
    /// When its pod was created.
    pub(super) created: Option<Instant>,
    /// What was in its way; `None` before it was looked at.
    pub(super) sighting: Option<Option<ObservedObstacle>>,
    /// Since when its pod's deletion fails.
    pub(super) undeleted_since: Option<Timestamp>,
    /// The job as it was last written or read, which the watch may yet have to tell.
    newer: Option<NewerJob>,
    /// Failures in a row.
    pub(crate) failures: u32,
}

#[derive(Debug)]
struct NewerJob {
    /// The version that the watch had told then.
    than: Option<String>,
    job: Arc<ProwJob>,
}

impl JobMemory {
    /// Remembers a job as the API has it, where the watch has told the version `than`.
    pub(super) fn remember_job(&mut self, job: Arc<ProwJob>, than: Option<String>) {
        self.newer = Some(NewerJob { than, job });
    }

    /// Whether it is about a job that has ended, of which nothing is kept.
    pub(super) fn is_about_ended_job(&self) -> bool {
        self.newer.as_ref().is_some_and(|it| it.job.is_complete())
    }

    /// The newest that is known of a job of which the watch has told `told`.
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
