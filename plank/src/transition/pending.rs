//! Decides on a claimed job: its pod is created, and then judged.

use common::prowjob::{ProwJobState, ProwJobStatus};

use super::{
    DecisionContext, ProwJobChange, StorageTokenState, TransitionDecision, TransitionStep,
    change_decision, completion_decision, effective_timeout, ended, is_of_an_earlier_job,
    is_pod_of, killed, message_text::shorten_message, refuse_foreign_pod, replace, starting,
    stopped, time_after, wait_decision, waits,
};
use crate::pod_view::{PodPhase, PodView};

/// The description of a claim, and again when an obstacle is gone.
pub(crate) const TRIGGERED_DESCRIPTION: &str = "Job triggered.";

pub(super) fn decide_pending_job(case: &DecisionContext<'_>) -> TransitionDecision {
    let seen = case.seen;
    let default = ProwJobStatus::default();
    let status = seen.job.status.as_ref().unwrap_or(&default);
    let Some(pod) = seen.pod else {
        return decide_without_pod(case, status);
    };
    if is_of_an_earlier_job(pod, seen.job) {
        return replace::replace_leftover_pod(case, pod);
    }
    if !is_pod_of(pod, seen.job) {
        return refuse_foreign_pod(seen.job);
    }
    if pod.build_id.as_deref() != Some(status.build_id.as_str()) {
        return match seen.job.pod_revival_count() {
            0 => refuse_foreign_pod(seen.job),
            _ => replace::replace_stopped_pod(case, pod),
        };
    }
    if let Some(decision) = decide_storage_token(case, pod) {
        return decision;
    }
    match stopped::find_stop_cause(pod) {
        Some(stop) => stopped::decide_stopped_pod(seen, pod, stop, case.settings.max_revivals),
        None => decide_by_phase(case, pod),
    }
}

/// The pod waits for the Secret with its storage token. That is created before anything else is
/// checked, or its absence would count as a mistake of the job.
fn decide_storage_token(case: &DecisionContext<'_>, pod: &PodView) -> Option<TransitionDecision> {
    // A running pod has mounted it.
    let starts = matches!(pod.phase, PodPhase::Pending | PodPhase::Unset) && pod.deleting.is_none();
    match case.seen.token {
        StorageTokenState::Missing if starts => Some(TransitionDecision {
            step: TransitionStep::CreateToken {
                pod_uid: pod.uid.clone(),
            },
            ..wait_decision("its pod waits for its storage token")
        }),
        StorageTokenState::Refused(why) if starts => {
            let text = format!(
                "Pod could not start: the Secret with its storage token can not be created: {}",
                shorten_message(why)
            );
            let why = "its storage token can never be created";
            Some(completion_decision(ProwJobState::Error, text, why))
        }
        _ => None,
    }
}

fn decide_without_pod(case: &DecisionContext<'_>, status: &ProwJobStatus) -> TransitionDecision {
    let (seen, now) = (case.seen, case.now);
    if status.build_id.is_empty() {
        let claim = ProwJobChange::Claim { build_id: None };
        return change_decision(claim, "pending without a build id");
    }
    if let Some(until) = seen.pod_announced.filter(|until| now < *until) {
        return TransitionDecision {
            look_again_at: Some(until),
            ..wait_decision("its pod was just created")
        };
    }
    let Some(delay) = seen.delayed else {
        return TransitionDecision {
            step: TransitionStep::CreatePod,
            ..wait_decision("claimed, and its pod is missing")
        };
    };
    let decoration = seen.job.spec.decoration_config.as_ref();
    let limit = effective_timeout(decoration, case.settings.pod_pending_timeout, |c| {
        c.pod_pending_timeout
    });
    let deadline = time_after(case.sighting.map_or(now, |delay| delay.since), limit);
    if now >= deadline {
        let text = format!("Pod can not be created: {}", shorten_message(delay));
        return completion_decision(ProwJobState::Error, text, "its pod is not taken in time");
    }
    let text = format!("the pod is not taken: {}", shorten_message(delay));
    TransitionDecision {
        look_again_at: Some(deadline),
        ..waits::wait_for_obstacle(case, &text, "its pod is not taken now")
    }
}

fn decide_by_phase(case: &DecisionContext<'_>, pod: &PodView) -> TransitionDecision {
    match pod.phase {
        PodPhase::Succeeded => ended::decide_succeeded_pod(pod),
        PodPhase::Failed => ended::decide_failed_pod(case.seen.job, pod),
        PodPhase::Pending => starting::decide_starting_pod(case, pod),
        PodPhase::Running if pod.deleting.is_none() => decide_running_pod(case, pod),
        _ if pod.deleting.is_some() => deleted_pod_decision(),
        _ => starting::decide_starting_pod(case, pod),
    }
}

pub(super) fn deleted_pod_decision() -> TransitionDecision {
    completion_decision(
        ProwJobState::Error,
        "Pod got deleted unexpectedly",
        "somebody deletes its pod",
    )
}

fn decide_running_pod(case: &DecisionContext<'_>, pod: &PodView) -> TransitionDecision {
    let (job, now) = (case.seen.job, case.now);
    let decoration = job.spec.decoration_config.as_ref();
    let limit = effective_timeout(decoration, case.settings.pod_running_timeout, |c| {
        c.pod_running_timeout
    });
    let deadline = pod.started.map(|started| time_after(started, limit));
    if deadline.is_some_and(|deadline| now >= deadline) {
        return completion_decision(
            ProwJobState::Aborted,
            "Pod running timeout.",
            "its pod runs too long",
        );
    }
    let silent = killed::find_silent_end(job, pod);
    if let Some(end) = silent.as_ref().filter(|end| now >= end.at) {
        let why = "a container ended and its sidecar was not told";
        return completion_decision(ProwJobState::Error, end.text.clone(), why);
    }
    let look_again_at = deadline.into_iter().chain(silent.map(|end| end.at)).min();
    if waits::is_described(job) {
        let text = TRIGGERED_DESCRIPTION.into();
        let sighting = None;
        let change = ProwJobChange::Describe { text, sighting };
        return TransitionDecision {
            look_again_at,
            ..self::change_decision(change, "its pod runs after all")
        };
    }
    TransitionDecision {
        look_again_at,
        ..wait_decision("its pod runs")
    }
}
