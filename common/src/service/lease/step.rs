//! Decides a candidate's next step on its lease. No I/O.

use std::time::Duration;

/// What a process knows of a lease at one moment, as durations on its own clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct LeaseState<'a> {
    /// Empty if the lease was released; `None` if there is no such object.
    pub(super) holder: Option<&'a str>,
    /// How long the record is valid without a renewal.
    pub(super) duration: Duration,
    /// How long the record has been unchanged.
    pub(super) unchanged: Duration,
    /// The time since this process began its last renewal; `None` while it does not lead.
    pub(super) renewed: Option<Duration>,
    /// The time from a renewal to the end of this process's term.
    pub(super) deadline: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LeaseStep {
    /// Write this process's identity into the lease.
    Acquire,
    /// Renew the lease.
    Renew,
    /// Another candidate holds the lease: check again later.
    Wait,
    /// The lease was held and is lost.
    Lost,
}

pub(super) fn next_step(seen: &LeaseState<'_>, own: &str) -> LeaseStep {
    match (seen.renewed, seen.holder) {
        (Some(renewed), _) if renewed >= seen.deadline => LeaseStep::Lost,
        // Somebody deleted the lease: create it again, unless another candidate is faster.
        (Some(_), None) => LeaseStep::Renew,
        (Some(_), Some(holder)) if holder == own => LeaseStep::Renew,
        (Some(_), Some(_)) => LeaseStep::Lost,
        (None, None) => LeaseStep::Acquire,
        // Its own: the response to the acquiring write was lost, or it restarted under one
        // identity.
        (None, Some(holder)) if holder.is_empty() || holder == own => LeaseStep::Acquire,
        (None, Some(_)) if seen.unchanged >= seen.duration => LeaseStep::Acquire,
        (None, Some(_)) => LeaseStep::Wait,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The step of candidate "a"; times in seconds.
    fn decide(
        holder: Option<&str>,
        duration: u64,
        unchanged: u64,
        renewed: Option<u64>,
    ) -> LeaseStep {
        let seen = LeaseState {
            holder,
            duration: Duration::from_secs(duration),
            unchanged: Duration::from_secs(unchanged),
            renewed: renewed.map(Duration::from_secs),
            deadline: Duration::from_secs(7),
        };
        next_step(&seen, "a")
    }

    #[test]
    fn of_a_standby() {
        for (what, holder, duration, unchanged, expected) in [
            ("no lease is made", None, 10, 0, LeaseStep::Acquire),
            ("given up, it is taken", Some(""), 1, 0, LeaseStep::Acquire),
            ("another's is waited for", Some("b"), 10, 9, LeaseStep::Wait),
            (
                "unchanged, it expires",
                Some("b"),
                10,
                10,
                LeaseStep::Acquire,
            ),
            (
                "the holder's promise counts",
                Some("b"),
                15,
                12,
                LeaseStep::Wait,
            ),
            ("a promise of nothing", Some("b"), 0, 0, LeaseStep::Acquire),
            (
                "its own is taken back",
                Some("a"),
                10,
                0,
                LeaseStep::Acquire,
            ),
        ] {
            assert_eq!(
                decide(holder, duration, unchanged, None),
                expected,
                "{what}"
            );
        }
    }

    #[test]
    fn of_a_leader() {
        for (what, holder, renewed, expected) in [
            ("it renews", Some("a"), 2, LeaseStep::Renew),
            ("late, too", Some("a"), 6, LeaseStep::Renew),
            ("not after the deadline", Some("a"), 7, LeaseStep::Lost),
            ("taken away", Some("b"), 2, LeaseStep::Lost),
            ("emptied by hand", Some(""), 2, LeaseStep::Lost),
            ("deleted by hand, made anew", None, 2, LeaseStep::Renew),
            ("not after the deadline", None, 8, LeaseStep::Lost),
        ] {
            assert_eq!(decide(holder, 10, 0, Some(renewed)), expected, "{what}");
        }
    }
}
