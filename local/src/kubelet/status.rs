//! The status of a pod as kubelet would report it.
//!
//! Pure: from what is known of the containers to a `PodStatus`. Facts:
//! <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/>.

mod lost;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting,
    ContainerStatus, HostIP, PodCondition, PodIP, PodStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::plan::ContainerRole;

pub(crate) use lost::lost_pod_status;

/// The address of everything that runs here: pods share this machine's network.
pub(crate) const NODE_ADDRESS: &str = "127.0.0.1";

/// How a container ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ContainerTermination {
    pub(crate) code: i32,
    pub(crate) reason: &'static str,
    pub(crate) message: Option<String>,
    pub(crate) started: Option<Timestamp>,
    pub(crate) finished: Timestamp,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum RunState {
    Waiting {
        reason: &'static str,
        message: Option<String>,
    },
    Running {
        since: Timestamp,
    },
    Ended(ContainerTermination),
}

/// The runs of a container before this one.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct EarlierRuns {
    /// The number of these runs.
    pub(crate) count: i32,
    /// How the last run ended, and its id.
    pub(crate) last: Option<(ContainerTermination, String)>,
}

/// What is known of one container.
#[derive(Debug)]
pub(crate) struct ObservedContainer<'a> {
    pub(crate) role: ContainerRole,
    pub(crate) name: &'a str,
    pub(crate) image: &'a str,
    pub(crate) id: &'a str,
    pub(crate) state: &'a RunState,
    pub(crate) earlier: &'a EarlierRuns,
}

/// The end of a pod: its phase, and a reason unless its containers decided it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PodOutcome {
    pub(crate) succeeded: bool,
    pub(crate) reason: Option<&'static str>,
    pub(crate) message: Option<String>,
}

