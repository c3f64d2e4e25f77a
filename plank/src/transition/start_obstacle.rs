//! Why a pod does not start, and how long that is tolerated.

use jiff::{SignedDuration, Timestamp};

use super::{
    ObservedObstacle, ReferenceCheck, TransitionSettings,
    message_text::{format_reason, shorten_message},
    observed_obstacle::{ImagePullRefusals, ObstacleKind},
    time_after,
};
use crate::pod_view::{ContainerState, ContainerView, PodView};

/// The time between two refusals of a registry that count as final. For example, a token that has
/// just expired causes a passing one.
const REFUSALS_APART: SignedDuration = SignedDuration::from_secs(30);

/// By then a kubelet has tried a third time, even if unobserved: it waits 10, 20 and 40 s.
const SURELY_TRIED_AGAIN: SignedDuration = SignedDuration::from_secs(150);

/// Something that keeps a pod from starting.
pub(super) struct StartObstacle {
    pub(super) text: String,
    /// When it was first there.
    pub(super) since: Timestamp,
    /// When it ends the job; `None` leaves that to Prow's timeouts.
    pub(super) until: Option<Timestamp>,
    /// Only events report it, and they are not read often enough to tell when it is over.
    pub(super) is_from_events: bool,
}

/// The pod's obstacle; of several the one that is tolerated least.
pub(super) fn find_obstacle(
    pod: &PodView,
    sighting: Option<&ObservedObstacle>,
    references: ReferenceCheck<'_>,
    settings: &TransitionSettings,
    now: Timestamp,
) -> Option<StartObstacle> {
    let started = pod.started.or(pod.created).unwrap_or(now);
    if let ReferenceCheck::Missing { message, since } = references {
        let since = since.unwrap_or(started);
        return Some(StartObstacle {
            text: shorten_message(message),
            since,
            until: Some(time_after(since, settings.missing_reference_timeout)),
            is_from_events: true,
        });
    }
    let kind = find_obstacle_kind(pod)?;
    let sighting = sighting.filter(|sighting| sighting.kind == kind);
    let since = sighting.map_or(now, |sighting| sighting.since);
    let refusals = sighting.and_then(|sighting| sighting.refusals.as_ref());
    let of_containers = |kind| {
        let mut all = pod.containers.iter();
        let found = all.find(|it| {
            waiting_reason(it)
                .is_some_and(|(reason, message)| classify_waiting(reason, message) == Some(kind))
        });
        found
            .map(|container| obstacle_text(container, refusals))
            .unwrap_or_default()
    };
    let (text, until) = match kind {
        ObstacleKind::Hopeless => (of_containers(kind), Some(now)),
        ObstacleKind::Missing => (
            of_containers(kind),
            Some(time_after(since, settings.missing_reference_timeout)),
        ),
        ObstacleKind::Image => (
            of_containers(kind),
            refusals.and_then(|it| final_refusal_time(it, pod)),
        ),
        ObstacleKind::Unscheduled => (
            format!(
                "no node takes the pod: {}",
                shorten_message(&pod.unschedulable)
            ),
            None,
        ),
        ObstacleKind::Delayed => return None,
    };
    Some(StartObstacle {
        text,
        since,
        until,
        is_from_events: false,
    })
}

/// From when on a registry's refusals are final.
fn final_refusal_time(refusals: &ImagePullRefusals, pod: &PodView) -> Option<Timestamp> {
    if refusals.last >= time_after(refusals.first, REFUSALS_APART) {
        return Some(refusals.last);
    }
    let still = find_pull_failure(pod).is_some_and(|(_, message)| is_registry_refusal(message));
    still.then(|| time_after(refusals.first, SURELY_TRIED_AGAIN))
}

/// The kind of the pod's obstacle; of several the one that is tolerated least.
pub(super) fn find_obstacle_kind(pod: &PodView) -> Option<ObstacleKind> {
    let kinds: Vec<ObstacleKind> = pod
        .containers
        .iter()
        .filter_map(waiting_reason)
        .filter_map(|(reason, message)| classify_waiting(reason, message))
        .collect();
    let by_patience = [
        ObstacleKind::Hopeless,
        ObstacleKind::Missing,
        ObstacleKind::Image,
    ];
    let worst = by_patience.into_iter().find(|kind| kinds.contains(kind));
    let unscheduled = (!pod.unschedulable.is_empty()).then_some(ObstacleKind::Unscheduled);
    worst.or(unscheduled)
}

/// Reason and message of the first container that waits for its image.
pub(super) fn find_pull_failure(pod: &PodView) -> Option<(&str, &str)> {
    let mut waiting = pod.containers.iter().filter_map(waiting_reason);
    waiting.find(|(reason, message)| classify_waiting(reason, message) == Some(ObstacleKind::Image))
}

fn waiting_reason(container: &ContainerView) -> Option<(&str, &str)> {
    match &container.state {
        ContainerState::Waiting { reason, message } => Some((reason, message)),
        _ => None,
    }
}

fn classify_waiting(reason: &str, message: &str) -> Option<ObstacleKind> {
    match reason {
        "InvalidImageName" | "ErrImageNeverPull" => Some(ObstacleKind::Hopeless),
        "ErrImagePull" | "ImagePullBackOff" => Some(ObstacleKind::Image),
        // A missing Secret, ConfigMap or key of one.
        "CreateContainerConfigError" | "FailedMount" => Some(ObstacleKind::Missing),
        // Our pod runner says in the message which volume it waits for; kubelet says nothing.
        _ if is_starting(reason) && !message.is_empty() => Some(ObstacleKind::Missing),
        _ => None,
    }
}

/// Whether this is the kubelet's first reason for every container.
pub(super) fn is_starting(reason: &str) -> bool {
    matches!(reason, "ContainerCreating" | "PodInitializing")
}

fn obstacle_text(container: &ContainerView, refusals: Option<&ImagePullRefusals>) -> String {
    let Some((reason, message)) = waiting_reason(container) else {
        return String::new();
    };
    // "Back-off pulling image" is what the kubelet does, not why.
    let said = refusals.map(|refusals| refusals.said.as_str());
    let message = said
        .filter(|_| !is_registry_refusal(message))
        .unwrap_or(message);
    if is_starting(reason) {
        // A volume is the pod's, whichever container is the first to wait for it.
        return shorten_message(message);
    }
    format!(
        "container {}: {}",
        container.name,
        format_reason(reason, message)
    )
}

/// Whether a registry's answer is a refusal; other errors are problems of its own.
pub(super) fn is_registry_refusal(error: &str) -> bool {
    let error = error.to_lowercase();
    let no = [
        "not found",
        "notfound",
        "manifest unknown",
        "name unknown",
        "does not exist",
        "denied",
        "unauthorized",
        "403 forbidden",
    ];
    no.iter().any(|no| error.contains(no))
}
