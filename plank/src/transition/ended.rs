//! A pod that ended by itself, and what that says of its job.

use common::prowjob::ProwJobState;

use super::{
    Decision, complete,
    starting::{reason_and_message, short},
};
use crate::pod_view::{ContainerState, FailedInit, PodView};

pub(super) fn succeeded(pod: &PodView) -> Decision {
    let done = pod.containers.iter().all(|container| {
        matches!(
            container.state,
            ContainerState::Terminated {
                exit_code: 0,
                finished: true,
                ..
            }
        )
    });
    if done {
        let why = "every container ended with 0";
        return complete(ProwJobState::Success, "Job succeeded.", why);
    }
    complete(
        ProwJobState::Error,
        "Pod was in succeeded phase but some containers didn't finish",
        "the pod succeeded, not all its containers did",
    )
}

pub(super) fn failed(pod: &PodView) -> Decision {
    if pod.reason == "DeadlineExceeded" {
        return complete(
            ProwJobState::Failure,
            "Job failed: its pod ran longer than activeDeadlineSeconds (DeadlineExceeded).",
            "the pod's deadline passed",
        );
    }
    let started = pod
        .containers
        .iter()
        .any(|container| container.has_started());
    if !pod.reason.is_empty() && !started {
        let why = reason_and_message(&pod.reason, &pod.message);
        return complete(
            ProwJobState::Error,
            format!("Pod could not start: {why}"),
            "the pod failed before any container started",
        );
    }
    if let Some(why) = refused(pod) {
        return complete(
            ProwJobState::Error,
            format!("Pod could not start: {why}"),
            "a container could not be started",
        );
    }
    if let Some(name) = out_of_memory(pod) {
        return complete(
            ProwJobState::Failure,
            format!("Job failed: container {name} ran out of memory (OOMKilled)."),
            "a container ran out of memory",
        );
    }
    if let Some(init) = &pod.failed_init {
        let why = "an init container failed";
        return complete(ProwJobState::Failure, before_the_test(init), why);
    }
    complete(ProwJobState::Failure, "Job failed.", "the pod failed")
}

/// A pod utility's own words, else the exit code.
fn before_the_test(init: &FailedInit) -> String {
    let FailedInit {
        name,
        exit_code,
        said,
    } = init;
    match said.as_str() {
        "" => format!("Job failed in init container {name}: it ended with exit code {exit_code}."),
        said => format!("Job failed in {name}: {}", short(said)),
    }
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

fn out_of_memory(pod: &PodView) -> Option<&str> {
    pod.containers.iter().find_map(|container| {
        let oom = matches!(&container.state, ContainerState::Terminated { reason, .. } if reason == "OOMKilled");
        oom.then_some(container.name.as_str())
    })
}
