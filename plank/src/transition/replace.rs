//! A pod that has the job's name and makes room for it: it is not reported, and nothing is waited
//! for but its end.

use common::prowjob::ProwJobState;

use super::{
    CONFIRMATION_MARGIN, DELETION_MARGIN, DecisionContext, TransitionDecision, TransitionStep,
    completion_decision, time_after, undeleted_pod_text, wait_decision,
};
use crate::pod_view::PodView;

/// The pod that a revival replaces.
pub(super) fn replace_stopped_pod(case: &DecisionContext<'_>, pod: &PodView) -> TransitionDecision {
    let why = "it was stopped unexpectedly and is replaced";
    replace_pod(case, pod, "Job pod was stopped unexpectedly", why)
}

/// The pod left by a deleted job of the same name.
pub(super) fn replace_leftover_pod(
    case: &DecisionContext<'_>,
    pod: &PodView,
) -> TransitionDecision {
    let why = "an earlier job of this name left a pod";
    replace_pod(case, pod, "An earlier job of this name left a pod", why)
}

/// `what` names the obstacle, as a sentence begins.
fn replace_pod(
    case: &DecisionContext<'_>,
    pod: &PodView,
    what: &str,
    why: &'static str,
) -> TransitionDecision {
    let (seen, now) = (case.seen, case.now);
    if let Some(undeleted) = &seen.undeleted {
        let deadline = time_after(undeleted.since, DELETION_MARGIN);
        if now >= deadline {
            let text = format!("{what}, and {}", undeleted_pod_text(seen.job, undeleted));
            return completion_decision(ProwJobState::Error, text, "the pod it replaces stays");
        }
        return TransitionDecision {
            look_again_at: Some(deadline),
            ..wait_decision("the pod it replaces can not be deleted now")
        };
    }
    let ends = match pod.deleting {
        // ReplacePod removes crier's finalizer: crier itself could not, since it waits for the
        // job's end.
        Some(ends) if !pod.has_report_finalizer => ends,
        ends => {
            return TransitionDecision {
                step: TransitionStep::ReplacePod {
                    uid: pod.uid.clone(),
                    is_held: pod.has_report_finalizer,
                    is_ending: ends.is_some(),
                },
                ..wait_decision(why)
            };
        }
    };
    let deadline = time_after(ends, CONFIRMATION_MARGIN);
    if now >= deadline {
        let text = format!("{what}, and its node never confirms that it is gone: run it again");
        return completion_decision(ProwJobState::Error, text, "the pod it replaces never ends");
    }
    TransitionDecision {
        look_again_at: Some(deadline),
        ..wait_decision("the pod it replaces is ending")
    }
}
