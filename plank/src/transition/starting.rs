//! A pod that has not started yet: how long it may take, and what cannot get better.

use common::prowjob::{DecorationConfig, ProwJobState};
use jiff::{SignedDuration, Timestamp};

use super::{
    Case, Change, Decision, References, Settings, Step, after, change, complete,
    obstacle::{Obstacle, is_starting, obstacle},
    pending::{TRIGGERED, deleted},
    timeout, wait, waits,
    words::capital,
};
use crate::pod_view::{ContainerState, ContainerView, PodView};

/// What is in the way for less than this is not worth a word.
const HICCUP: SignedDuration = SignedDuration::from_secs(10);

/// Between two looks at the events of a pod that does not start.
const LOOK_AT_EVENTS: SignedDuration = SignedDuration::from_secs(60);

/// Not every init container is done.
pub(super) fn starting(case: &Case<'_>, pod: &PodView) -> Decision {
    let (seen, settings, now) = (case.seen, case.settings, case.now);
    let limit = limit(seen.job.spec.decoration_config.as_ref(), pod, settings, now);
    let obstacle = obstacle(pod, case.sighting, seen.references, settings, now);
    if now >= limit.deadline {
        let text = match &obstacle {
            Some(obstacle) => format!("{} {}", limit.text, capital(&obstacle.text)),
            None => limit.text.to_owned(),
        };
        return complete(ProwJobState::Error, text, limit.why);
    }
    if pod.deleting.is_some() {
        return deleted();
    }
    if let Some(decision) = obstacle.as_ref().and_then(|it| end_early(case, it)) {
        return decision;
    }
    let decision = match obstacle {
        Some(obstacle) => hindered(case, &obstacle, &limit),
        None if settings.fail_fast && is_silent(pod) => silent(case, pod, &limit),
        None => undisturbed(case, &limit),
    };
    let earlier = decision.look_again_at.unwrap_or(limit.deadline);
    Decision {
        look_again_at: Some(earlier.min(limit.deadline)),
        ..decision
    }
}

/// When what is in its way ends the job before Prow's timeouts.
fn end(case: &Case<'_>, obstacle: &Obstacle) -> Option<Timestamp> {
    obstacle.until.filter(|_| case.settings.fail_fast)
}

fn end_early(case: &Case<'_>, obstacle: &Obstacle) -> Option<Decision> {
    if case.now < end(case, obstacle)? {
        return None;
    }
    let text = format!("Pod could not start: {}", obstacle.text);
    Some(complete(ProwJobState::Error, text, "its pod can not start"))
}

/// Something is in its way.
fn hindered(case: &Case<'_>, obstacle: &Obstacle, limit: &TimeLimit) -> Decision {
    let until = end(case, obstacle);
    let worth_a_word = after(obstacle.since, HICCUP);
    let look_again_at = until.unwrap_or(limit.deadline);
    if obstacle.is_from_events {
        return Decision {
            look_again_at: Some(look_again_at),
            ..wait(limit.why)
        };
    }
    if case.now < worth_a_word {
        return Decision {
            look_again_at: Some(look_again_at.min(worth_a_word)),
            ..wait(limit.why)
        };
    }
    Decision {
        look_again_at: Some(look_again_at),
        ..waits::for_obstacle(case, &obstacle.text, limit.why)
    }
}

/// It does not start and does not say why: its events may.
fn silent(case: &Case<'_>, pod: &PodView, limit: &TimeLimit) -> Decision {
    let since = pod.started.or(pod.created).unwrap_or(case.now);
    let until = after(since, case.settings.missing_reference_timeout);
    if case.now < until {
        return Decision {
            look_again_at: Some(until),
            ..undisturbed(case, limit)
        };
    }
    if case.seen.references == References::NotAsked {
        let pod_uid = pod.uid.clone();
        return Decision {
            step: Step::ReadEvents { pod_uid },
            ..wait("its pod does not start and does not say why")
        };
    }
    Decision {
        look_again_at: Some(after(case.now, LOOK_AT_EVENTS)),
        ..undisturbed(case, limit)
    }
}

/// Nothing is in its way that is known, or no longer.
fn undisturbed(case: &Case<'_>, limit: &TimeLimit) -> Decision {
    if waits::is_described(case.seen.job) {
        let text = TRIGGERED.into();
        let sighting = None;
        let change = Change::Describe { text, sighting };
        return self::change(change, "what it waited for is no longer in the way");
    }
    wait(limit.why)
}

/// Prow's timeouts of a pod that has not started.
struct TimeLimit {
    deadline: Timestamp,
    text: &'static str,
    why: &'static str,
}

fn limit(
    decoration: Option<&DecorationConfig>,
    pod: &PodView,
    settings: &Settings,
    now: Timestamp,
) -> TimeLimit {
    match pod.started {
        None => TimeLimit {
            deadline: after(
                pod.created.unwrap_or(now),
                timeout(decoration, settings.pod_unscheduled_timeout, |c| {
                    c.pod_unscheduled_timeout
                }),
            ),
            text: "Pod scheduling timeout.",
            why: "no node takes its pod",
        },
        Some(started) => TimeLimit {
            deadline: after(
                started,
                timeout(decoration, settings.pod_pending_timeout, |c| {
                    c.pod_pending_timeout
                }),
            ),
            text: "Pod pending timeout.",
            why: "its pod starts",
        },
    }
}

/// The node has taken the pod and says no word: its volumes are not there.
fn is_silent(pod: &PodView) -> bool {
    let silent = |container: &ContainerView| {
        matches!(&container.state, ContainerState::Waiting { reason, message }
            if message.is_empty() && is_starting(reason))
    };
    let started = pod.containers.iter().any(ContainerView::has_started);
    pod.started.is_some() && pod.mounts_references && !started && pod.containers.iter().any(silent)
}
