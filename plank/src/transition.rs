//! Decides the one step that a job takes next, and why. Plain values in, plain values out.
//!
//! A decision is a single step. The caller applies it, observes again and asks for the next one. So
//! every step leaves a state from which the next follows, and a crash between two steps loses
//! nothing.

mod ended;
mod killed;
mod message_text;
mod observed_job;
mod observed_obstacle;
mod pending;
#[cfg(test)]
mod proptests;
mod replace;
mod start_obstacle;
mod starting;
mod step;
mod stopped;
#[cfg(test)]
mod tests;
mod waits;

use common::{
    duration::GoDuration,
    prowjob::{DecorationConfig, ProwJob, ProwJobState},
};
use jiff::{SignedDuration, Timestamp};

pub use observed_job::{
    ClusterReadiness, EnabledControllers, FailedDeletion, ObservedJob, ReachedLimit,
    ReferenceCheck, StartPermission, StorageTokenState, TransitionSettings,
};
pub use observed_obstacle::{ImagePullRefusals, ObservedObstacle, ObstacleKind};
pub(crate) use pending::TRIGGERED_DESCRIPTION;
pub use step::{ProwJobChange, TransitionDecision, TransitionStep};

use crate::pod_view::{PodPhase, PodView};
use message_text::{capitalize_first, shorten_message};

/// How long a deletion may fail before the job is completed without it: waiting does not grant a
/// missing right.
const DELETION_MARGIN: SignedDuration = SignedDuration::from_secs(60);

/// How long past its grace period a deleted pod may stay before the job is completed without it: a
/// lost node never confirms. With a decoration's default grace period of 15 s, of which the pod
/// gets a quarter more, the job ends 53 s after the deletion: within a minute with its writes.
const CONFIRMATION_MARGIN: SignedDuration = SignedDuration::from_secs(35);

/// What every part of a decision reads.
struct DecisionContext<'a> {
    seen: &'a ObservedJob<'a>,
    sighting: Option<&'a ObservedObstacle>,
    settings: &'a TransitionSettings,
    now: Timestamp,
}

/// Decides the next step of a job.
pub fn decide_next_step(
    seen: &ObservedJob<'_>,
    settings: &TransitionSettings,
    now: Timestamp,
) -> TransitionDecision {
    let sighting = ObservedObstacle::from_observed(seen, now);
    let decision = decide_step(&DecisionContext {
        seen,
        sighting: sighting.as_ref(),
        settings,
        now,
    });
    let step = match decision.step {
        step if step.is_final() && !seen.is_fresh => TransitionStep::ReadJob,
        step => step,
    };
    TransitionDecision {
        step,
        sighting,
        ..decision
    }
}

fn decide_step(case: &DecisionContext<'_>) -> TransitionDecision {
    let (seen, controllers) = (case.seen, case.settings.controllers);
    let job = seen.job;
    let (state, complete_job) = (job.state(), job.is_complete());
    if state == ProwJobState::Scheduling && !complete_job && controllers.scheduler {
        return match seen.refused {
            Some(refusal) => complete_refused_job(refusal),
            None => TransitionDecision {
                step: TransitionStep::Schedule,
                ..wait_decision("it needs a build cluster")
            },
        };
    }
    if !job.spec.agent.is_kubernetes() {
        return wait_decision("another controller's agent runs it");
    }
    if !controllers.plank {
        return wait_decision("plank is not among the controllers that are enabled");
    }
    if complete_job {
        return decide_complete_job(seen);
    }
    match state {
        ProwJobState::Triggered | ProwJobState::Pending => {
            if let Some(by) = seen.superseded_by {
                let by = by.to_owned();
                let why = "a newer presubmit tests the same pull request";
                return change_decision(ProwJobChange::Supersede { by }, why);
            }
            if let Some(refusal) = seen.refused {
                return complete_refused_job(refusal);
            }
        }
        ProwJobState::Aborted => {}
        _ => return wait_decision("the state is not to be moved on here"),
    }
    match seen.cluster {
        ClusterReadiness::Unknown => {
            let alias = job.spec.cluster_alias();
            let text = format!("Terminal error: no client for build cluster {alias:?}.");
            return completion_decision(ProwJobState::Error, text, "unknown build cluster");
        }
        ClusterReadiness::Unready(since) => return waits::wait_for_cluster(case, since),
        ClusterReadiness::Ready => {}
    }
    match state {
        ProwJobState::Triggered => decide_triggered_job(case),
        ProwJobState::Pending => pending::decide_pending_job(case),
        _ => decide_aborted_job(seen, case.now),
    }
}