/// The status of a pod that this node took at `taken`. `before` are its conditions so far: a
/// condition that does not change keeps its time.
pub(crate) fn compute_pod_status(
    containers: &[ObservedContainer<'_>],
    end: Option<&PodOutcome>,
    taken: Timestamp,
    before: &[PodCondition],
    now: Timestamp,
) -> PodStatus {
    let of = |init: bool| {
        let chosen = containers
            .iter()
            .filter(|container| (container.role != ContainerRole::Main) == init);
        let list: Vec<_> = chosen.map(container_status).collect();
        (!list.is_empty()).then_some(list)
    };
    PodStatus {
        phase: Some(pod_phase(containers, end).to_owned()),
        reason: end.and_then(|end| end.reason).map(str::to_owned),
        message: end.and_then(|end| end.message.clone()),
        conditions: Some(pod_conditions(containers, end, before, now)),
        init_container_statuses: of(true),
        container_statuses: of(false),
        host_ip: Some(NODE_ADDRESS.to_owned()),
        host_ips: Some(vec![HostIP {
            ip: NODE_ADDRESS.to_owned(),
        }]),
        pod_ip: Some(NODE_ADDRESS.to_owned()),
        pod_ips: Some(vec![PodIP {
            ip: NODE_ADDRESS.to_owned(),
        }]),
        start_time: Some(Time(taken)),
        qos_class: Some("BestEffort".to_owned()),
        ..PodStatus::default()
    }
}

fn pod_phase(containers: &[ObservedContainer<'_>], end: Option<&PodOutcome>) -> &'static str {
    let waiting = |container: &ObservedContainer<'_>| {
        let waits = matches!(container.state, RunState::Waiting { .. });
        container.role == ContainerRole::Main && waits && container.earlier.last.is_none()
    };
    match end {
        Some(PodOutcome {
            succeeded: true, ..
        }) => "Succeeded",
        Some(_) => "Failed",
        None if containers.iter().any(waiting) => "Pending",
        None => "Running",
    }
}

fn container_status(container: &ObservedContainer<'_>) -> ContainerStatus {
    let running = matches!(container.state, RunState::Running { .. });
    let ready = match container.role {
        ContainerRole::Init => matches!(
            container.state,
            RunState::Ended(ContainerTermination { code: 0, .. })
        ),
        ContainerRole::Sidecar | ContainerRole::Main => running,
    };
    let last = container.earlier.last.as_ref();
    // While it waits, the id of its last run.
    let id = match container.state {
        RunState::Waiting { .. } => last.map(|(_, id)| id.as_str()),
        RunState::Running { .. } | RunState::Ended(_) => Some(container.id),
    };
    ContainerStatus {
        name: container.name.to_owned(),
        image: container.image.to_owned(),
        image_id: id.map_or_else(String::new, |_| container.image.to_owned()),
        container_id: id.map(container_id),
        ready,
        started: Some(running),
        restart_count: container.earlier.count,
        state: Some(container_state(container)),
        last_state: last.map(last_state),
        ..ContainerStatus::default()
    }
}

fn container_id(id: &str) -> String {
    format!("process://{id}")
}

fn container_state(container: &ObservedContainer<'_>) -> ContainerState {
    match container.state {
        RunState::Waiting { reason, message } => ContainerState {
            waiting: Some(ContainerStateWaiting {
                reason: Some((*reason).to_owned()),
                message: message.clone(),
            }),
            ..ContainerState::default()
        },
        RunState::Running { since } => ContainerState {
            running: Some(ContainerStateRunning {
                started_at: Some(Time(*since)),
            }),
            ..ContainerState::default()
        },
        RunState::Ended(ended) => ContainerState {
            terminated: Some(terminated_state(ended, container.id)),
            ..ContainerState::default()
        },
    }
}

fn last_state((ended, id): &(ContainerTermination, String)) -> ContainerState {
    ContainerState {
        terminated: Some(terminated_state(ended, id)),
        ..ContainerState::default()
    }
}

fn terminated_state(ended: &ContainerTermination, id: &str) -> ContainerStateTerminated {
    ContainerStateTerminated {
        container_id: Some(container_id(id)),
        exit_code: ended.code,
        reason: Some(ended.reason.to_owned()),
        message: ended.message.clone(),
        started_at: Some(Time(ended.started.unwrap_or(ended.finished))),
        finished_at: Some(Time(ended.finished)),
        ..ContainerStateTerminated::default()
    }
}

fn pod_conditions(
    containers: &[ObservedContainer<'_>],
    end: Option<&PodOutcome>,
    before: &[PodCondition],
    now: Timestamp,
) -> Vec<PodCondition> {
    let initialized = containers.iter().all(|container| match container.role {
        ContainerRole::Init => matches!(
            container.state,
            RunState::Ended(ContainerTermination { code: 0, .. })
        ),
        ContainerRole::Sidecar => !matches!(container.state, RunState::Waiting { .. }),
        ContainerRole::Main => true,
    });
    let up = |container: &ObservedContainer<'_>| {
        container.role == ContainerRole::Init || matches!(container.state, RunState::Running { .. })
    };
    let ready = end.is_none() && initialized && containers.iter().all(up);
    let why_not = match end {
        Some(PodOutcome {
            succeeded: true, ..
        }) => "PodCompleted",
        Some(_) => "PodFailed",
        None => "ContainersNotReady",
    };
    let not_initialized = if initialized {
        None
    } else {
        Some("ContainersNotInitialized")
    };
    let not_ready = if ready { None } else { Some(why_not) };
    [
        ("PodScheduled", None),
        ("Initialized", not_initialized),
        ("ContainersReady", not_ready),
        ("Ready", not_ready),
    ]
    .into_iter()
    .map(|(type_, problem)| pod_condition(type_, problem, before, now))
    .collect()
}

fn pod_condition(
    type_: &str,
    problem: Option<&str>,
    before: &[PodCondition],
    now: Timestamp,
) -> PodCondition {
    let status = if problem.is_none() { "True" } else { "False" };
    let same = before
        .iter()
        .find(|condition| condition.type_ == type_ && condition.status == status);
    PodCondition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: problem.map(str::to_owned),
        last_transition_time: same
            .and_then(|condition| condition.last_transition_time.clone())
            .or(Some(Time(now))),
        ..PodCondition::default()
    }
}

/// Whether a container of the pod has run.
pub(crate) fn has_run(status: &PodStatus) -> bool {
    let lists = [&status.init_container_statuses, &status.container_statuses];
    let ran = |state: &ContainerState| state.running.is_some() || state.terminated.is_some();
    lists.into_iter().flatten().flatten().any(|container| {
        let states = [&container.state, &container.last_state];
        states.into_iter().flatten().any(ran)
    })
}

/// Whether the pod is over.
pub(crate) fn is_terminal(status: &PodStatus) -> bool {
    matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn waiting() -> RunState {
        RunState::Waiting {
            reason: "PodInitializing",
            message: None,
        }
    }

    fn ended(code: i32) -> RunState {
        RunState::Ended(ContainerTermination {
            code,
            reason: "Completed",
            message: None,
            started: Some(at(1)),
            finished: at(2),
        })
    }

    fn summary(containers: &[(ContainerRole, RunState)], end: Option<&PodOutcome>) -> String {
        let none = EarlierRuns::default();
        let observed: Vec<_> = containers
            .iter()
            .map(|(role, state)| ObservedContainer {
                role: *role,
                name: "c",
                image: "i",
                id: "1",
                state,
                earlier: &none,
            })
            .collect();
        let status = compute_pod_status(&observed, end, at(0), &[], at(9));
        let truths: Vec<_> = status
            .conditions
            .unwrap()
            .iter()
            .map(|c| c.status.clone())
            .collect();
        format!("{} {}", status.phase.unwrap(), truths.join(","))
    }

    #[test]
    fn phase_and_conditions_follow_the_containers() {
        let over = |succeeded| PodOutcome {
            succeeded,
            reason: None,
            message: None,
        };
        let running = RunState::Running { since: at(1) };
        let cases = [
            (
                "before init",
                vec![
                    (ContainerRole::Init, waiting()),
                    (ContainerRole::Main, waiting()),
                ],
                None,
                "Pending True,False,False,False",
            ),
            (
                "init runs",
                vec![
                    (ContainerRole::Init, running.clone()),
                    (ContainerRole::Main, waiting()),
                ],
                None,
                "Pending True,False,False,False",
            ),
            (
                "after init",
                vec![
                    (ContainerRole::Init, ended(0)),
                    (ContainerRole::Main, waiting()),
                ],
                None,
                "Pending True,True,False,False",
            ),
            (
                "all up",
                vec![
                    (ContainerRole::Init, ended(0)),
                    (ContainerRole::Sidecar, running.clone()),
                    (ContainerRole::Main, running.clone()),
                ],
                None,
                "Running True,True,True,True",
            ),
            (
                "one of two ended",
                vec![
                    (ContainerRole::Main, ended(0)),
                    (ContainerRole::Main, running),
                ],
                None,
                "Running True,True,False,False",
            ),
            (
                "succeeded",
                vec![(ContainerRole::Main, ended(0))],
                Some(over(true)),
                "Succeeded True,True,False,False",
            ),
            (
                "failed init",
                vec![
                    (ContainerRole::Init, ended(1)),
                    (ContainerRole::Main, waiting()),
                ],
                Some(over(false)),
                "Failed True,False,False,False",
            ),
        ];
        for (name, containers, end, expected) in cases {
            assert_eq!(summary(&containers, end.as_ref()), expected, "{name}");
        }
    }

    #[test]
    fn a_container_between_two_runs_tells_of_the_last_and_its_pod_goes_on() {
        let state = RunState::Waiting {
            reason: "CrashLoopBackOff",
            message: None,
        };
        let RunState::Ended(before) = ended(3) else {
            unreachable!("it ended")
        };
        let earlier = EarlierRuns {
            count: 2,
            last: Some((before, "0".to_owned())),
        };
        let observed = [ObservedContainer {
            role: ContainerRole::Main,
            name: "c",
            image: "i",
            id: "1",
            state: &state,
            earlier: &earlier,
        }];
        let status = compute_pod_status(&observed, None, at(0), &[], at(9));
        assert_eq!(status.phase.as_deref(), Some("Running"));
        assert!(has_run(&status));
        let container = &status.container_statuses.unwrap()[0];
        let last = container.last_state.clone().unwrap().terminated.unwrap();
        assert_eq!((container.restart_count, last.exit_code), (2, 3));
        assert_eq!(last.container_id.as_deref(), Some("process://0"));
    }

    #[test]
    fn the_time_of_a_condition_is_that_of_its_change() {
        let state = RunState::Running { since: at(1) };
        let observed = [ObservedContainer {
            role: ContainerRole::Main,
            name: "c",
            image: "i",
            id: "1",
            state: &state,
            earlier: &EarlierRuns::default(),
        }];
        let first = compute_pod_status(&observed, None, at(0), &[], at(1))
            .conditions
            .unwrap();
        let end = PodOutcome {
            succeeded: true,
            reason: None,
            message: None,
        };
        let second = compute_pod_status(&observed, Some(&end), at(0), &first, at(5))
            .conditions
            .unwrap();
        let times: Vec<_> = second
            .iter()
            .map(|c| c.last_transition_time.clone().unwrap().0)
            .collect();
        assert_eq!(times, [at(1), at(1), at(5), at(5)]);
    }
}
