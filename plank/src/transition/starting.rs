//! A pod that has not started yet: how long it may take, and what cannot get better.

use common::prowjob::{DecorationConfig, ProwJobState};
use jiff::{SignedDuration, Timestamp};

use super::{
    Decision, Observed, References, Settings, Step, after, complete, pending::deleted, timeout,
    wait, waits,
};
use crate::pod_view::{ContainerState, ContainerView, PodView};

/// Longest part of somebody else's message that a description carries, in characters.
const MAX_MESSAGE: usize = 300;

/// What is in the way for less than this is not worth a word.
const HICCUP: SignedDuration = SignedDuration::from_secs(10);

/// Between two looks at the events of a pod that does not start.
const LOOK_AT_EVENTS: SignedDuration = SignedDuration::from_secs(60);

/// Of an image that a registry says it does not have, or not for us: the second no counts.
const PULLS: u32 = 2;

/// Not every init container is done.
pub(super) fn starting(
    seen: &Observed<'_>,
    pod: &PodView,
    settings: &Settings,
    now: Timestamp,
) -> Decision {
    let limit = limit(seen.job.spec.decoration_config.as_ref(), pod, settings, now);
    let obstacle = obstacle(pod, seen.references);
    if now >= limit.deadline {
        return complete(ProwJobState::Error, limit.text, limit.why);
    }
    if pod.deleting.is_some() {
        return deleted();
    }
    let since = pod.started.or(pod.created).unwrap_or(now);
    let look_again_at = match &obstacle {
        Some(obstacle) if settings.fail_fast => {
            let until = match obstacle.patience {
                Patience::None => now,
                Patience::Missing => after(since, settings.missing_reference_timeout),
                Patience::Timeout => limit.deadline,
            };
            if now >= until {
                let text = format!("Pod could not start: {}", obstacle.text);
                return complete(ProwJobState::Error, text, "its pod can not start");
            }
            until
        }
        None if settings.fail_fast && is_silent(pod) => {
            let until = after(since, settings.missing_reference_timeout);
            if now >= until && seen.references == References::NotAsked {
                return Decision {
                    step: Step::ReadEvents {
                        pod_uid: pod.uid.clone(),
                    },
                    ..wait("its pod does not start and does not say why")
                };
            }
            if now < until {
                until
            } else {
                after(now, LOOK_AT_EVENTS)
            }
        }
        _ => limit.deadline,
    };
    let why = limit.why;
    let decision = match obstacle {
        Some(obstacle) if now >= after(since, HICCUP) => {
            waits::described(seen.job, &obstacle.text, why)
        }
        Some(_) => Decision {
            look_again_at: Some(after(since, HICCUP)),
            ..wait(why)
        },
        None => wait(why),
    };
    let earlier = decision.look_again_at.unwrap_or(limit.deadline);
    Decision {
        look_again_at: Some(earlier.min(look_again_at).min(limit.deadline)),
        ..decision
    }
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

/// Why a pod does not start.
struct Obstacle {
    text: String,
    patience: Patience,
}

/// How long an obstacle is borne, shortest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Patience {
    /// Waiting cannot help.
    None,
    /// A Secret or a `ConfigMap` that may still come.
    Missing,
    /// Registries fail for a while, nodes become free: Prow's timeouts are the limit.
    Timeout,
}

/// What is in the way; of several the one that is borne least.
fn obstacle(pod: &PodView, references: References<'_>) -> Option<Obstacle> {
    let containers = pod.containers.iter().filter_map(of_container);
    let mounts = match references {
        References::Missing(message) => Some(Obstacle {
            text: short(message),
            patience: Patience::Missing,
        }),
        References::NotAsked | References::NoneMissing => None,
    };
    let scheduling = (!pod.unschedulable.is_empty()).then(|| Obstacle {
        text: format!("no node takes the pod: {}", short(&pod.unschedulable)),
        patience: Patience::Timeout,
    });
    let all = containers.chain(mounts).chain(scheduling);
    all.min_by_key(|obstacle| obstacle.patience)
}

fn of_container(container: &ContainerView) -> Option<Obstacle> {
    let ContainerState::Waiting { reason, message } = &container.state else {
        return None;
    };
    let (patience, message) = match reason.as_str() {
        "InvalidImageName" | "ErrImageNeverPull" => (Patience::None, message),
        "ErrImagePull" | "ImagePullBackOff" => {
            let final_no = container.pull_failures >= PULLS && is_no(&container.pull_error);
            let message = match container.pull_error.as_str() {
                "" => message,
                _ => &container.pull_error,
            };
            (
                if final_no {
                    Patience::None
                } else {
                    Patience::Timeout
                },
                message,
            )
        }
        // A missing Secret, ConfigMap or key of one.
        "CreateContainerConfigError" | "FailedMount" => (Patience::Missing, message),
        // Our pod runner says in the message which volume it waits for; kubelet says nothing.
        "ContainerCreating" if !message.is_empty() => (Patience::Missing, message),
        _ => return None,
    };
    let why = reason_and_message(reason, message);
    Some(Obstacle {
        text: format!("container {}: {why}", container.name),
        patience,
    })
}

/// Whether a registry's answer is a no: other errors are its own trouble.
fn is_no(error: &str) -> bool {
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

/// The node has taken the pod and says no word: its volumes are not there.
fn is_silent(pod: &PodView) -> bool {
    let silent = |container: &ContainerView| {
        matches!(&container.state, ContainerState::Waiting { reason, message }
            if message.is_empty() && matches!(reason.as_str(), "ContainerCreating" | "PodInitializing"))
    };
    let started = pod.containers.iter().any(ContainerView::has_started);
    pod.started.is_some() && pod.mounts_references && !started && pod.containers.iter().any(silent)
}

pub(super) fn reason_and_message(reason: &str, message: &str) -> String {
    if message.is_empty() {
        reason.to_owned()
    } else {
        format!("{reason}: {}", short(message))
    }
}

/// Somebody else's message on one line, cut.
pub(super) fn short(message: &str) -> String {
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX_MESSAGE) {
        Some((end, _)) => format!("{} ...", &line[..end]),
        None => line,
    }
}
