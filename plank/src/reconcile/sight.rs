//! What is known of a job while it is worked on: its object, its pod, and what the API has said.

use std::sync::Arc;

use common::prowjob::ProwJob;

use crate::{
    index::Slot,
    pod_view::PodView,
    pods::BuildCluster,
    transition::{Cluster, Observed, References},
};

pub(super) struct Sight {
    pub(super) job: Arc<ProwJob>,
    pub(super) cluster: Option<Arc<BuildCluster>>,
    pub(super) pod: Option<Arc<PodView>>,
    pub(super) refused: Option<String>,
    pub(super) delayed: Option<Delay>,
    /// What the pod's events say, once they were read.
    pub(super) references: Option<Option<String>>,
    /// The job is as the API has it, not as a cache had it.
    pub(super) fresh: bool,
}

/// Why, and for how long at least, the API does not take a pod.
pub(super) struct Delay {
    pub(super) why: String,
    pub(super) seconds: u32,
}

impl Sight {
    pub(super) fn observed<'a>(
        &'a self,
        cluster: Cluster,
        superseded_by: Option<&'a str>,
        slot: Option<Slot>,
        needs_storage_secret: bool,
    ) -> Observed<'a> {
        Observed {
            job: &self.job,
            pod: self.pod.as_deref(),
            cluster,
            superseded_by,
            // A pod that is there already needs no slot.
            blocked_by: match slot {
                Some(Slot::Waits(limit)) if self.pod.is_none() => Some(limit),
                _ => None,
            },
            refused: self.refused.as_deref(),
            delayed: self.delayed.as_ref().map(|delay| delay.why.as_str()),
            references: match &self.references {
                None => References::NotAsked,
                Some(None) => References::NoneMissing,
                Some(Some(message)) => References::Missing(message),
            },
            needs_storage_secret,
        }
    }
}
