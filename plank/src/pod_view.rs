//! The fields of a pod that decisions need: a few hundred bytes instead of the object.

mod failed_init;
mod pruned_pod;

use common::prowjob::labels;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ContainerStatus;
use podutils::entrypoint::MARKER_WRITTEN;

pub use failed_init::{FailedInit, UTILITIES};
use pruned_pod::PrunedContainer;
pub use pruned_pod::PrunedPod;

/// The finalizer by which crier, Prow's or ours, keeps a pod until `podinfo.json` is stored.
pub const REPORT_FINALIZER: &str = "prow.x-k8s.io/gcsk8sreporter";

/// The shortest `activeDeadlineSeconds`: set on a running pod, it makes the kubelet end the pod.
pub const MIN_ACTIVE_DEADLINE_SECONDS: i64 = 1;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct PodView {
    pub name: String,
    pub uid: String,
    /// Label `prow.k8s.io/id`: the job the pod was made for.
    pub job: Option<String>,
    /// Annotation `prow.k8s.io/job-uid`: the UID of that job. None on a pod that Prow's plank made.
    pub job_uid: Option<String>,
    /// Label `prow.k8s.io/build-id`, else `BUILD_ID` of the first container.
    pub build_id: Option<String>,
    pub phase: PodPhase,
    /// The reason in the pod's status, such as `Evicted`.
    pub reason: String,
    pub message: String,
    pub created: Option<Timestamp>,
    /// When a kubelet accepted the pod.
    pub started: Option<Timestamp>,
    /// Deletion is under way and due to end by this time.
    pub deleting: Option<Timestamp>,
    /// Deletion waits only for finalizers: the node has confirmed it, or the pod had no node.
    pub deletion_confirmed: bool,
    pub has_report_finalizer: bool,
    /// `activeDeadlineSeconds` is at its minimum: the kubelet ends the pod.
    pub is_told_to_end: bool,
    /// Reason of the condition `DisruptionTarget`: the cluster is ending the pod, or has ended it.
    pub disruption: Option<String>,
    /// Why no node fits the pod; empty once one does.
    pub unschedulable: String,
    /// The pod needs a Secret or a `ConfigMap` to start.
    pub mounts_references: bool,
    /// The init container whose failure ended the pod before its test began.
    pub failed_init: Option<FailedInit>,
    /// Init containers, then containers.
    pub containers: Vec<ContainerView>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PodPhase {
    /// The API gives none: no component has handled the pod yet.
    #[default]
    Unset,
    Pending,
    Running,
    Succeeded,
    Failed,
    Unknown,
}

impl PodPhase {
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct ContainerView {
    pub name: String,
    /// It ends before the pod's main containers start, or is a native sidecar of Kubernetes.
    pub is_init: bool,
    pub state: ContainerState,
    /// Our entrypoint says that it has left its exit code to the sidecar.
    pub is_marked: bool,
    /// It ran before the kubelet restarted it.
    pub ran_before: bool,
    /// `resources.limits.memory` as it is written; empty for none.
    pub memory_limit: String,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub enum ContainerState {
    #[default]
    Unknown,
    Waiting {
        reason: String,
        message: String,
    },
    Running,
    Terminated {
        reason: String,
        exit_code: i32,
        finished: Option<Timestamp>,
    },
    /// The runtime could not start it, for want of the program for example.
    Refused {
        reason: String,
        message: String,
    },
}

/// The reason of a container that never ran: containerd's and CRI-O's, and the older Docker's.
const REFUSAL_REASONS: [&str; 2] = ["StartError", "ContainerCannotRun"];

/// The kubelet's reasons for a start that the runtime refused, with the runtime's message.
const QUOTING_REASONS: [&str; 2] = ["RunContainerError", "CreateContainerError"];

impl ContainerView {
    pub fn has_started(&self) -> bool {
        self.ran_before
            || matches!(
                self.state,
                ContainerState::Running
                    | ContainerState::Terminated {
                        finished: Some(_),
                        ..
                    }
            )
    }

    /// It has ended, or can never start.
    pub fn is_over(&self) -> bool {
        matches!(
            self.state,
            ContainerState::Terminated { .. } | ContainerState::Refused { .. }
        )
    }

    fn new(status: &ContainerStatus, is_init: bool, specs: &[PrunedContainer]) -> Self {
        let spec = specs.iter().find(|spec| spec.name == status.name);
        Self {
            name: status.name.clone(),
            is_init,
            state: container_state(status, spec.is_some_and(PrunedContainer::has_expansions)),
            is_marked: is_marked(status),
            ran_before: status
                .last_state
                .as_ref()
                .is_some_and(|last| last.terminated.is_some()),
            memory_limit: spec.map(PrunedContainer::memory_limit).unwrap_or_default(),
        }
    }
}

impl PodView {
    /// Whether the pod has not ended and is not being deleted.
    pub fn is_active(&self) -> bool {
        self.deleting.is_none() && !self.phase.is_final()
    }
}

/// The last line counts: the kubelet keeps the end of a long message.
fn is_marked(status: &ContainerStatus) -> bool {
    let ended = status.state.as_ref().and_then(|it| it.terminated.as_ref());
    let message = ended.and_then(|ended| ended.message.as_deref());
    message.is_some_and(|message| message.lines().next_back() == Some(MARKER_WRITTEN))
}

/// A runtime's message quotes the command, where a variable may have expanded to a secret.
fn container_state(status: &ContainerStatus, has_expansions: bool) -> ContainerState {
    let Some(state) = &status.state else {
        return ContainerState::Unknown;
    };
    if let Some(ended) = &state.terminated {
        let reason = ended.reason.clone().unwrap_or_default();
        if REFUSAL_REASONS.contains(&reason.as_str()) {
            let said = ended.message.clone().filter(|_| !has_expansions);
            let message = said.unwrap_or_default();
            return ContainerState::Refused { reason, message };
        }
        ContainerState::Terminated {
            reason,
            exit_code: ended.exit_code,
            finished: ended.finished_at.as_ref().map(|time| time.0),
        }
    } else if state.running.is_some() {
        ContainerState::Running
    } else if let Some(waiting) = &state.waiting {
        let reason = waiting.reason.clone().unwrap_or_default();
        let quotes = has_expansions && QUOTING_REASONS.contains(&reason.as_str());
        let said = waiting.message.clone().filter(|_| !quotes);
        ContainerState::Waiting {
            reason,
            message: said.unwrap_or_default(),
        }
    } else {
        ContainerState::Unknown
    }
}

impl From<&PrunedPod> for PodView {
    fn from(pod: &PrunedPod) -> Self {
        let meta = &pod.metadata;
        let status = pod.status.clone();
        let label = |key: &str| meta.labels.as_ref()?.get(key).cloned();
        let annotation = |key: &str| meta.annotations.as_ref()?.get(key).cloned();
        let inits = status.init_container_statuses.as_deref();
        let init = pod.spec.init_containers.as_deref().unwrap_or_default();
        let failed_init = failed_init::find_failed_init(inits.unwrap_or_default(), init);
        let statuses = [
            (status.init_container_statuses, true, init),
            (status.container_statuses, false, &pod.spec.containers),
        ];
        let conditions = status.conditions.unwrap_or_default();
        let condition = |kind: &str, is: &str| {
            let mut all = conditions.iter();
            all.find(|condition| condition.type_ == kind && condition.status == is)
        };
        Self {
            name: meta.name.clone().unwrap_or_default(),
            uid: meta.uid.clone().unwrap_or_default(),
            // A job name that is no valid label value is only in the pod's name.
            job: label(labels::ID)
                .or_else(|| label(labels::CREATED_BY_PROW).and(meta.name.clone())),
            job_uid: annotation(labels::JOB_UID),
            build_id: label(labels::BUILD_ID).or_else(|| find_build_id_variable(pod)),
            phase: match status.phase.as_deref() {
                Some("Pending") => PodPhase::Pending,
                Some("Running") => PodPhase::Running,
                Some("Succeeded") => PodPhase::Succeeded,
                Some("Failed") => PodPhase::Failed,
                Some("Unknown") => PodPhase::Unknown,
                _ => PodPhase::Unset,
            },
            reason: status.reason.unwrap_or_default(),
            message: status.message.unwrap_or_default(),
            created: meta.creation_timestamp.as_ref().map(|time| time.0),
            started: status.start_time.map(|time| time.0),
            deleting: meta.deletion_timestamp.as_ref().map(|time| time.0),
            deletion_confirmed: meta.deletion_timestamp.is_some()
                && meta.deletion_grace_period_seconds == Some(0),
            has_report_finalizer: meta
                .finalizers
                .iter()
                .flatten()
                .any(|finalizer| finalizer == REPORT_FINALIZER),
            is_told_to_end: pod.spec.active_deadline_seconds == Some(MIN_ACTIVE_DEADLINE_SECONDS),
            disruption: condition("DisruptionTarget", "True")
                .map(|condition| condition.reason.clone().unwrap_or_default()),
            unschedulable: condition("PodScheduled", "False")
                .and_then(|condition| condition.message.clone())
                .unwrap_or_default(),
            mounts_references: mounts_references(pod),
            failed_init,
            containers: statuses
                .iter()
                .flat_map(|(statuses, is_init, specs)| {
                    let all = statuses.iter().flatten();
                    all.map(|status| ContainerView::new(status, *is_init, specs))
                })
                .collect(),
        }
    }
}

fn mounts_references(pod: &PrunedPod) -> bool {
    let needs = |optional: Option<bool>| optional != Some(true);
    pod.spec.volumes.iter().flatten().any(|volume| {
        volume.secret.as_ref().is_some_and(|it| needs(it.optional))
            || volume
                .config_map
                .as_ref()
                .is_some_and(|it| needs(it.optional))
            || volume.projected.is_some()
    })
}

fn find_build_id_variable(pod: &PrunedPod) -> Option<String> {
    let environment = pod.spec.containers.first()?.env.as_ref()?;
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
    fn a_marker_is_told_of_at_the_end_of_the_message() {
        for (message, expected) in [
            (json!(null), false),
            (json!(""), false),
            (json!("the job's own"), false),
            (json!(format!("{MARKER_WRITTEN}\n")), true),
            (json!(format!("the job's own\n{MARKER_WRITTEN}\n")), true),
            (json!(format!("{MARKER_WRITTEN}\nsomething else\n")), false),
        ] {
            let status = serde_json::from_value(json!({
                "name": "test", "image": "", "imageID": "", "ready": false, "restartCount": 0,
                "state": {"terminated": {"exitCode": 127, "message": message}},
            }));
            let view = ContainerView::new(&status.unwrap(), false, &[]);
            assert_eq!(view.is_marked, expected, "{message}");
        }
    }

    #[test]
    fn what_a_runtime_says_of_a_command_with_variables_is_not_kept() {
        let status: ContainerStatus = serde_json::from_value(json!({
            "name": "test", "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"terminated": {"exitCode": 128, "reason": "StartError", "message": "exec: x: no"}},
        }))
        .unwrap();
        for (command, expected) in [("x", "exec: x: no"), ("$(TOKEN)", "")] {
            let spec = serde_json::from_value(json!({"name": "test", "command": [command]}));
            let view = ContainerView::new(&status, false, &[spec.unwrap()]);
            let ContainerState::Refused { message, .. } = view.state else {
                panic!("{:?}", view.state);
            };
            assert_eq!(message, expected);
        }
    }

    #[test]
    fn reads_what_the_decision_needs() {
        let pod: PrunedPod = serde_json::from_value(json!({
            "metadata": {
                "name": "p", "uid": "u", "finalizers": [REPORT_FINALIZER],
                "labels": {"prow.k8s.io/id": "p"},
                "creationTimestamp": "2026-08-01T00:00:00Z",
                "deletionTimestamp": "2026-08-01T00:01:00Z", "deletionGracePeriodSeconds": 0,
            },
            "spec": {"containers": [{
                "name": "test", "env": [{"name": "BUILD_ID", "value": "7"}],
                "resources": {"limits": {"memory": "512Mi"}},
            }]},
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
        assert_eq!(view.phase, PodPhase::Running);
        assert!(view.deleting.is_some() && view.deletion_confirmed && view.has_report_finalizer);
        let init: Vec<_> = view.containers.iter().map(|it| it.is_init).collect();
        assert_eq!(init, [true, false]);
        assert_eq!(view.containers[1].memory_limit, "512Mi");
        assert!(view.containers[0].has_started());
        assert!(!view.containers[1].has_started());
    }
}
