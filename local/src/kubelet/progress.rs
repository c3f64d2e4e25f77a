//! Which containers of a pod may start, which must end, and when the pod is over.
//!
//! Pure: from the stages of the containers to the next steps. [`super::running`] starts and ends
//! them.

use super::plan::ContainerRole;

/// How far a container is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContainerStage {
    /// Its start was not requested yet.
    Idle,
    /// Start requested, but not running yet: waits for a Secret, or is being started.
    Starting,
    Running,
    /// Has ended and is started again later.
    Resting,
    Ended(i32),
    /// Was ended before it ran.
    Never,
}

impl ContainerStage {
    fn is_active(self) -> bool {
        matches!(self, Self::Starting | Self::Running)
    }

    fn is_failure(self) -> bool {
        match self {
            Self::Ended(code) => code != 0,
            Self::Never => true,
            Self::Idle | Self::Starting | Self::Running | Self::Resting => false,
        }
    }
}

/// What to do next. If everything is empty, wait.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct NextSteps {
    pub(crate) start: Vec<usize>,
    pub(crate) stop: Vec<usize>,
    /// The pod is over; true means that it succeeded.
    pub(crate) done: Option<bool>,
}

/// The next steps of a pod whose containers are at `stages`, in the order of its plan.
pub(crate) fn next_steps(stages: &[(ContainerRole, ContainerStage)], stopping: bool) -> NextSteps {
    let failed_init = stages
        .iter()
        .any(|(role, stage)| *role == ContainerRole::Init && stage.is_failure());
    let mains = || {
        stages
            .iter()
            .filter(|(role, _)| *role == ContainerRole::Main)
            .map(|(_, stage)| *stage)
    };
    let mains_over =
        mains().all(|stage| matches!(stage, ContainerStage::Ended(_) | ContainerStage::Never));
    if !(stopping || failed_init || mains_over) {
        return NextSteps {
            start: list_startable(stages),
            ..NextSteps::default()
        };
    }
    let active = |index: &usize| stages[*index].1.is_active();
    let stop: Vec<usize> = (0..stages.len()).filter(active).collect();
    let done = stop
        .is_empty()
        .then(|| !failed_init && mains().all(|stage| stage == ContainerStage::Ended(0)));
    NextSteps {
        start: Vec::new(),
        stop,
        done,
    }
}

fn list_startable(stages: &[(ContainerRole, ContainerStage)]) -> Vec<usize> {
    let mut start = Vec::new();
    for (index, (role, stage)) in stages.iter().enumerate() {
        match (role, stage) {
            (ContainerRole::Main, ContainerStage::Idle) => start.push(index),
            (ContainerRole::Main, _) => {}
            (ContainerRole::Init, ContainerStage::Ended(_))
            | (
                ContainerRole::Sidecar,
                ContainerStage::Running | ContainerStage::Ended(_) | ContainerStage::Never,
            ) => {}
            // One at a time: a container that has not had its turn holds up all that follow.
            (_, ContainerStage::Idle) => return vec![index],
            (_, _) => return Vec::new(),
        }
    }
    start
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The next steps of containers written as `init:running main:0`; `!` at the end for a pod that
    /// is stopping.
    fn after(pod: &str) -> String {
        let (containers, stopping) = match pod.strip_suffix(" !") {
            Some(containers) => (containers, true),
            None => (pod, false),
        };
        let stages: Vec<_> = containers.split(' ').map(container).collect();
        let next = next_steps(&stages, stopping);
        let done = next
            .done
            .map(|succeeded| if succeeded { "succeeded" } else { "failed" });
        format!(
            "start{:?} stop{:?} {}",
            next.start,
            next.stop,
            done.unwrap_or("goes on")
        )
    }

    fn container(text: &str) -> (ContainerRole, ContainerStage) {
        let (role, stage) = text.split_once(':').unwrap();
        let role = match role {
            "init" => ContainerRole::Init,
            "sidecar" => ContainerRole::Sidecar,
            _ => ContainerRole::Main,
        };
        let stage = match stage {
            "idle" => ContainerStage::Idle,
            "starting" => ContainerStage::Starting,
            "running" => ContainerStage::Running,
            "resting" => ContainerStage::Resting,
            "never" => ContainerStage::Never,
            code => ContainerStage::Ended(code.parse().unwrap()),
        };
        (role, stage)
    }

    #[test]
    fn containers_take_their_turns() {
        for (pod, expected) in [
            ("init:idle init:idle main:idle", "start[0] stop[] goes on"),
            ("init:running init:idle main:idle", "start[] stop[] goes on"),
            ("init:0 init:idle main:idle", "start[1] stop[] goes on"),
            ("init:0 main:idle main:idle", "start[1, 2] stop[] goes on"),
            ("main:running main:idle", "start[1] stop[] goes on"),
            ("sidecar:starting main:idle", "start[] stop[] goes on"),
            ("sidecar:running main:idle", "start[1] stop[] goes on"),
            ("main:1 main:running", "start[] stop[] goes on"),
            ("init:resting main:idle", "start[] stop[] goes on"),
            ("init:0 main:resting main:0", "start[] stop[] goes on"),
            ("init:0 main:resting !", "start[] stop[] failed"),
        ] {
            assert_eq!(after(pod), expected, "{pod}");
        }
    }

    #[test]
    fn a_pod_is_over_with_its_main_containers_and_sidecars_end_last() {
        for (pod, expected) in [
            ("init:2 main:idle", "start[] stop[] failed"),
            (
                "sidecar:running init:1 main:idle",
                "start[] stop[0] goes on",
            ),
            ("sidecar:running main:0", "start[] stop[0] goes on"),
            ("sidecar:143 main:0", "start[] stop[] succeeded"),
            ("main:1 main:0", "start[] stop[] failed"),
            ("init:0 main:idle !", "start[] stop[] failed"),
            (
                "sidecar:running main:starting main:0 !",
                "start[] stop[0, 1] goes on",
            ),
            ("main:never !", "start[] stop[] failed"),
        ] {
            assert_eq!(after(pod), expected, "{pod}");
        }
    }
}
