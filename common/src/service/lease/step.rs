//! What a candidate does next about its lease. Pure.

use std::time::Duration;

use super::DEADLINE;

/// What a process knows of a lease at one moment, in lengths of its own time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen<'a> {
    /// Empty when the lease was given up; none when there is no such object.
    pub(super) holder: Option<&'a str>,
    /// How long the record promises to hold without a renewal.
    pub(super) duration: Duration,
    /// For how long the record was not seen to change.
    pub(super) unchanged: Duration,
    /// Since this process began its last renewal; none while it does not lead.
    pub(super) renewed: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Write this process's identity into it.
    Acquire,
    /// Write that it is still held.
    Renew,
    /// Another holds it: look again later.
    Wait,
    /// It was held and is no more.
    Lost,
}

pub(super) fn step(seen: &Seen<'_>, own: &str) -> Step {
    match (seen.renewed, seen.holder) {
        (Some(renewed), _) if renewed >= DEADLINE => Step::Lost,
        // Deleted by hand: made anew, unless another was faster.
        (Some(_), None) => Step::Renew,
        (Some(_), Some(holder)) if holder == own => Step::Renew,
        (Some(_), Some(_)) => Step::Lost,
        (None, None) => Step::Acquire,
        // Its own: the answer to the write that got it was lost, or a restart under one identity.
        (None, Some(holder)) if holder.is_empty() || holder == own => Step::Acquire,
        (None, Some(_)) if seen.unchanged >= seen.duration => Step::Acquire,
        (None, Some(_)) => Step::Wait,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps() {
        let s = Duration::from_secs;
        let none = None::<&str>;
        for (what, holder, duration, unchanged, renewed, expected) in [
            ("no lease is made", none, 10, 0, None, Step::Acquire),
            (
                "one given up is taken at once",
                Some(""),
                1,
                0,
                None,
                Step::Acquire,
            ),
            (
                "another's is waited for",
                Some("b"),
                10,
                9,
                None,
                Step::Wait,
            ),
            (
                "another's that did not change expires",
                Some("b"),
                10,
                10,
                None,
                Step::Acquire,
            ),
            (
                "another's promise counts, not our own",
                Some("b"),
                15,
                12,
                None,
                Step::Wait,
            ),
            (
                "a promise of nothing is none",
                Some("b"),
                0,
                0,
                None,
                Step::Acquire,
            ),
            (
                "an own one is taken back",
                Some("a"),
                10,
                0,
                None,
                Step::Acquire,
            ),
            (
                "a held one is renewed",
                Some("a"),
                10,
                2,
                Some(2),
                Step::Renew,
            ),
            (
                "a held one is renewed late",
                Some("a"),
                10,
                6,
                Some(6),
                Step::Renew,
            ),
            (
                "after the deadline it is lost",
                Some("a"),
                10,
                7,
                Some(7),
                Step::Lost,
            ),
            (
                "one taken away is lost",
                Some("b"),
                10,
                0,
                Some(2),
                Step::Lost,
            ),
            (
                "one emptied by hand is lost",
                Some(""),
                10,
                0,
                Some(2),
                Step::Lost,
            ),
            (
                "one deleted by hand is made anew",
                none,
                10,
                0,
                Some(2),
                Step::Renew,
            ),
            (
                "even then not after the deadline",
                none,
                10,
                0,
                Some(8),
                Step::Lost,
            ),
        ] {
            let seen = Seen {
                holder,
                duration: s(duration),
                unchanged: s(unchanged),
                renewed: renewed.map(s),
            };
            assert_eq!(step(&seen, "a"), expected, "{what}");
        }
    }
}
