//! The state of a job during one reconciliation: its object, its pod, and what the API has answered
//! to the steps taken.

use std::sync::Arc;

use common::{kube::ClusterObstacle, prowjob::ProwJob};
use jiff::Timestamp;

use crate::{
    pod_view::PodView,
    pods::{BuildCluster, MissingReference},
    transition::{
        ClusterReadiness, FailedDeletion, ObservedJob, ObservedObstacle, ReferenceCheck,
        StartPermission, StorageTokenState,
    },
    writer::ClusterWriteError,
};

pub(super) struct ReconcileState {
    pub(super) job: Arc<ProwJob>,
    /// The version of the job that the watch has delivered.
    pub(super) told_version: Option<String>,
    /// The job was read from the API, not from a cache.
    pub(super) is_fresh: bool,
    pub(super) cluster: Option<Arc<BuildCluster>>,
    pub(super) pod: Option<Arc<PodView>>,
    pub(super) pod_announced: Option<Timestamp>,
    pub(super) answers: ApiAnswers,
}

#[derive(Default)]
pub(super) struct ApiAnswers {
    /// Why the pod, or a change of the job, is refused for good.
    pub(super) refused: Option<String>,
    /// Why the API does not accept the pod now.
    pub(super) delayed: Option<String>,
    /// What the pod's events say, once they were read.
    pub(super) references: Option<Option<MissingReference>>,
    pub(super) token: TokenAnswer,
    /// Why the pod is not deleted, and since when.
    pub(super) undeleted: Option<(Timestamp, String)>,
    /// The error to retry when there is nothing else to do.
    pub(super) retry: Option<ClusterWriteError>,
}

#[derive(Default)]
pub(super) enum TokenAnswer {
    #[default]
    NotAsked,
    Delayed,
    Refused(String),
}

/// What one decision needs beyond the job and its pod.
pub(super) struct DecisionInputs {
    pub(super) cluster: ClusterReadiness,
    /// Why the cluster is not ready.
    pub(super) obstacle: Option<ClusterObstacle>,
    pub(super) start: StartPermission,
    pub(super) superseded_by: Option<String>,
    pub(super) needs_token: bool,
    pub(super) before: Option<ObservedObstacle>,
}

impl ReconcileState {
    pub(super) fn to_observed_job<'a>(&'a self, place: &'a DecisionInputs) -> ObservedJob<'a> {
        let answers = &self.answers;
        ObservedJob {
            is_fresh: self.is_fresh,
            pod_announced: self.pod_announced,
            cluster: place.cluster,
            cluster_obstacle: place.obstacle.as_ref(),
            superseded_by: place.superseded_by.as_deref(),
            start: place.start,
            refused: answers.refused.as_deref(),
            delayed: answers.delayed.as_deref(),
            references: match &answers.references {
                None => ReferenceCheck::NotAsked,
                Some(None) => ReferenceCheck::NoneMissing,
                Some(Some(missing)) => ReferenceCheck::Missing {
                    message: &missing.message,
                    since: missing.since,
                },
            },
            token: match &answers.token {
                _ if !place.needs_token => StorageTokenState::NotNeeded,
                TokenAnswer::NotAsked => StorageTokenState::Missing,
                TokenAnswer::Delayed => StorageTokenState::Delayed,
                TokenAnswer::Refused(why) => StorageTokenState::Refused(why),
            },
            undeleted: answers
                .undeleted
                .as_ref()
                .map(|(since, why)| FailedDeletion { since: *since, why }),
            before: place.before.as_ref(),
            ..ObservedJob::new(&self.job, self.pod.as_deref())
        }
    }
}
