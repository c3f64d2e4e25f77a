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
            Self::Idle | Self::Starting | Self::Running => false,
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
    use Role::{Init, Main, Sidecar};
    use Stage::{Ended, Idle, Never, Running, Starting};

    #[test]
    fn containers_take_their_turns() {
        let start = |start: &[usize]| Next {
            start: start.to_vec(),
            ..Next::default()
        };
        let stop = |stop: &[usize]| Next {
            stop: stop.to_vec(),
            ..Next::default()
        };
        let done = |ok| Next {
            done: Some(ok),
            ..Next::default()
        };
        let cases: &[(&str, &[(Role, Stage)], bool, Next)] = &[
            (
                "first init",
                &[(Init, Idle), (Init, Idle), (Main, Idle)],
                false,
                start(&[0]),
            ),
            (
                "init runs",
                &[(Init, Running), (Init, Idle), (Main, Idle)],
                false,
                Next::default(),
            ),
            (
                "second init",
                &[(Init, Ended(0)), (Init, Idle), (Main, Idle)],
                false,
                start(&[1]),
            ),
            (
                "mains together",
                &[(Init, Ended(0)), (Main, Idle), (Main, Idle)],
                false,
                start(&[1, 2]),
            ),
            (
                "the second main waits for nobody",
                &[(Main, Running), (Main, Idle)],
                false,
                start(&[1]),
            ),
            (
                "a failed init ends the pod",
                &[(Init, Ended(2)), (Main, Idle)],
                false,
                done(false),
            ),
            (
                "a sidecar that starts holds up",
                &[(Sidecar, Starting), (Main, Idle)],
                false,
                Next::default(),
            ),
            (
                "a running sidecar lets go on",
                &[(Sidecar, Running), (Main, Idle)],
                false,
                start(&[1]),
            ),
            (
                "sidecars end after a failed init",
                &[(Sidecar, Running), (Init, Ended(1)), (Main, Idle)],
                false,
                stop(&[0]),
            ),
            (
                "one main is left",
                &[(Main, Ended(1)), (Main, Running)],
                false,
                Next::default(),
            ),
            (
                "sidecars end after the mains",
                &[(Sidecar, Running), (Main, Ended(0))],
                false,
                stop(&[0]),
            ),
            (
                "a sidecar's code does not matter",
                &[(Sidecar, Ended(143)), (Main, Ended(0))],
                false,
                done(true),
            ),
            (
                "one failed main fails the pod",
                &[(Main, Ended(1)), (Main, Ended(0))],
                false,
                done(false),
            ),
            (
                "stopping starts nothing",
                &[(Init, Ended(0)), (Main, Idle)],
                true,
                done(false),
            ),
            (
                "stopping ends what is active",
                &[(Sidecar, Running), (Main, Starting), (Main, Ended(0))],
                true,
                stop(&[0, 1]),
            ),
            ("ended before it ran", &[(Main, Never)], true, done(false)),
        ];
        for (name, stages, stopping, expected) in cases {
            assert_eq!(next(stages, *stopping), *expected, "{name}");
        }
    }
}
