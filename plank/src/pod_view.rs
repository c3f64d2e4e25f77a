//! What plank keeps of a pod: enough to judge it, a few hundred bytes instead of the object.

mod failed_init;
mod pod;

use common::prowjob::labels;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ContainerStatus;

pub use failed_init::FailedInit;
pub use pod::Pod;

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
    /// Reason of the condition `DisruptionTarget`: the cluster is ending the pod, or has.
    pub disruption: Option<String>,
    /// Why no node takes it; empty once one has.
    pub unschedulable: String,
    /// It needs a Secret or a `ConfigMap` to start.
    pub mounts_references: bool,
    /// The init container that ended it before its test began.
    pub failed_init: Option<FailedInit>,
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
    /// Pulls of its image that were seen to fail, and what the last one said. A pod's status has
    /// but the last one, so this is known only from following it.
    pub pull_failures: u32,
    pub pull_error: String,
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
            pull_failures: 0,
            pull_error: String::new(),
        }
    }

    /// Counts failed pulls on, from how the container was before.
    fn follow(&mut self, before: Option<&Self>) {
        let (failures, error) = match before {
            Some(before) => (before.pull_failures, before.pull_error.as_str()),
            None => (0, ""),
        };
        let was_failing = before.is_some_and(|before| before.waits_for("ErrImagePull"));
        let fails = self.waits_for("ErrImagePull") && !was_failing;
        let has_failed = self.waits_for("ImagePullBackOff") && failures == 0;
        self.pull_failures = failures + u32::from(fails || has_failed);
        self.pull_error = match &self.state {
            ContainerState::Waiting { reason, message }
                if !message.is_empty() && (reason == "ErrImagePull" || error.is_empty()) =>
            {
                message.clone()
            }
            _ => error.to_owned(),
        };
    }

    fn waits_for(&self, what: &str) -> bool {
        matches!(&self.state, ContainerState::Waiting { reason, .. } if reason == what)
    }
}

impl PodView {
    /// Whether it has neither ended nor is being ended.
    pub fn goes_on(&self) -> bool {
        self.deleting.is_none() && !self.phase.is_final()
    }

    /// Takes over what only following the same pod tells.
    pub fn after(mut self, before: Option<&Self>) -> Self {
        let before = before.filter(|before| before.uid == self.uid);
        for container in &mut self.containers {
            let same = before.and_then(|before| {
                before
                    .containers
                    .iter()
                    .find(|it| it.name == container.name)
            });
            container.follow(same);
        }
        self
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
        let status = pod.status.clone();
        let label = |key: &str| meta.labels.as_ref()?.get(key).cloned();
        let inits = status.init_container_statuses.as_deref();
        let failed_init = failed_init::failed_init(inits.unwrap_or_default());
        let statuses = [status.init_container_statuses, status.container_statuses];
        let conditions = status.conditions.unwrap_or_default();
        let condition = |kind: &str, is: &str| {
            let mut all = conditions.iter();
            all.find(|condition| condition.type_ == kind && condition.status == is)
        };
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
            disruption: condition("DisruptionTarget", "True")
                .map(|condition| condition.reason.clone().unwrap_or_default()),
            unschedulable: condition("PodScheduled", "False")
                .and_then(|condition| condition.message.clone())
                .unwrap_or_default(),
            mounts_references: mounts_references(pod),
            failed_init,
            containers: statuses
                .iter()
                .flatten()
                .flatten()
                .map(ContainerView::new)
                .collect(),
        }
    }
}

fn mounts_references(pod: &Pod) -> bool {
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

fn build_id_in_environment(pod: &Pod) -> Option<String> {
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

    fn waits(reason: &str, message: &str) -> PodView {
        let (reason, message) = (reason.to_owned(), message.to_owned());
        PodView {
            containers: vec![ContainerView {
                name: "test".into(),
                state: ContainerState::Waiting { reason, message },
                ran_before: false,
                pull_failures: 0,
                pull_error: String::new(),
            }],
            ..PodView::default()
        }
    }

    #[test]
    fn failed_pulls_are_counted_while_a_pod_is_followed() {
        let mut last = None;
        let mut seen = Vec::new();
        for (reason, message) in [
            ("ContainerCreating", ""),
            ("ErrImagePull", "first: not found"),
            ("ErrImagePull", "first: not found"),
            ("ImagePullBackOff", "Back-off pulling image"),
            ("ErrImagePull", "second: not found"),
        ] {
            let view = waits(reason, message).after(last.as_ref());
            seen.push((
                view.containers[0].pull_failures,
                view.containers[0].pull_error.clone(),
            ));
            last = Some(view);
        }
        let seen: Vec<_> = seen
            .iter()
            .map(|(count, error)| (*count, error.as_str()))
            .collect();
        assert_eq!(
            seen,
            [
                (0, ""),
                (1, "first: not found"),
                (1, "first: not found"),
                (1, "first: not found"),
                (2, "second: not found"),
            ]
        );
        let late = waits("ImagePullBackOff", "Back-off: denied").after(None);
        assert_eq!(late.containers[0].pull_failures, 1, "one is behind it");
        let other = PodView {
            uid: "other".into(),
            ..waits("ErrImagePull", "x")
        };
        assert_eq!(other.after(last.as_ref()).containers[0].pull_failures, 1);
    }

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
