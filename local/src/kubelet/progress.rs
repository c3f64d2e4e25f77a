//! Which containers of a pod may start, which must end, and when the pod is over.
//!
//! Pure: states of the containers in, next steps out. Who starts and ends them is [`super::worker`].

use super::plan::Role;

/// How far a container is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Nobody has asked for it yet.
    Idle,
    /// Asked for, not running yet: waits for a Secret, or is being started.
    Starting,
    Running,
    /// Has ended and is to run again, in a while.
    Resting,
    Ended(i32),
    /// Ended before it ran.
    Never,
}

impl Stage {
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

/// What to do next; everything empty means to wait.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Next {
    pub(crate) start: Vec<usize>,
    pub(crate) stop: Vec<usize>,
    /// The pod is over; true means that it succeeded.
    pub(crate) done: Option<bool>,
}

/// The next steps of a pod whose containers are at `stages`, in the order of its plan.
pub(crate) fn next(stages: &[(Role, Stage)], stopping: bool) -> Next {
    let failed_init = stages
        .iter()
        .any(|(role, stage)| *role == Role::Init && stage.is_failure());
    let mains = || {
        stages
            .iter()
            .filter(|(role, _)| *role == Role::Main)
            .map(|(_, stage)| *stage)
    };
    let mains_over = mains().all(|stage| matches!(stage, Stage::Ended(_) | Stage::Never));
    if !(stopping || failed_init || mains_over) {
        return Next {
            start: startable(stages),
            ..Next::default()
        };
    }
    let active = |index: &usize| stages[*index].1.is_active();
    let stop: Vec<usize> = (0..stages.len()).filter(active).collect();
    let done = stop
        .is_empty()
        .then(|| !failed_init && mains().all(|stage| stage == Stage::Ended(0)));
    Next {
        start: Vec::new(),
        stop,
        done,
    }
}

fn startable(stages: &[(Role, Stage)]) -> Vec<usize> {
    let mut start = Vec::new();
    for (index, (role, stage)) in stages.iter().enumerate() {
        match (role, stage) {
            (Role::Main, Stage::Idle) => start.push(index),
            (Role::Main, _) => {}
            (Role::Init, Stage::Ended(_))
            | (Role::Sidecar, Stage::Running | Stage::Ended(_) | Stage::Never) => {}
            // One at a time: whoever has not had its turn yet holds up all that follow.
            (_, Stage::Idle) => return vec![index],
            (_, _) => return Vec::new(),
        }
    }
    start
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The next steps of containers written as `init:running main:0`; `!` at the end for a pod that is stopping.
    fn after(pod: &str) -> String {
        let (containers, stopping) = match pod.strip_suffix(" !") {
            Some(containers) => (containers, true),
            None => (pod, false),
        };
        let stages: Vec<_> = containers.split(' ').map(container).collect();
        let next = next(&stages, stopping);
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

    fn container(text: &str) -> (Role, Stage) {
        let (role, stage) = text.split_once(':').unwrap();
        let role = match role {
            "init" => Role::Init,
            "sidecar" => Role::Sidecar,
            _ => Role::Main,
        };
        let stage = match stage {
            "idle" => Stage::Idle,
            "starting" => Stage::Starting,
            "running" => Stage::Running,
            "resting" => Stage::Resting,
            "never" => Stage::Never,
            code => Stage::Ended(code.parse().unwrap()),
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
