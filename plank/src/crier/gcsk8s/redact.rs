//! Removes the messages of a job's containers: no masker has seen them, so they are not kept.

use std::collections::BTreeSet;

use common::prowjob::{ProwJob, RawPodSpec, secrets::gives_secret};
use k8s_openapi::api::core::v1::{ContainerStatus, Event, Pod};

use crate::pod_view::UTILITIES;

/// Reasons of events that quote what a probe or a hook of a container printed.
const QUOTING_REASONS: [&str; 4] = [
    "Unhealthy",
    "ProbeWarning",
    "FailedPostStartHook",
    "FailedPreStopHook",
];
/// The reason of events about containers that cannot be started.
const FAILED: &str = "Failed";

/// Removes such messages from a pod and its events: all of a decorated job, and of another job if
/// it has a Secret that they could contain. Messages of the cluster and of our own utilities stay.
pub(super) fn redact_messages(job: &ProwJob, pod: &mut Pod, events: &mut [Event]) {
    if job.spec.decoration_config.is_none() && !gives_secret(&job.spec) {
        return;
    }
    let own = job
        .spec
        .pod_spec
        .as_ref()
        .map(container_names)
        .unwrap_or_default();
    let is_decorated = job.spec.decoration_config.is_some();
    let is_ours = |name: &str| is_decorated && UTILITIES.contains(&name) && !own.contains(name);
    let has_expansions = uses_expansions(pod);
    if let Some(status) = &mut pod.status {
        let groups = [
            &mut status.init_container_statuses,
            &mut status.container_statuses,
            &mut status.ephemeral_container_statuses,
        ];
        for status in groups.into_iter().flatten().flatten() {
            if !is_ours(&status.name) {
                redact_status(status, has_expansions);
            }
        }
    }
    for event in events {
        let reason = event.reason.as_deref().unwrap_or_default();
        if QUOTING_REASONS.contains(&reason) || (reason == FAILED && has_expansions) {
            event.message = None;
        }
    }
}

fn redact_status(status: &mut ContainerStatus, has_expansions: bool) {
    for state in [&mut status.state, &mut status.last_state] {
        let Some(state) = state else { continue };
        if let Some(ended) = &mut state.terminated {
            ended.message = None;
        }
        // A runtime quotes the command that it could not start.
        if has_expansions && let Some(waiting) = &mut state.waiting {
            waiting.message = None;
        }
    }
}

/// The names of a job's own containers.
fn container_names(spec: &RawPodSpec) -> BTreeSet<String> {
    let groups = ["initContainers", "containers"].into_iter();
    let containers = groups.filter_map(|group| spec.0.get(group)?.as_array());
    let names = containers
        .flatten()
        .filter_map(|container| container["name"].as_str());
    names.map(str::to_owned).collect()
}

/// Whether a command refers to variables, so that the expanded one may contain a secret.
fn uses_expansions(pod: &Pod) -> bool {
    let spec = pod.spec.iter();
    let mut containers = spec.flat_map(|spec| {
        let init = spec.init_containers.iter().flatten();
        init.chain(&spec.containers)
    });
    containers.any(|container| {
        let words = container.command.iter().chain(&container.args).flatten();
        words.into_iter().any(|word| word.contains("$("))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const CANARY: &str = "canary-of-the-job";

    fn job(decorated: bool, container: Value) -> ProwJob {
        let mut spec = json!({
            "type": "periodic", "job": "j", "pod_spec": {"containers": [container]},
        });
        if decorated {
            spec["decoration_config"] = json!({});
        }
        ProwJob::new("pj", serde_json::from_value(spec).unwrap())
    }

    fn with_secret() -> Value {
        json!({"name": "test", "envFrom": [{"secretRef": {"name": "s"}}]})
    }

    fn ended(name: &str) -> Value {
        let ended = json!({"terminated": {"exitCode": 1, "message": CANARY, "reason": "Error"}});
        json!({"name": name, "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "state": ended, "lastState": ended})
    }

    /// The names of the containers whose messages stay.
    fn speakers(job: &ProwJob) -> Vec<String> {
        let names = [
            "clonerefs",
            "initupload",
            "place-entrypoint",
            "setup",
            "sidecar",
            "test",
        ];
        let mut pod: Pod = serde_json::from_value(json!({
            "metadata": {}, "spec": {"containers": []},
            "status": {
                "initContainerStatuses": names[..4].iter().map(|name| ended(name)).collect::<Vec<_>>(),
                "containerStatuses": names[4..].iter().map(|name| ended(name)).collect::<Vec<_>>(),
            },
        }))
        .unwrap();
        redact_messages(job, &mut pod, &mut []);
        let all = serde_json::to_value(&pod.status).unwrap();
        let groups = ["initContainerStatuses", "containerStatuses"];
        let statuses = groups
            .iter()
            .flat_map(|group| all[group].as_array().unwrap());
        let speaks = |status: &&Value| status.to_string().contains(CANARY);
        let name = |status: &Value| status["name"].as_str().unwrap().to_owned();
        statuses.filter(speaks).map(name).collect()
    }

    #[test]
    fn what_a_container_of_a_decorated_job_said_is_not_kept() {
        let ours = ["clonerefs", "initupload", "place-entrypoint"];
        let plain = json!({"name": "test"});
        assert_eq!(speakers(&job(true, plain.clone())), ours);
        assert_eq!(speakers(&job(true, with_secret())), ours);
        assert_eq!(
            speakers(&job(true, json!({"name": "clonerefs"}))),
            ours[1..],
            "a job that clones nothing may call its container so"
        );
        assert_eq!(speakers(&job(false, with_secret())), [""; 0]);
        assert_eq!(speakers(&job(false, plain)).len(), 6, "as in Prow");
    }

    #[test]
    fn an_event_tells_what_the_cluster_says_and_nothing_of_a_container() {
        for (reason, word, expected) in [
            ("FailedMount", "make", true),
            ("Failed", "make", true),
            ("Failed", "$(TOKEN)", false),
            ("Unhealthy", "make", false),
            ("FailedPostStartHook", "make", false),
        ] {
            let mut pod: Pod = serde_json::from_value(json!({
                "metadata": {}, "spec": {"containers": [{"name": "test", "command": [word]}]},
            }))
            .unwrap();
            let event =
                json!({"metadata": {}, "involvedObject": {}, "reason": reason, "message": CANARY});
            let mut events = [serde_json::from_value(event).unwrap()];
            redact_messages(&job(true, with_secret()), &mut pod, &mut events);
            assert_eq!(events[0].message.is_some(), expected, "{reason} {word}");
        }
    }
}
