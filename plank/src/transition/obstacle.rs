//! Why a pod does not start, and how long that is borne.

use jiff::{SignedDuration, Timestamp};

use super::{
    References, Settings, Sighting, after,
    sighting::{Kind, Refusals},
    words::{reason_and_message, short},
};
use crate::pod_view::{ContainerState, ContainerView, PodView};

/// Between a registry's two refusals that are taken for its last word: a token that has just
/// expired, say, is a passing one.
const REFUSALS_APART: SignedDuration = SignedDuration::from_secs(30);

/// A kubelet has tried a third time after this, even if nobody saw it: it waits 10, 20 and 40 s.
const SURELY_TRIED_AGAIN: SignedDuration = SignedDuration::from_secs(150);

/// Something in the way of a pod's start.
pub(super) struct Obstacle {
    pub(super) text: String,
    /// The first moment it was there.
    pub(super) since: Timestamp,
    /// When it ends the job; `None` leaves that to Prow's timeouts.
    pub(super) until: Option<Timestamp>,
    /// It is told of by events alone, which are not read often enough to tell when it is over.
    pub(super) is_from_events: bool,
}

/// What is in the way; of several the one that is borne least.
pub(super) fn obstacle(
    pod: &PodView,
    sighting: Option<&Sighting>,
    references: References<'_>,
    settings: &Settings,
    now: Timestamp,
) -> Option<Obstacle> {
    let started = pod.started.or(pod.created).unwrap_or(now);
    if let References::Missing { message, since } = references {
        let since = since.unwrap_or(started);
        return Some(Obstacle {
            text: short(message),
            since,
            until: Some(after(since, settings.missing_reference_timeout)),
            is_from_events: true,
        });
    }
    let kind = kind(pod)?;
    let sighting = sighting.filter(|sighting| sighting.kind == kind);
    let since = sighting.map_or(now, |sighting| sighting.since);
    let refusals = sighting.and_then(|sighting| sighting.refusals.as_ref());
    let of_containers = |kind| {
        let mut all = pod.containers.iter();
        let found = all.find(|it| {
            waiting(it).is_some_and(|(reason, message)| kind_of(reason, message) == Some(kind))
        });
        found
            .map(|container| text(container, refusals))
            .unwrap_or_default()
    };
    let (text, until) = match kind {
        Kind::Hopeless => (of_containers(kind), Some(now)),
        Kind::Missing => (
            of_containers(kind),
            Some(after(since, settings.missing_reference_timeout)),
        ),
        Kind::Image => (
            of_containers(kind),
            refusals.and_then(|it| last_word(it, pod)),
        ),
        Kind::Unscheduled => (
            format!("no node takes the pod: {}", short(&pod.unschedulable)),
            None,
        ),
        Kind::Delayed => return None,
    };
    Some(Obstacle {
        text,
        since,
        until,
        is_from_events: false,
    })
}

/// From when on a registry's refusals are its last word.
fn last_word(refusals: &Refusals, pod: &PodView) -> Option<Timestamp> {
    if refusals.last >= after(refusals.first, REFUSALS_APART) {
        return Some(refusals.last);
    }
    let still = pull(pod).is_some_and(|(_, message)| is_no(message));
    still.then(|| after(refusals.first, SURELY_TRIED_AGAIN))
}

/// The kind of what is in the way: of several the one that is borne least.
pub(super) fn kind(pod: &PodView) -> Option<Kind> {
    let kinds: Vec<Kind> = pod
        .containers
        .iter()
        .filter_map(waiting)
        .filter_map(|(reason, message)| kind_of(reason, message))
        .collect();
    let by_patience = [Kind::Hopeless, Kind::Missing, Kind::Image];
    let worst = by_patience.into_iter().find(|kind| kinds.contains(kind));
    let unscheduled = (!pod.unschedulable.is_empty()).then_some(Kind::Unscheduled);
    worst.or(unscheduled)
}

/// The first container that waits for its image: reason and message.
pub(super) fn pull(pod: &PodView) -> Option<(&str, &str)> {
    let mut waiting = pod.containers.iter().filter_map(waiting);
    waiting.find(|(reason, message)| kind_of(reason, message) == Some(Kind::Image))
}

fn waiting(container: &ContainerView) -> Option<(&str, &str)> {
    match &container.state {
        ContainerState::Waiting { reason, message } => Some((reason, message)),
        _ => None,
    }
}

fn kind_of(reason: &str, message: &str) -> Option<Kind> {
    match reason {
        "InvalidImageName" | "ErrImageNeverPull" => Some(Kind::Hopeless),
        "ErrImagePull" | "ImagePullBackOff" => Some(Kind::Image),
        // A missing Secret, ConfigMap or key of one.
        "CreateContainerConfigError" | "FailedMount" => Some(Kind::Missing),
        // Our pod runner says in the message which volume it waits for; kubelet says nothing.
        _ if is_starting(reason) && !message.is_empty() => Some(Kind::Missing),
        _ => None,
    }
}

/// What the kubelet says of every container at first.
pub(super) fn is_starting(reason: &str) -> bool {
    matches!(reason, "ContainerCreating" | "PodInitializing")
}

fn text(container: &ContainerView, refusals: Option<&Refusals>) -> String {
    let Some((reason, message)) = waiting(container) else {
        return String::new();
    };
    // "Back-off pulling image" is what the kubelet does, not why.
    let said = refusals.map(|refusals| refusals.said.as_str());
    let message = said.filter(|_| !is_no(message)).unwrap_or(message);
    if is_starting(reason) {
        // A volume is the pod's, whichever container is the first to wait for it.
        return short(message);
    }
    format!(
        "container {}: {}",
        container.name,
        reason_and_message(reason, message)
    )
}

/// Whether a registry's answer is a no: other errors are its own trouble.
pub(super) fn is_no(error: &str) -> bool {
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
