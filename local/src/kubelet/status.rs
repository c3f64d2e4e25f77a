//! The status of a pod as kubelet would report it.
//!
//! Pure: what is known of the containers in, a `PodStatus` out. Facts:
//! <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/>.

mod lost;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting,
    ContainerStatus, HostIP, PodCondition, PodIP, PodStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::plan::Role;

pub(crate) use lost::lost;

/// Where everything that runs here is reached: pods share this machine's network.
pub(crate) const ADDRESS: &str = "127.0.0.1";

/// How a container ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) reason: &'static str,
    pub(crate) message: Option<String>,
    pub(crate) started: Option<Timestamp>,
    pub(crate) finished: Timestamp,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum State {
    Waiting {
        reason: &'static str,
        message: Option<String>,
    },
    Running {
        since: Timestamp,
    },
    Ended(Ended),
}

/// The runs of a container before this one.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Earlier {
    /// How many.
    pub(crate) count: i32,
    /// How the last run ended, and its id.
    pub(crate) last: Option<(Ended, String)>,
}

/// What is known of one container.
#[derive(Debug)]
pub(crate) struct Observed<'a> {
    pub(crate) role: Role,
    pub(crate) name: &'a str,
    pub(crate) image: &'a str,
    pub(crate) id: &'a str,
    pub(crate) state: &'a State,
    pub(crate) earlier: &'a Earlier,
}

/// The end of a pod: its phase, and a reason when it was not its containers that decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) succeeded: bool,
    pub(crate) reason: Option<&'static str>,
    pub(crate) message: Option<String>,
}

