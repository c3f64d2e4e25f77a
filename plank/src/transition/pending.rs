//! A claimed job: it gets its pod, and the pod is judged.

use common::prowjob::{DecorationConfig, ProwJobState};
use jiff::{SignedDuration, Timestamp};

use super::{
    Change, Decision, Observed, Settings, Step, change, complete, delete, foreign, is_for, wait,
};
use crate::pod_view::{ContainerState, Phase, PodView};

/// Longest part of somebody else's message that a description carries, in characters.
const MAX_MESSAGE: usize = 300;

pub(super) fn pending(seen: &Observed<'_>, settings: &Settings, now: Timestamp) -> Decision {
    let status = seen.job.status.clone().unwrap_or_default();
    if let Some(refusal) = seen.refused {
        let text = format!("Pod can not be created: {}", short(refusal));
        return complete(ProwJobState::Error, text, "its pod can never be created");
    }
    let Some(pod) = seen.pod else {
        if status.build_id.is_empty() {
            return change(
                Change::Claim { build_id: None },
                "pending without a build id",
            );
        }
        return Decision {
            step: Step::CreatePod,
            ..wait("claimed, and its pod is missing")
        };
    };
    if !is_for(pod, seen.job) {
        return foreign(seen.job);
    }
    if pod.build_id.as_deref() != Some(status.build_id.as_str()) {
        return match (status.pod_revival_count > 0, pod.deleting.is_some()) {
            (true, false) => delete(pod, "it was stopped unexpectedly and is replaced"),
            (true, true) => wait("the pod it replaces is ending"),
            (false, _) => foreign(seen.job),
        };
    }
    let decision = match unexpected_stop(pod) {
        Some(stop) => stopped(seen, stop, settings.max_revivals),
        None => by_phase(seen, pod, settings, now),
    };
    // A pod that runs has mounted it.
    let starts = matches!(pod.phase, Phase::Pending | Phase::Unset);
    if decision.step == Step::Wait && seen.needs_storage_secret && starts {
        return Decision {
            step: Step::CreateStorageSecret {
                pod_uid: pod.uid.clone(),
            },
            why: "its pod waits for its storage token",
            ..decision
        };
    }
    decision
}

/// The cluster, not the job, ended the pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    Evicted,
    Unreachable,
    OomKilled,
    Unknown,
}

impl Stop {
    fn cause(self) -> &'static str {
        match self {
            Self::Evicted => "evicted",
            Self::Unreachable => "unreachable",
            Self::OomKilled => "oomkilled",
            Self::Unknown => "unknown",
        }
    }
}

/// `NodeLost` counts with and without a deletion under way: a runner that finds a pod's
/// processes gone after its own restart says Failed/NodeLost and deletes nothing.
fn unexpected_stop(pod: &PodView) -> Option<Stop> {
    let oom = |state: &ContainerState| matches!(state, ContainerState::Terminated { reason, .. } if reason == "OOMKilled");
    if pod.reason == "Evicted" {
        Some(Stop::Evicted)
    } else if pod.reason == "NodeLost" {
        Some(Stop::Unreachable)
    } else if pod.phase == Phase::Running && pod.containers.iter().any(|c| oom(&c.state)) {
        Some(Stop::OomKilled)
    } else if pod.phase == Phase::Unknown {
        Some(Stop::Unknown)
    } else {
        None
    }
}

fn stopped(seen: &Observed<'_>, stop: Stop, max_revivals: i64) -> Decision {
    let error = |text: String, why| complete(ProwJobState::Error, text, why);
    let revivals = seen
        .job
        .status
        .as_ref()
        .map_or(0, |status| status.pod_revival_count);
    match stop {
        Stop::OomKilled => error(
            "Job pod was OOM killed by the cluster.".into(),
            "out of memory",
        ),
        Stop::Evicted if seen.job.spec.error_on_eviction => error(
            "Job pod was evicted by the cluster.".into(),
            "evicted, and the job forbids it",
        ),
        _ if revivals >= max_revivals => error(
            format!(
                "Job pod reached max revivals ({max_revivals}) after being stopped unexpectedly ({})",
                stop.cause()
            ),
            "stopped unexpectedly too often",
        ),
        _ => change(Change::Revive, "its pod was stopped unexpectedly"),
    }
}

fn by_phase(seen: &Observed<'_>, pod: &PodView, settings: &Settings, now: Timestamp) -> Decision {
    match pod.phase {
        Phase::Succeeded if all_succeeded(pod) => complete(
            ProwJobState::Success,
            "Job succeeded.",
            "every container ended with 0",
        ),
        Phase::Succeeded => complete(
            ProwJobState::Error,
            "Pod was in succeeded phase but some containers didn't finish",
            "the pod succeeded, not all its containers did",
        ),
        Phase::Failed if !pod.reason.is_empty() && never_ran(pod) => complete(
            ProwJobState::Error,
            format!(
                "Pod could not start: {}",
                reason_and_message(&pod.reason, &pod.message)
            ),
            "the pod failed before any container started",
        ),
        Phase::Failed => match refused(pod) {
            Some(why) => complete(
                ProwJobState::Error,
                format!("Pod could not start: {why}"),
                "a container could not be started",
            ),
            None => complete(ProwJobState::Failure, "Job failed.", "the pod failed"),
        },
        Phase::Pending => waiting_pod(seen, pod, settings, now),
        Phase::Running if pod.deleting.is_none() => running_pod(seen, pod, settings, now),
        _ if pod.deleting.is_some() => deleted(),
        _ => wait("nothing has looked at its pod yet"),
    }
}

