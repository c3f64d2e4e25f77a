//! Decides on a pod that has not started: how long it may take, and when it never will.

use common::prowjob::{DecorationConfig, ProwJobState};
use jiff::{SignedDuration, Timestamp};

use super::{
    DecisionContext, ProwJobChange, ReferenceCheck, TransitionDecision, TransitionSettings,
    TransitionStep, change_decision, completion_decision, effective_timeout,
    message_text::capitalize_first,
    pending::{TRIGGERED_DESCRIPTION, deleted_pod_decision},
    start_obstacle::{StartObstacle, find_obstacle, is_starting},
    time_after, wait_decision, waits,
};
use crate::pod_view::{ContainerState, ContainerView, PodView};

/// An obstacle that lasts less than this is not reported.
const MIN_REPORTED_WAIT: SignedDuration = SignedDuration::from_secs(10);

/// The wait between two reads of the events of a pod that does not start.
const EVENTS_READ_INTERVAL: SignedDuration = SignedDuration::from_secs(60);

/// Decides while not every init container is done.
pub(super) fn decide_starting_pod(case: &DecisionContext<'_>, pod: &PodView) -> TransitionDecision {
    let (seen, settings, now) = (case.seen, case.settings, case.now);
    let limit = start_time_limit(seen.job.spec.decoration_config.as_ref(), pod, settings, now);
    let obstacle = find_obstacle(pod, case.sighting, seen.references, settings, now);
    if now >= limit.deadline {
        let text = match &obstacle {
            Some(obstacle) => format!("{} {}", limit.text, capitalize_first(&obstacle.text)),
            None => limit.text.to_owned(),
        };
        return completion_decision(ProwJobState::Error, text, limit.why);
    }
    if pod.deleting.is_some() {
        return deleted_pod_decision();
    }
    if let Some(decision) = obstacle.as_ref().and_then(|it| complete_early(case, it)) {
        return decision;
    }
    let decision = match obstacle {
        Some(obstacle) => decide_obstructed_pod(case, &obstacle, &limit),
        None if settings.fail_fast && is_silent(pod) => decide_silent_pod(case, pod, &limit),
        None => decide_unobstructed_pod(case, &limit),
    };
    let earlier = decision.look_again_at.unwrap_or(limit.deadline);
    TransitionDecision {
        look_again_at: Some(earlier.min(limit.deadline)),
        ..decision
    }
}

/// When an obstacle ends the job before Prow's timeouts.
fn obstacle_deadline(case: &DecisionContext<'_>, obstacle: &StartObstacle) -> Option<Timestamp> {
    obstacle.until.filter(|_| case.settings.fail_fast)
}

fn complete_early(
    case: &DecisionContext<'_>,
    obstacle: &StartObstacle,
) -> Option<TransitionDecision> {
    if case.now < obstacle_deadline(case, obstacle)? {
        return None;
    }
    let text = format!("Pod could not start: {}", obstacle.text);
    Some(completion_decision(
        ProwJobState::Error,
        text,
        "its pod can not start",
    ))
}

/// Decides on a pod with an obstacle.
fn decide_obstructed_pod(
    case: &DecisionContext<'_>,
    obstacle: &StartObstacle,
    limit: &StartTimeLimit,
) -> TransitionDecision {
    let until = obstacle_deadline(case, obstacle);
    let worth_a_word = time_after(obstacle.since, MIN_REPORTED_WAIT);
    let look_again_at = until.unwrap_or(limit.deadline);
    if obstacle.is_from_events {
        return TransitionDecision {
            look_again_at: Some(look_again_at),
            ..wait_decision(limit.why)
        };
    }
    if case.now < worth_a_word {
        return TransitionDecision {
            look_again_at: Some(look_again_at.min(worth_a_word)),
            ..wait_decision(limit.why)
        };
    }
    TransitionDecision {
        look_again_at: Some(look_again_at),
        ..waits::wait_for_obstacle(case, &obstacle.text, limit.why)
    }
}

/// Decides on a pod that does not start and gives no reason: its events may.
fn decide_silent_pod(
    case: &DecisionContext<'_>,
    pod: &PodView,
    limit: &StartTimeLimit,
) -> TransitionDecision {
    let since = pod.started.or(pod.created).unwrap_or(case.now);
    let until = time_after(since, case.settings.missing_reference_timeout);
    if case.now < until {
        return TransitionDecision {
            look_again_at: Some(until),
            ..decide_unobstructed_pod(case, limit)
        };
    }
    if case.seen.references == ReferenceCheck::NotAsked {
        let pod_uid = pod.uid.clone();
        return TransitionDecision {
            step: TransitionStep::ReadEvents { pod_uid },
            ..wait_decision("its pod does not start and does not say why")
        };
    }
    TransitionDecision {
        look_again_at: Some(time_after(case.now, EVENTS_READ_INTERVAL)),
        ..decide_unobstructed_pod(case, limit)
    }
}

/// Decides on a pod with no known obstacle, or none any more.
fn decide_unobstructed_pod(
    case: &DecisionContext<'_>,
    limit: &StartTimeLimit,
) -> TransitionDecision {
    if waits::is_described(case.seen.job) {
        let text = TRIGGERED_DESCRIPTION.into();
        let sighting = None;
        let change = ProwJobChange::Describe { text, sighting };
        return self::change_decision(change, "what it waited for is no longer in the way");
    }
    wait_decision(limit.why)
}

/// Prow's timeouts of a pod that has not started.
struct StartTimeLimit {
    deadline: Timestamp,
    text: &'static str,
    why: &'static str,
}

fn start_time_limit(
    decoration: Option<&DecorationConfig>,
    pod: &PodView,
    settings: &TransitionSettings,
    now: Timestamp,
) -> StartTimeLimit {
    match pod.started {
        None => StartTimeLimit {
            deadline: time_after(
                pod.created.unwrap_or(now),
                effective_timeout(decoration, settings.pod_unscheduled_timeout, |c| {
                    c.pod_unscheduled_timeout
                }),
            ),
            text: "Pod scheduling timeout.",
            why: "no node takes its pod",
        },
        Some(started) => StartTimeLimit {
            deadline: time_after(
                started,
                effective_timeout(decoration, settings.pod_pending_timeout, |c| {
                    c.pod_pending_timeout
                }),
            ),
            text: "Pod pending timeout.",
            why: "its pod starts",
        },
    }
}

/// Whether the node has accepted the pod and gives no reason: its volumes are not there.
fn is_silent(pod: &PodView) -> bool {
    let silent = |container: &ContainerView| {
        matches!(&container.state, ContainerState::Waiting { reason, message }
            if message.is_empty() && is_starting(reason))
    };
    let started = pod.containers.iter().any(ContainerView::has_started);
    pod.started.is_some() && pod.mounts_references && !started && pod.containers.iter().any(silent)
}
