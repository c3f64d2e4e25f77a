//! Whether and when a container that has ended is started again.
//!
//! Pure. Facts: <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy>.

use std::time::Duration;

use super::plan::ContainerRole;

/// The wait before the second restart (the first is immediate); each further one doubles it.
const FIRST_BACK_OFF: Duration = Duration::from_secs(10);
const MAX_BACK_OFF: Duration = Duration::from_mins(5);
/// After a run of this length the next restart is immediate again.
const LONG_RUN: Duration = Duration::from_mins(10);

/// A pod's `restartPolicy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RestartPolicy {
    Never,
    OnFailure,
    Always,
}

impl RestartPolicy {
    /// `None` for a value that Kubernetes does not have. A missing value is Always.
    pub(crate) fn parse_policy(text: Option<&str>) -> Option<Self> {
        match text.unwrap_or("Always") {
            "Never" => Some(Self::Never),
            "OnFailure" => Some(Self::OnFailure),
            "Always" => Some(Self::Always),
            _ => None,
        }
    }

    /// Whether a container that ended with `code` runs again. Sidecars do not: they end with their
    /// pod.
    pub(crate) fn should_restart(self, role: ContainerRole, code: i32) -> bool {
        match (self, role) {
            (Self::Never, _) | (_, ContainerRole::Sidecar) => false,
            (Self::Always, ContainerRole::Main) => true,
            (Self::OnFailure, ContainerRole::Main) | (_, ContainerRole::Init) => code != 0,
        }
    }
}

/// How long a container waits for its next start.
#[derive(Debug, Default)]
pub(crate) struct BackOff(Option<Duration>);

impl BackOff {
    /// The wait after a run of this length. The first restart is immediate, as in kubelet.
    pub(crate) fn next_delay(&mut self, ran: Duration) -> Duration {
        let wait = match self.0 {
            Some(wait) if ran < LONG_RUN => wait,
            _ => Duration::ZERO,
        };
        self.0 = Some((wait * 2).clamp(FIRST_BACK_OFF, MAX_BACK_OFF));
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_started_again() {
        use ContainerRole::{Init, Main, Sidecar};
        use RestartPolicy::{Always, Never, OnFailure};
        for (policy, role, code, expected) in [
            (Never, Main, 1, false),
            (Never, Init, 1, false),
            (OnFailure, Main, 0, false),
            (OnFailure, Main, 1, true),
            (OnFailure, Init, 1, true),
            (Always, Main, 0, true),
            (Always, Init, 0, false),
            (Always, Init, 1, true),
            (Always, Sidecar, 1, false),
        ] {
            assert_eq!(
                policy.should_restart(role, code),
                expected,
                "{policy:?} {role:?} {code}"
            );
        }
        assert_eq!(RestartPolicy::parse_policy(None), Some(Always));
        assert_eq!(RestartPolicy::parse_policy(Some("Sometimes")), None);
    }

    #[test]
    fn the_wait_doubles_until_a_run_was_long() {
        let mut wait = BackOff::default();
        let short = Duration::from_secs(1);
        let waits: Vec<u64> = (0..8).map(|_| wait.next_delay(short).as_secs()).collect();
        assert_eq!(waits, [0, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(wait.next_delay(LONG_RUN), Duration::ZERO);
        assert_eq!(wait.next_delay(short), FIRST_BACK_OFF);
    }
}