fn deleted() -> Decision {
    complete(
        ProwJobState::Error,
        "Pod got deleted unexpectedly",
        "somebody deletes its pod",
    )
}

fn all_succeeded(pod: &PodView) -> bool {
    pod.containers.iter().all(|container| {
        matches!(
            container.state,
            ContainerState::Terminated {
                exit_code: 0,
                finished: true,
                ..
            }
        )
    })
}

fn never_ran(pod: &PodView) -> bool {
    !pod.containers
        .iter()
        .any(|container| container.has_started())
}

/// The container that the runtime could not start, and why.
fn refused(pod: &PodView) -> Option<String> {
    pod.containers.iter().find_map(|container| {
        let ContainerState::Refused { reason, message } = &container.state else {
            return None;
        };
        let why = reason_and_message(reason, message);
        Some(format!("container {}: {why}", container.name))
    })
}

/// Not every init container is done.
fn waiting_pod(
    seen: &Observed<'_>,
    pod: &PodView,
    settings: &Settings,
    now: Timestamp,
) -> Decision {
    let decoration = seen.job.spec.decoration_config.as_ref();
    let (since, timeout, text, why) = match pod.started {
        None => (
            pod.created,
            timeout(decoration, settings.pod_unscheduled_timeout, |c| {
                c.pod_unscheduled_timeout
            }),
            "Pod scheduling timeout.",
            "no node takes its pod",
        ),
        Some(_) => (
            pod.started,
            timeout(decoration, settings.pod_pending_timeout, |c| {
                c.pod_pending_timeout
            }),
            "Pod pending timeout.",
            "its pod starts",
        ),
    };
    let deadline = after(since.unwrap_or(now), timeout);
    if now >= deadline {
        return complete(ProwJobState::Error, text, why);
    }
    if pod.deleting.is_some() {
        return deleted();
    }
    let patience = after(
        pod.started.unwrap_or(now),
        settings.missing_reference_timeout,
    );
    match obstacle(pod) {
        Some(Obstacle { text, lasting }) if lasting || now >= patience => {
            complete(ProwJobState::Error, text, "its pod can not start")
        }
        Some(_) => Decision {
            look_again_at: Some(patience.min(deadline)),
            ..wait("its pod waits for a Secret or a ConfigMap")
        },
        None => Decision {
            look_again_at: Some(deadline),
            ..wait(why)
        },
    }
}

fn running_pod(
    seen: &Observed<'_>,
    pod: &PodView,
    settings: &Settings,
    now: Timestamp,
) -> Decision {
    let Some(started) = pod.started else {
        return wait("its pod runs");
    };
    let decoration = seen.job.spec.decoration_config.as_ref();
    let limit = timeout(decoration, settings.pod_running_timeout, |c| {
        c.pod_running_timeout
    });
    let deadline = after(started, limit);
    if now >= deadline {
        return complete(
            ProwJobState::Aborted,
            "Pod running timeout.",
            "its pod runs too long",
        );
    }
    Decision {
        look_again_at: Some(deadline),
        ..wait("its pod runs")
    }
}

/// Why a container does not start, and whether waiting can help.
struct Obstacle {
    text: String,
    lasting: bool,
}

/// The container runtime's word for what it cannot do; what lasts is told first.
fn obstacle(pod: &PodView) -> Option<Obstacle> {
    let all = pod.containers.iter().filter_map(|container| {
        let ContainerState::Waiting { reason, message } = &container.state else {
            return None;
        };
        Some(Obstacle {
            lasting: is_lasting(reason, message)?,
            text: format!(
                "Pod could not start: container {}: {}",
                container.name,
                reason_and_message(reason, message)
            ),
        })
    });
    all.max_by_key(|obstacle| obstacle.lasting)
}

/// `None` for what is no obstacle. Pull errors are left to the pending timeout: registries fail
/// for a while.
fn is_lasting(reason: &str, message: &str) -> Option<bool> {
    match reason {
        "InvalidImageName" | "ErrImageNeverPull" => Some(true),
        // A missing Secret, ConfigMap or key of one; it may still come.
        "CreateContainerConfigError" | "FailedMount" => Some(false),
        // Our pod runner says in the message which volume it waits for; kubelet says nothing.
        "ContainerCreating" if !message.is_empty() => Some(false),
        _ => None,
    }
}

fn reason_and_message(reason: &str, message: &str) -> String {
    if message.is_empty() {
        reason.to_owned()
    } else {
        format!("{reason}: {}", short(message))
    }
}

/// Somebody else's message on one line, cut.
fn short(message: &str) -> String {
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX_MESSAGE) {
        Some((end, _)) => format!("{} ...", &line[..end]),
        None => line,
    }
}

/// The job's own value, which has the installation's defaults merged in, beats plank's.
fn timeout(
    decoration: Option<&DecorationConfig>,
    default: SignedDuration,
    field: impl Fn(&DecorationConfig) -> Option<common::duration::GoDuration>,
) -> SignedDuration {
    decoration
        .and_then(field)
        .map_or(default, |own| SignedDuration::from_nanos(own.nanos()))
}

fn after(since: Timestamp, duration: SignedDuration) -> Timestamp {
    since.saturating_add(duration).unwrap_or(since)
}