/// The status of a pod that this node took at `taken`. `before` are its conditions until now: the time of a
/// condition that does not change stays.
pub(crate) fn compute(
    containers: &[Observed<'_>],
    end: Option<&End>,
    taken: Timestamp,
    before: &[PodCondition],
    now: Timestamp,
) -> PodStatus {
    let of = |init: bool| {
        let chosen = containers
            .iter()
            .filter(|container| (container.role != Role::Main) == init);
        let list: Vec<_> = chosen.map(container_status).collect();
        (!list.is_empty()).then_some(list)
    };
    PodStatus {
        phase: Some(phase(containers, end).to_owned()),
        reason: end.and_then(|end| end.reason).map(str::to_owned),
        message: end.and_then(|end| end.message.clone()),
        conditions: Some(conditions(containers, end, before, now)),
        init_container_statuses: of(true),
        container_statuses: of(false),
        host_ip: Some(ADDRESS.to_owned()),
        host_ips: Some(vec![HostIP {
            ip: ADDRESS.to_owned(),
        }]),
        pod_ip: Some(ADDRESS.to_owned()),
        pod_ips: Some(vec![PodIP {
            ip: ADDRESS.to_owned(),
        }]),
        start_time: Some(Time(taken)),
        qos_class: Some("BestEffort".to_owned()),
        ..PodStatus::default()
    }
}

fn phase(containers: &[Observed<'_>], end: Option<&End>) -> &'static str {
    let waiting = |container: &Observed<'_>| {
        let waits = matches!(container.state, State::Waiting { .. });
        container.role == Role::Main && waits && container.earlier.last.is_none()
    };
    match end {
        Some(End {
            succeeded: true, ..
        }) => "Succeeded",
        Some(_) => "Failed",
        None if containers.iter().any(waiting) => "Pending",
        None => "Running",
    }
}

fn container_status(container: &Observed<'_>) -> ContainerStatus {
    let running = matches!(container.state, State::Running { .. });
    let ready = match container.role {
        Role::Init => matches!(container.state, State::Ended(Ended { code: 0, .. })),
        Role::Sidecar | Role::Main => running,
    };
    let last = container.earlier.last.as_ref();
    // Of one that waits, its last run's.
    let id = match container.state {
        State::Waiting { .. } => last.map(|(_, id)| id.as_str()),
        State::Running { .. } | State::Ended(_) => Some(container.id),
    };
    ContainerStatus {
        name: container.name.to_owned(),
        image: container.image.to_owned(),
        image_id: id.map_or_else(String::new, |_| container.image.to_owned()),
        container_id: id.map(container_id),
        ready,
        started: Some(running),
        restart_count: container.earlier.count,
        state: Some(state(container)),
        last_state: last.map(last_state),
        ..ContainerStatus::default()
    }
}

fn container_id(id: &str) -> String {
    format!("process://{id}")
}

fn state(container: &Observed<'_>) -> ContainerState {
    match container.state {
        State::Waiting { reason, message } => ContainerState {
            waiting: Some(ContainerStateWaiting {
                reason: Some((*reason).to_owned()),
                message: message.clone(),
            }),
            ..ContainerState::default()
        },
        State::Running { since } => ContainerState {
            running: Some(ContainerStateRunning {
                started_at: Some(Time(*since)),
            }),
            ..ContainerState::default()
        },
        State::Ended(ended) => ContainerState {
            terminated: Some(terminated(ended, container.id)),
            ..ContainerState::default()
        },
    }
}

fn last_state((ended, id): &(Ended, String)) -> ContainerState {
    ContainerState {
        terminated: Some(terminated(ended, id)),
        ..ContainerState::default()
    }
}

fn terminated(ended: &Ended, id: &str) -> ContainerStateTerminated {
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

fn conditions(
    containers: &[Observed<'_>],
    end: Option<&End>,
    before: &[PodCondition],
    now: Timestamp,
) -> Vec<PodCondition> {
    let initialized = containers.iter().all(|container| match container.role {
        Role::Init => matches!(container.state, State::Ended(Ended { code: 0, .. })),
        Role::Sidecar => !matches!(container.state, State::Waiting { .. }),
        Role::Main => true,
    });
    let up = |container: &Observed<'_>| {
        container.role == Role::Init || matches!(container.state, State::Running { .. })
    };
    let ready = end.is_none() && initialized && containers.iter().all(up);
    let why_not = match end {
        Some(End {
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
    .map(|(type_, problem)| condition(type_, problem, before, now))
    .collect()
}

fn condition(
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

/// Whether something of the pod has run already.
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

    fn waiting() -> State {
        State::Waiting {
            reason: "PodInitializing",
            message: None,
        }
    }

    fn ended(code: i32) -> State {
        State::Ended(Ended {
            code,
            reason: "Completed",
            message: None,
            started: Some(at(1)),
            finished: at(2),
        })
    }

    fn summary(containers: &[(Role, State)], end: Option<&End>) -> String {
        let none = Earlier::default();
        let observed: Vec<_> = containers
            .iter()
            .map(|(role, state)| Observed {
                role: *role,
                name: "c",
                image: "i",
                id: "1",
                state,
                earlier: &none,
            })
            .collect();
        let status = compute(&observed, end, at(0), &[], at(9));
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
        let over = |succeeded| End {
            succeeded,
            reason: None,
            message: None,
        };
        let running = State::Running { since: at(1) };
        let cases = [
            (
                "before init",
                vec![(Role::Init, waiting()), (Role::Main, waiting())],
                None,
                "Pending True,False,False,False",
            ),
            (
                "init runs",
                vec![(Role::Init, running.clone()), (Role::Main, waiting())],
                None,
                "Pending True,False,False,False",
            ),
            (
                "after init",
                vec![(Role::Init, ended(0)), (Role::Main, waiting())],
                None,
                "Pending True,True,False,False",
            ),
            (
                "all up",
                vec![
                    (Role::Init, ended(0)),
                    (Role::Sidecar, running.clone()),
                    (Role::Main, running.clone()),
                ],
                None,
                "Running True,True,True,True",
            ),
            (
                "one of two ended",
                vec![(Role::Main, ended(0)), (Role::Main, running)],
                None,
                "Running True,True,False,False",
            ),
            (
                "succeeded",
                vec![(Role::Main, ended(0))],
                Some(over(true)),
                "Succeeded True,True,False,False",
            ),
            (
                "failed init",
                vec![(Role::Init, ended(1)), (Role::Main, waiting())],
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
        let state = State::Waiting {
            reason: "CrashLoopBackOff",
            message: None,
        };
        let State::Ended(before) = ended(3) else {
            unreachable!("it ended")
        };
        let earlier = Earlier {
            count: 2,
            last: Some((before, "0".to_owned())),
        };
        let observed = [Observed {
            role: Role::Main,
            name: "c",
            image: "i",
            id: "1",
            state: &state,
            earlier: &earlier,
        }];
        let status = compute(&observed, None, at(0), &[], at(9));
        assert_eq!(status.phase.as_deref(), Some("Running"));
        assert!(has_run(&status));
        let container = &status.container_statuses.unwrap()[0];
        let last = container.last_state.clone().unwrap().terminated.unwrap();
        assert_eq!((container.restart_count, last.exit_code), (2, 3));
        assert_eq!(last.container_id.as_deref(), Some("process://0"));
    }

    #[test]
    fn the_time_of_a_condition_is_that_of_its_change() {
        let state = State::Running { since: at(1) };
        let observed = [Observed {
            role: Role::Main,
            name: "c",
            image: "i",
            id: "1",
            state: &state,
            earlier: &Earlier::default(),
        }];
        let first = compute(&observed, None, at(0), &[], at(1))
            .conditions
            .unwrap();
        let end = End {
            succeeded: true,
            reason: None,
            message: None,
        };
        let second = compute(&observed, Some(&end), at(0), &first, at(5))
            .conditions
            .unwrap();
        let times: Vec<_> = second
            .iter()
            .map(|c| c.last_transition_time.clone().unwrap().0)
            .collect();
        assert_eq!(times, [at(1), at(1), at(5), at(5)]);
    }
}
