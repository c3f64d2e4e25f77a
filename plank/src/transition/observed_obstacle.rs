//! What is in a run's way and since when it was observed: how long it is tolerated counts from
//! then, not from the pod's start. It is stored with the job when the job's description names it,
//! so that the count goes on after a restart.

use common::prowjob::{ProwJob, ProwJobState, labels};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    ClusterReadiness, ObservedJob,
    message_text::shorten_message,
    start_obstacle::{find_obstacle_kind, find_pull_failure, is_registry_refusal},
};
use crate::pod_view::PodView;

/// An obstacle of one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedObstacle {
    /// The run's build id: a revival counts anew.
    pub build: String,
    pub kind: ObstacleKind,
    pub since: Timestamp,
    /// For an image: the registry's refusals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusals: Option<ImagePullRefusals>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ObstacleKind {
    /// The API does not accept the pod now.
    Delayed,
    /// No node takes the pod.
    Unscheduled,
    /// An image cannot be pulled.
    Image,
    /// A Secret or `ConfigMap` is missing.
    Missing,
    /// Anything that waiting cannot solve.
    Hopeless,
}

/// A registry said that it does not have an image, or that we may not have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImagePullRefusals {
    pub first: Timestamp,
    /// The last refusal of another pull than the first.
    pub last: Timestamp,
    /// The registry's message.
    pub said: String,
    /// The last failed pull is counted and the next has not begun: no new refusal yet.
    #[serde(skip)]
    pub counted: bool,
}

impl ObservedObstacle {
    /// The obstacle now, combined with the one observed before.
    pub(super) fn from_observed(seen: &ObservedJob<'_>, now: Timestamp) -> Option<Self> {
        let status = seen.job.status.as_ref()?;
        if status.state != ProwJobState::Pending || status.build_id.is_empty() {
            return None;
        }
        let build = status.build_id.as_str();
        let before = seen.before.filter(|before| before.build == build);
        if seen.cluster != ClusterReadiness::Ready {
            return before.cloned();
        }
        let Some(pod) = seen.pod else {
            // The pod is created once more, which shows whether the obstacle is still there.
            let asked_again = || {
                before
                    .filter(|before| before.kind == ObstacleKind::Delayed)
                    .cloned()
            };
            return match seen.delayed {
                Some(_) => Some(Self::next_obstacle(
                    build,
                    ObstacleKind::Delayed,
                    None,
                    before,
                    now,
                )),
                None => asked_again(),
            };
        };
        if pod.build_id.as_deref() != Some(build) {
            return None;
        }
        Some(Self::next_obstacle(
            build,
            find_obstacle_kind(pod)?,
            Some(pod),
            before,
            now,
        ))
    }

    fn next_obstacle(
        build: &str,
        kind: ObstacleKind,
        pod: Option<&PodView>,
        before: Option<&Self>,
        now: Timestamp,
    ) -> Self {
        let before = before.filter(|before| before.kind == kind);
        let refusals = before.and_then(|before| before.refusals.as_ref());
        Self {
            build: build.to_owned(),
            kind,
            since: before.map_or(now, |before| before.since),
            refusals: match (kind, pod) {
                (ObstacleKind::Image, Some(pod)) => {
                    ImagePullRefusals::next_refusals(refusals, pod, now)
                }
                _ => None,
            },
        }
    }

    /// The obstacle as the job's annotation records it.
    pub fn from_annotation(job: &ProwJob) -> Option<Self> {
        let annotations = job.metadata.annotations.as_ref()?;
        serde_json::from_str(annotations.get(labels::WAITING_FOR)?).ok()
    }

    /// Whether the job's annotation already records it.
    pub(super) fn is_recorded(&self, job: &ProwJob) -> bool {
        let told = Self::from_annotation(job);
        told.is_some_and(|told| told.build == self.build && told.kind == self.kind)
    }
}

impl ImagePullRefusals {
    fn next_refusals(before: Option<&Self>, pod: &PodView, now: Timestamp) -> Option<Self> {
        let (reason, message) = find_pull_failure(pod)?;
        let failed_now = reason == "ErrImagePull";
        match before {
            None => is_registry_refusal(message).then(|| Self {
                first: now,
                last: now,
                said: shorten_message(message),
                counted: failed_now,
            }),
            Some(before) if failed_now && is_registry_refusal(message) => Some(Self {
                last: if before.counted { before.last } else { now },
                said: shorten_message(message),
                counted: true,
                ..before.clone()
            }),
            Some(before) => Some(Self {
                counted: false,
                ..before.clone()
            }),
        }
    }
}