/// Ends a job whose pod, or a change that leads to it, the API refuses for good.
fn complete_refused_job(refusal: &str) -> TransitionDecision {
    let text = format!("Pod can not be created: {}", shorten_message(refusal));
    completion_decision(ProwJobState::Error, text, "its pod can never be created")
}

fn decide_triggered_job(case: &DecisionContext<'_>) -> TransitionDecision {
    let seen = case.seen;
    if let Some(pod) = seen.pod {
        if is_of_an_earlier_job(pod, seen.job) {
            return replace::replace_leftover_pod(case, pod);
        }
        return match (is_pod_of(pod, seen.job), &pod.build_id) {
            (true, Some(build_id)) => {
                let build_id = Some(build_id.clone());
                change_decision(
                    ProwJobChange::Claim { build_id },
                    "its pod is already there",
                )
            }
            _ => refuse_foreign_pod(seen.job),
        };
    }
    match seen.start {
        StartPermission::Waits(limit) => waits::wait_for_slot(seen.job, limit),
        StartPermission::NoKey(error) => waits::wait_for_key(seen.job, error, case.now),
        StartPermission::NotKnown => wait_decision("not all jobs are known yet"),
        StartPermission::Now => change_decision(
            ProwJobChange::Claim { build_id: None },
            "nothing keeps it from starting",
        ),
    }
}

fn decide_aborted_job(seen: &ObservedJob<'_>, now: Timestamp) -> TransitionDecision {
    let done = |description, why| {
        let change = ProwJobChange::Complete {
            state: ProwJobState::Aborted,
            description,
        };
        self::change_decision(change, why)
    };
    let Some(pod) = seen.pod.filter(|pod| is_pod_of(pod, seen.job)) else {
        return done(None, "aborted, and its pod is gone");
    };
    // crier's finalizer keeps the pod until the job is complete.
    if pod.phase.is_final() || pod.deletion_confirmed {
        return done(None, "aborted, and its pod has ended");
    }
    let (deadline, description, why) = match (pod.deleting, &seen.undeleted) {
        (Some(ends), _) => (
            time_after(ends, CONFIRMATION_MARGIN),
            None,
            "aborted, and its pod's deletion is never confirmed",
        ),
        (None, Some(undeleted)) => {
            let status = seen.job.status.as_ref();
            let before = status.map_or("", |status| &status.description);
            let text = format!(
                "{before} {}",
                capitalize_first(&undeleted_pod_text(seen.job, undeleted))
            );
            (
                time_after(undeleted.since, DELETION_MARGIN),
                Some(text.trim_start().to_owned()),
                "aborted, and its pod can not be deleted",
            )
        }
        (None, None) => return delete_pod_decision(pod, "aborted"),
    };
    if now >= deadline {
        return done(description, why);
    }
    TransitionDecision {
        look_again_at: Some(deadline),
        ..wait_decision("aborted, and its pod is ending")
    }
}

/// Says that a pod stays, and what to do about it.
fn undeleted_pod_text(job: &ProwJob, undeleted: &FailedDeletion<'_>) -> String {
    let (name, why) = (job.metadata.name.as_deref(), shorten_message(undeleted.why));
    let name = name.unwrap_or_default();
    format!("its pod {name} can not be deleted and may go on; delete it by hand: {why}")
}

