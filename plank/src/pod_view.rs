//! What plank keeps of a pod: enough to judge it, a few hundred bytes instead of the object.

use common::prowjob::labels;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

/// The finalizer by which crier, Prow's or ours, keeps a pod until `podinfo.json` is stored.
pub const REPORT_FINALIZER: &str = "prow.x-k8s.io/gcsk8sreporter";

#[derive(Clone, Debug, Default, PartialEq)]
pub struct PodView {
    pub name: String,
    pub uid: String,
    /// Label `prow.k8s.io/id`: the job the pod was made for.
    pub job: Option<String>,
    /// Label `prow.k8s.io/build-id`, else what the first container has in `BUILD_ID`.
    pub build_id: Option<String>,
    pub phase: Phase,
    /// Why the pod as a whole is as it is, such as `Evicted`.
    pub reason: String,
    pub message: String,
    pub created: Option<Timestamp>,
    /// When a node took it.
    pub started: Option<Timestamp>,
    /// Deletion is under way and ends by this time.
    pub deleting: Option<Timestamp>,
    pub has_report_finalizer: bool,
    /// Of init containers, then of containers.
    pub containers: Vec<ContainerView>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// The API gives none: a pod that nothing has looked at yet.
    #[default]
    Unset,
    Pending,
    Running,
    Succeeded,
    Failed,
    Unknown,
}

impl Phase {
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct ContainerView {
    pub name: String,
    pub state: ContainerState,
    /// It ran before: a restarted container counts.
    pub ran_before: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ContainerState {
    Unknown,
    Waiting {
        reason: String,
        message: String,
    },
    Running,
    Terminated {
        reason: String,
        exit_code: i32,
        finished: bool,
    },
    /// The runtime could not start it: no such program, say.
    Refused {
        reason: String,
        message: String,
    },
}

/// How runtimes name a container that never ran: containerd and CRI-O, and the older Docker.
const REFUSALS: [&str; 2] = ["StartError", "ContainerCannotRun"];

impl ContainerView {
    pub fn has_started(&self) -> bool {
        self.ran_before
            || matches!(
                self.state,
                ContainerState::Running | ContainerState::Terminated { finished: true, .. }
            )
    }

    fn new(status: &ContainerStatus) -> Self {
        Self {
            name: status.name.clone(),
            state: state(status),
            ran_before: status
                .last_state
                .as_ref()
                .is_some_and(|last| last.terminated.is_some()),
        }
    }
}

fn state(status: &ContainerStatus) -> ContainerState {
    let Some(state) = &status.state else {
        return ContainerState::Unknown;
    };
    if let Some(ended) = &state.terminated {
        let reason = ended.reason.clone().unwrap_or_default();
        if REFUSALS.contains(&reason.as_str()) {
            let message = ended.message.clone().unwrap_or_default();
            return ContainerState::Refused { reason, message };
        }
        ContainerState::Terminated {
            reason,
            exit_code: ended.exit_code,
            finished: ended.finished_at.is_some(),
        }
    } else if state.running.is_some() {
        ContainerState::Running
    } else if let Some(waiting) = &state.waiting {
        ContainerState::Waiting {
            reason: waiting.reason.clone().unwrap_or_default(),
            message: waiting.message.clone().unwrap_or_default(),
        }
    } else {
        ContainerState::Unknown
    }
}

impl From<&Pod> for PodView {
    fn from(pod: &Pod) -> Self {
        let meta = &pod.metadata;
        let status = pod.status.clone().unwrap_or_default();
        let label = |key: &str| meta.labels.as_ref()?.get(key).cloned();
        let statuses = [status.init_container_statuses, status.container_statuses];
        Self {
            name: meta.name.clone().unwrap_or_default(),
            uid: meta.uid.clone().unwrap_or_default(),
            job: label(labels::ID),
            build_id: label(labels::BUILD_ID).or_else(|| build_id_in_environment(pod)),
            phase: match status.phase.as_deref() {
                Some("Pending") => Phase::Pending,
                Some("Running") => Phase::Running,
                Some("Succeeded") => Phase::Succeeded,
                Some("Failed") => Phase::Failed,
                Some("Unknown") => Phase::Unknown,
                _ => Phase::Unset,
            },
            reason: status.reason.unwrap_or_default(),
            message: status.message.unwrap_or_default(),
            created: meta.creation_timestamp.as_ref().map(|time| time.0),
            started: status.start_time.map(|time| time.0),
            deleting: meta.deletion_timestamp.as_ref().map(|time| time.0),
            has_report_finalizer: meta
                .finalizers
                .iter()
                .flatten()
                .any(|finalizer| finalizer == REPORT_FINALIZER),
            containers: statuses
                .iter()
                .flatten()
                .flatten()
                .map(ContainerView::new)
                .collect(),
        }
    }
}

fn build_id_in_environment(pod: &Pod) -> Option<String> {
    let environment = pod.spec.as_ref()?.containers.first()?.env.as_ref()?;
    let variable = environment
        .iter()
        .find(|variable| variable.name == "BUILD_ID")?;
    variable.value.clone()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_what_the_decision_needs() {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {
                "name": "p", "uid": "u", "finalizers": [REPORT_FINALIZER],
                "labels": {"prow.k8s.io/id": "p"},
                "creationTimestamp": "2026-08-01T00:00:00Z",
                "deletionTimestamp": "2026-08-01T00:01:00Z",
            },
            "spec": {"containers": [{"name": "test", "env": [{"name": "BUILD_ID", "value": "7"}]}]},
            "status": {
                "phase": "Running", "reason": "NodeLost",
                "initContainerStatuses": [{
                    "name": "clonerefs", "image": "", "imageID": "", "ready": false, "restartCount": 0,
                    "state": {"terminated": {"exitCode": 0, "finishedAt": "2026-08-01T00:00:01Z"}},
                }],
                "containerStatuses": [{
                    "name": "test", "image": "", "imageID": "", "ready": false, "restartCount": 0,
                    "state": {"waiting": {"reason": "ErrImagePull", "message": "no"}},
                }],
            },
        }))
        .unwrap();
        let view = PodView::from(&pod);
        assert_eq!(
            (view.job.as_deref(), view.build_id.as_deref()),
            (Some("p"), Some("7"))
        );
        assert_eq!(view.phase, Phase::Running);
        assert!(view.deleting.is_some() && view.has_report_finalizer);
        assert!(view.containers[0].has_started());
        assert!(!view.containers[1].has_started());
    }
}
