//! The status of a pod that ran when its node was restarted.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::pod_condition;

/// The status of a pod whose processes were lost with an earlier run of this node: Failed, with a
/// reason that tells it from a pod that failed by itself.
pub(crate) fn lost_pod_status(mut status: PodStatus, now: Timestamp) -> PodStatus {
    status.reason = Some("NodeLost".to_owned());
    status.message =
        Some("the runner was restarted while the pod ran; its processes were ended".to_owned());
    status.phase = Some("Failed".to_owned());
    let lists = [
        &mut status.init_container_statuses,
        &mut status.container_statuses,
    ];
    for container in lists.into_iter().flatten().flatten() {
        let running = container
            .state
            .as_mut()
            .and_then(|state| state.running.take());
        let Some(running) = running else { continue };
        container.ready = false;
        container.started = Some(false);
        container.state = Some(ContainerState {
            terminated: Some(ContainerStateTerminated {
                container_id: container.container_id.clone(),
                exit_code: 137,
                reason: Some("ContainerStatusUnknown".to_owned()),
                started_at: running.started_at,
                finished_at: Some(Time(now)),
                ..ContainerStateTerminated::default()
            }),
            ..ContainerState::default()
        });
    }
    for type_ in ["ContainersReady", "Ready"] {
        for found in status
            .conditions
            .iter_mut()
            .flatten()
            .filter(|found| found.type_ == type_)
        {
            *found = pod_condition(type_, Some("PodFailed"), &[], now);
        }
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubelet::plan::ContainerRole;
    use crate::kubelet::status::{
        EarlierRuns, ObservedContainer, RunState, compute_pod_status, has_run, is_terminal,
    };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn a_lost_pod_is_failed_and_its_running_containers_are_over() {
        let state = RunState::Running { since: at(1) };
        let observed = [ObservedContainer {
            role: ContainerRole::Main,
            name: "c",
            image: "i",
            id: "1",
            state: &state,
            earlier: &EarlierRuns::default(),
        }];
        let status = compute_pod_status(&observed, None, at(0), &[], at(1));
        assert!(has_run(&status));
        let status = lost_pod_status(status, at(4));
        assert!(is_terminal(&status));
        assert_eq!(status.reason.as_deref(), Some("NodeLost"));
        let ready = status
            .conditions
            .iter()
            .flatten()
            .rfind(|found| found.type_ == "Ready");
        assert_eq!(ready.unwrap().status, "False");
        let state = status.container_statuses.unwrap()[0].state.clone();
        assert_eq!(state.unwrap().terminated.unwrap().exit_code, 137);
    }
}