/// A complete job has no active pod: one that a crash between completing and deleting left is
/// deleted.
fn decide_complete_job(seen: &ObservedJob<'_>) -> TransitionDecision {
    let done = wait_decision("complete");
    let Some(pod) = seen.pod.filter(|pod| is_pod_of(pod, seen.job)) else {
        return done;
    };
    if seen.undeleted.is_some() {
        return wait_decision("complete, and its pod can not be deleted now");
    }
    if pod.deleting.is_some() || pod.phase.is_final() {
        return done;
    }
    match (seen.job.state(), pod.phase) {
        (ProwJobState::Aborted, _) => delete_pod_decision(pod, "aborted"),
        (ProwJobState::Error, PodPhase::Pending | PodPhase::Unset) => {
            delete_pod_decision(pod, "the job ended before its pod started")
        }
        (ProwJobState::Error, _) if killed::has_lost_its_sidecar(seen.job, pod) => {
            stop_pod_decision(pod, "nothing is left that could upload")
        }
        _ => done,
    }
}

/// Ends a job whose name another's pod has: such a pod is never adopted.
fn refuse_foreign_pod(job: &ProwJob) -> TransitionDecision {
    let name = job.metadata.name.as_deref().unwrap_or_default();
    let text = format!(
        "Pod can not be created: a pod named {name} that was not made for this run already exists"
    );
    completion_decision(ProwJobState::Error, text, "another pod has the name")
}

fn is_pod_of(pod: &PodView, job: &ProwJob) -> bool {
    has_job_label_of(pod, job) && !is_of_an_earlier_job(pod, job)
}

fn has_job_label_of(pod: &PodView, job: &ProwJob) -> bool {
    pod.job.is_some() && pod.job == job.metadata.name
}

/// Whether the pod was made for an earlier job of this name, which is gone.
///
/// A pod without a job's UID, such as those of Prow's plank, counts as the job's, as in Prow. So
/// does one with the job's build id: a job that was moved to another cluster has another UID.
fn is_of_an_earlier_job(pod: &PodView, job: &ProwJob) -> bool {
    let build_id = job.status.as_ref().map(|status| &status.build_id);
    let is_of_this_build =
        build_id.is_some_and(|id| !id.is_empty() && pod.build_id.as_ref() == Some(id));
    has_job_label_of(pod, job)
        && !is_of_this_build
        && pod.job_uid.is_some()
        && pod.job_uid != job.metadata.uid
}

fn wait_decision(why: &'static str) -> TransitionDecision {
    TransitionDecision {
        step: TransitionStep::Wait,
        look_again_at: None,
        why,
        sighting: None,
    }
}

fn change_decision(change: ProwJobChange, why: &'static str) -> TransitionDecision {
    TransitionDecision {
        step: TransitionStep::Change(change),
        ..wait_decision(why)
    }
}

fn completion_decision(
    state: ProwJobState,
    description: impl Into<String>,
    why: &'static str,
) -> TransitionDecision {
    let description = Some(description.into());
    change_decision(ProwJobChange::Complete { state, description }, why)
}

fn stop_pod_decision(pod: &PodView, why: &'static str) -> TransitionDecision {
    if pod.is_told_to_end {
        return wait_decision("complete, and its pod is ending");
    }
    TransitionDecision {
        step: TransitionStep::StopPod {
            uid: pod.uid.clone(),
        },
        ..wait_decision(why)
    }
}

fn delete_pod_decision(pod: &PodView, why: &'static str) -> TransitionDecision {
    TransitionDecision {
        step: TransitionStep::DeletePod {
            uid: pod.uid.clone(),
        },
        ..wait_decision(why)
    }
}

/// The job's own value, which has the installation's defaults merged in, precedes plank's.
fn effective_timeout(
    decoration: Option<&DecorationConfig>,
    default: SignedDuration,
    field: impl Fn(&DecorationConfig) -> Option<GoDuration>,
) -> SignedDuration {
    let own = decoration.and_then(field);
    own.map_or(default, |own| SignedDuration::from_nanos(own.as_nanos()))
}

fn time_after(since: Timestamp, duration: SignedDuration) -> Timestamp {
    since.saturating_add(duration).unwrap_or(since)
}
