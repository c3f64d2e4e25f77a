//! A claimed job: it gets its pod, and the pod is judged.

use common::prowjob::{ProwJobState, ProwJobStatus};

use super::{
    Case, Change, Decision, Step, Token, after, change, complete, ended, foreign, is_for,
    is_of_an_earlier_job, killed, replace, starting, stopped, timeout, wait, waits, words::short,
};
use crate::pod_view::{Phase, PodView};

/// What a claim says, and what is said again when what was in the way is gone.
pub(crate) const TRIGGERED: &str = "Job triggered.";

pub(super) fn pending(case: &Case<'_>) -> Decision {
    let seen = case.seen;
    let default = ProwJobStatus::default();
    let status = seen.job.status.as_ref().unwrap_or(&default);
    let Some(pod) = seen.pod else {
        return without_pod(case, status);
    };
    if is_of_an_earlier_job(pod, seen.job) {
        return replace::left_by_an_earlier_job(case, pod);
    }
    if !is_for(pod, seen.job) {
        return foreign(seen.job);
    }
    if pod.build_id.as_deref() != Some(status.build_id.as_str()) {
        return match status.pod_revival_count {
            0 => foreign(seen.job),
            _ => replace::stopped(case, pod),
        };
    }
    if let Some(decision) = token(case, pod) {
        return decision;
    }
    match stopped::stop(pod) {
        Some(stop) => stopped::stopped(seen, pod, stop, case.settings.max_revivals),
        None => by_phase(case, pod),
    }
}

/// Its pod waits for the Secret with its storage token: that is made before anything else is
/// looked at, or its absence would be taken for somebody's mistake.
fn token(case: &Case<'_>, pod: &PodView) -> Option<Decision> {
    // A pod that runs has mounted it.
    let starts = matches!(pod.phase, Phase::Pending | Phase::Unset) && pod.deleting.is_none();
    match case.seen.token {
        Token::Missing if starts => Some(Decision {
            step: Step::CreateToken {
                pod_uid: pod.uid.clone(),
            },
            ..wait("its pod waits for its storage token")
        }),
        Token::Refused(why) if starts => {
            let text = format!(
                "Pod could not start: the Secret with its storage token can not be created: {}",
                short(why)
            );
            let why = "its storage token can never be created";
            Some(complete(ProwJobState::Error, text, why))
        }
        _ => None,
    }
}

fn without_pod(case: &Case<'_>, status: &ProwJobStatus) -> Decision {
    let (seen, now) = (case.seen, case.now);
    if status.build_id.is_empty() {
        let claim = Change::Claim { build_id: None };
        return change(claim, "pending without a build id");
    }
    if let Some(until) = seen.pod_announced.filter(|until| now < *until) {
        return Decision {
            look_again_at: Some(until),
            ..wait("its pod was just created")
        };
    }
    let Some(delay) = seen.delayed else {
        return Decision {
            step: Step::CreatePod,
            ..wait("claimed, and its pod is missing")
        };
    };
    let decoration = seen.job.spec.decoration_config.as_ref();
    let limit = timeout(decoration, case.settings.pod_pending_timeout, |c| {
        c.pod_pending_timeout
    });
    let deadline = after(case.sighting.map_or(now, |delay| delay.since), limit);
    if now >= deadline {
        let text = format!("Pod can not be created: {}", short(delay));
        return complete(ProwJobState::Error, text, "its pod is not taken in time");
    }
    let text = format!("the pod is not taken: {}", short(delay));
    Decision {
        look_again_at: Some(deadline),
        ..waits::for_obstacle(case, &text, "its pod is not taken now")
    }
}

fn by_phase(case: &Case<'_>, pod: &PodView) -> Decision {
    match pod.phase {
        Phase::Succeeded => ended::succeeded(pod),
        Phase::Failed => ended::failed(case.seen.job, pod),
        Phase::Pending => starting::starting(case, pod),
        Phase::Running if pod.deleting.is_none() => running(case, pod),
        _ if pod.deleting.is_some() => deleted(),
        _ => starting::starting(case, pod),
    }
}

pub(super) fn deleted() -> Decision {
    complete(
        ProwJobState::Error,
        "Pod got deleted unexpectedly",
        "somebody deletes its pod",
    )
}

fn running(case: &Case<'_>, pod: &PodView) -> Decision {
    let (job, now) = (case.seen.job, case.now);
    let decoration = job.spec.decoration_config.as_ref();
    let limit = timeout(decoration, case.settings.pod_running_timeout, |c| {
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
    let silent = killed::silent_end(job, pod);
    if let Some(end) = silent.as_ref().filter(|end| now >= end.at) {
        let why = "a container ended and its sidecar was not told";
        return complete(ProwJobState::Error, end.text.clone(), why);
    }
    let look_again_at = deadline.into_iter().chain(silent.map(|end| end.at)).min();
    if waits::is_described(job) {
        let text = TRIGGERED.into();
        let sighting = None;
        let change = Change::Describe { text, sighting };
        return Decision {
            look_again_at,
            ..self::change(change, "its pod runs after all")
        };
    }
    Decision {
        look_again_at,
        ..wait("its pod runs")
    }
}
