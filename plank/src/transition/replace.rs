//! A pod that has the name of the job's and makes room for it: nobody is told of it, and no more
//! is waited for than that it is gone.

use common::prowjob::ProwJobState;

use super::{
    CONFIRMATION_MARGIN, Case, DELETION_MARGIN, Decision, Step, after, complete, given_up, wait,
};
use crate::pod_view::PodView;

/// The pod that a revival replaces.
pub(super) fn stopped(case: &Case<'_>, pod: &PodView) -> Decision {
    let why = "it was stopped unexpectedly and is replaced";
    replace(case, pod, "Job pod was stopped unexpectedly", why)
}

/// What is left of a job of the same name that was deleted.
pub(super) fn left_by_an_earlier_job(case: &Case<'_>, pod: &PodView) -> Decision {
    let why = "an earlier job of this name left a pod";
    replace(case, pod, "An earlier job of this name left a pod", why)
}

/// `what` is in the way, as a sentence begins.
fn replace(case: &Case<'_>, pod: &PodView, what: &str, why: &'static str) -> Decision {
    let (seen, now) = (case.seen, case.now);
    if let Some(undeleted) = &seen.undeleted {
        let deadline = after(undeleted.since, DELETION_MARGIN);
        if now >= deadline {
            let text = format!("{what}, and {}", given_up(seen.job, undeleted));
            return complete(ProwJobState::Error, text, "the pod it replaces stays");
        }
        return Decision {
            look_again_at: Some(deadline),
            ..wait("the pod it replaces can not be deleted now")
        };
    }
    let ends = match pod.deleting {
        // What holds it back so that it can be told of lets go, and crier could not, since it
        // waits for the job's end.
        Some(ends) if !pod.has_report_finalizer => ends,
        ends => {
            return Decision {
                step: Step::ReplacePod {
                    uid: pod.uid.clone(),
                    is_held: pod.has_report_finalizer,
                    is_ending: ends.is_some(),
                },
                ..wait(why)
            };
        }
    };
    let deadline = after(ends, CONFIRMATION_MARGIN);
    if now >= deadline {
        let text = format!("{what}, and its node never confirms that it is gone: run it again");
        return complete(ProwJobState::Error, text, "the pod it replaces never ends");
    }
    Decision {
        look_again_at: Some(deadline),
        ..wait("the pod it replaces is ending")
    }
}
