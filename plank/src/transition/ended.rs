//! Decides what a pod that ended by itself means for its job.

use common::prowjob::{ProwJob, ProwJobState};

use super::{
    TransitionDecision, completion_decision,
    killed::{NOT_FOUND, SIDECAR, describe_container_end, is_killed, is_oom_killed, is_test},
    message_text::{format_reason, shorten_message},
};
use crate::pod_view::{ContainerState, ContainerView, FailedInit, PodView};

pub(super) fn decide_succeeded_pod(pod: &PodView) -> TransitionDecision {
    let done = pod.containers.iter().all(|container| {
        matches!(
            container.state,
            ContainerState::Terminated {
                exit_code: 0,
                finished: Some(_),
                ..
            }
        )
    });
    if done {
        let why = "every container ended with 0";
        return completion_decision(ProwJobState::Success, "Job succeeded.", why);
    }
    completion_decision(
        ProwJobState::Error,
        "Pod was in succeeded phase but some containers didn't finish",
        "the pod succeeded, not all its containers did",
    )
}

pub(super) fn decide_failed_pod(job: &ProwJob, pod: &PodView) -> TransitionDecision {
    let failure = |text: &str, why| completion_decision(ProwJobState::Failure, text, why);
    if pod.reason == "DeadlineExceeded" {
        return failure(
            "Job failed: its pod ran longer than activeDeadlineSeconds (DeadlineExceeded).",
            "the pod's deadline passed",
        );
    }
    let mut all = pod.containers.iter();
    if !pod.reason.is_empty() && !all.any(ContainerView::has_started) {
        let why = format_reason(&pod.reason, &pod.message);
        let text = format!("Pod could not start: {why}");
        let why = "the pod failed before any container started";
        return completion_decision(ProwJobState::Error, text, why);
    }
    let find = |is: fn(&ContainerView) -> bool| pod.containers.iter().find(|it| is(it));
    let is_refused = |it: &ContainerView| matches!(it.state, ContainerState::Refused { .. });
    if let Some(refused) = find(is_refused) {
        let why = "a container could not be started";
        return completion_decision(ProwJobState::Error, describe_container_end(refused), why);
    }
    if let Some(killed) = find(is_oom_killed).or_else(|| find(is_killed)) {
        let why = "a container was killed";
        return match &job.spec.decoration_config {
            // The result is the same before and after its sidecar has ended.
            Some(_) => {
                completion_decision(ProwJobState::Error, describe_container_end(killed), why)
            }
            None => failure(
                &format!("Job failed: {}", describe_container_end(killed)),
                why,
            ),
        };
    }
    if let Some(init) = &pod.failed_init {
        return failure(&failed_init_text(init), "an init container failed");
    }
    match lone_sidecar_failure(pod) {
        Some(code) => failure(
            &format!(
                "Job failed: container {SIDECAR} ended with exit code {code}: the log and the \
                 artifacts may be incomplete."
            ),
            "the sidecar failed",
        ),
        None => failure(&failed_test_text(pod), "the pod failed"),
    }
}

/// Prow's text, with the exit code where that says something.
fn failed_test_text(pod: &PodView) -> String {
    let mut tests = pod.containers.iter().filter(|it| is_test(it));
    match tests.find(|test| exit_code(test) != 0) {
        // Entrypoint ends with it for a timeout, too, which is in the log.
        Some(test) if exit_code(test) != NOT_FOUND => {
            format!("Job failed. {}", describe_container_end(test))
        }
        _ => "Job failed.".to_owned(),
    }
}

fn exit_code(container: &ContainerView) -> i32 {
    match container.state {
        ContainerState::Terminated { exit_code, .. } => exit_code,
        _ => 0,
    }
}

/// The pod utility's own error, else the exit code.
fn failed_init_text(init: &FailedInit) -> String {
    let FailedInit {
        name,
        exit_code,
        said,
    } = init;
    match said.as_str() {
        "" => format!("Job failed in init container {name}: it ended with exit code {exit_code}."),
        said => format!("Job failed in {name}: {}", shorten_message(said)),
    }
}

/// The exit code of a sidecar that failed although no test did.
fn lone_sidecar_failure(pod: &PodView) -> Option<i32> {
    let mut tests = pod.containers.iter().filter(|it| is_test(it));
    if tests.any(|test| exit_code(test) != 0) {
        return None;
    }
    let mut all = pod.containers.iter();
    let sidecar = all.find(|it| !it.is_init && it.name == SIDECAR)?;
    Some(exit_code(sidecar)).filter(|code| *code != 0)
}
