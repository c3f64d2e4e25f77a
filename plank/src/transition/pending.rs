//! A claimed job: it gets its pod, and the pod is judged.

use common::prowjob::{ProwJobState, ProwJobStatus};
use jiff::Timestamp;

use super::{
    Change, DELETION_MARGIN, Decision, Observed, Settings, Step, after, change, complete, delete,
    ended, foreign, is_for,
    starting::{self, short},
    stopped, timeout, wait, waits,
};
use crate::pod_view::{Phase, PodView};

/// What a claim says, and what is said again when what was in the way is gone.
pub(crate) const TRIGGERED: &str = "Job triggered.";

pub(super) fn pending(seen: &Observed<'_>, settings: &Settings, now: Timestamp) -> Decision {
    let default = ProwJobStatus::default();
    let status = seen.job.status.as_ref().unwrap_or(&default);
    if let Some(refusal) = seen.refused {
        let text = format!("Pod can not be created: {}", short(refusal));
        return complete(ProwJobState::Error, text, "its pod can never be created");
    }
    let Some(pod) = seen.pod else {
        return without_pod(seen, status, settings, now);
    };
    if !is_for(pod, seen.job) {
        return foreign(seen.job);
    }
    if pod.build_id.as_deref() != Some(status.build_id.as_str()) {
        return of_another_build(seen, pod, status, now);
    }
    let decision = match stopped::stop(pod) {
        Some(stop) => stopped::stopped(seen, stop, settings.max_revivals),
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

fn without_pod(
    seen: &Observed<'_>,
    status: &ProwJobStatus,
    settings: &Settings,
    now: Timestamp,
) -> Decision {
    if status.build_id.is_empty() {
        let claim = Change::Claim { build_id: None };
        return change(claim, "pending without a build id");
    }
    let Some(delay) = seen.delayed else {
        return Decision {
            step: Step::CreatePod,
            ..wait("claimed, and its pod is missing")
        };
    };
    let decoration = seen.job.spec.decoration_config.as_ref();
    let limit = timeout(decoration, settings.pod_pending_timeout, |c| {
        c.pod_pending_timeout
    });
    let since = status.pending_time.as_ref().map_or(now, |time| time.0);
    let deadline = after(since, limit);
    if now >= deadline {
        let text = format!("Pod can not be created: {}", short(delay));
        return complete(ProwJobState::Error, text, "its pod is not taken in time");
    }
    let text = format!("the pod is not taken: {}", short(delay));
    Decision {
        look_again_at: Some(deadline),
        ..waits::described(seen.job, &text, "its pod is not taken now")
    }
}

/// The pod that a revival replaces, or nobody's.
fn of_another_build(
    seen: &Observed<'_>,
    pod: &PodView,
    status: &ProwJobStatus,
    now: Timestamp,
) -> Decision {
    if status.pod_revival_count == 0 {
        return foreign(seen.job);
    }
    let Some(ends) = pod.deleting else {
        return delete(pod, "it was stopped unexpectedly and is replaced");
    };
    let deadline = after(ends, DELETION_MARGIN);
    if now >= deadline {
        return complete(
            ProwJobState::Error,
            "Job pod was stopped unexpectedly, and its node never confirms that it is gone",
            "the pod it replaces never ends",
        );
    }
    Decision {
        look_again_at: Some(deadline),
        ..wait("the pod it replaces is ending")
    }
}

fn by_phase(seen: &Observed<'_>, pod: &PodView, settings: &Settings, now: Timestamp) -> Decision {
    match pod.phase {
        Phase::Succeeded => ended::succeeded(pod),
        Phase::Failed => ended::failed(pod),
        Phase::Pending => starting::starting(seen, pod, settings, now),
        Phase::Running if pod.deleting.is_none() => running(seen, pod, settings, now),
        _ if pod.deleting.is_some() => deleted(),
        _ => wait("nothing has looked at its pod yet"),
    }
}

pub(super) fn deleted() -> Decision {
    complete(
        ProwJobState::Error,
        "Pod got deleted unexpectedly",
        "somebody deletes its pod",
    )
}

fn running(seen: &Observed<'_>, pod: &PodView, settings: &Settings, now: Timestamp) -> Decision {
    let decoration = seen.job.spec.decoration_config.as_ref();
    let limit = timeout(decoration, settings.pod_running_timeout, |c| {
        c.pod_running_timeout
    });
    let deadline = pod.started.map(|started| after(started, limit));
    if deadline.is_some_and(|deadline| now >= deadline) {
        return complete(
            ProwJobState::Aborted,
            "Pod running timeout.",
            "its pod runs too long",
        );
    }
    if waits::is_described(seen.job) {
        return change(Change::Describe(TRIGGERED.into()), "its pod runs after all");
    }
    Decision {
        look_again_at: deadline,
        ..wait("its pod runs")
    }
}
