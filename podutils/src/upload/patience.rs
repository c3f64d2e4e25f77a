//! How long uploads are tried while the storage is away, and when they are given up.
//!
//! Deck's own storage is away for a minute or two whenever its pod is replaced. An outage is one
//! for all uploads, so its length is counted once: a hundred thousand artifacts do not wait a
//! hundred thousand times.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What an upload is to its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Importance {
    /// Log, result and what says where they are: tried longest, and at least once.
    Own,
    /// What the test left.
    Artifact,
}

/// How long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) own: Duration,
    pub(crate) artifact: Duration,
    /// Time that all artifacts together may spend on attempts that fail.
    pub(crate) lost: Duration,
    /// Before the second attempt; doubled for each further one.
    pub(crate) first_wait: Duration,
    pub(crate) longest_wait: Duration,
}

impl Limits {
    pub(crate) const DEFAULT: Self = Self {
        own: Duration::from_mins(10),
        artifact: Duration::from_mins(5),
        lost: Duration::from_mins(20),
        first_wait: Duration::from_secs(1),
        longest_wait: Duration::from_secs(15),
    };

    fn of(&self, importance: Importance) -> Duration {
        match importance {
            Importance::Own => self.own,
            Importance::Artifact => self.artifact,
        }
    }
}

/// What the uploads of a process know together.
#[derive(Debug)]
pub(crate) struct Patience {
    limits: Limits,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When the storage first failed since it last answered.
    away_since: Option<Instant>,
    lost: Duration,
}

/// One upload's attempts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempts {
    importance: Importance,
    began: Instant,
    pub(crate) failed: u32,
}

impl Attempts {
    pub(crate) fn new(importance: Importance, now: Instant) -> Self {
        Self {
            importance,
            began: now,
            failed: 0,
        }
    }
}

impl Patience {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an upload is worth a first attempt.
    pub(crate) fn is_left(&self, importance: Importance, now: Instant) -> bool {
        let state = self.state();
        let away = state
            .away_since
            .map_or(Duration::ZERO, |since| now.duration_since(since));
        match importance {
            Importance::Own => true,
            Importance::Artifact => away < self.limits.artifact && state.lost < self.limits.lost,
        }
    }

    /// The storage took the object, or refused it for good: it is there.
    pub(crate) fn answered(&self, attempts: &Attempts, now: Instant) {
        let mut state = self.state();
        state.away_since = None;
        if attempts.failed > 0 && attempts.importance == Importance::Artifact {
            state.lost += now.duration_since(attempts.began);
        }
    }

    /// How long to wait before the next attempt; `None`: there is none.
    pub(crate) fn failed(&self, attempts: &mut Attempts, now: Instant) -> Option<Duration> {
        let limit = self.limits.of(attempts.importance);
        let mut state = self.state();
        let away = *state.away_since.get_or_insert(attempts.began);
        let exponent = attempts.failed.min(16);
        attempts.failed += 1;
        // Of one object that fails while others do not, and of all of them.
        let begin = away.min(attempts.began);
        let left = limit.saturating_sub(now.duration_since(begin));
        let spent = now.duration_since(attempts.began);
        let is_artifact = attempts.importance == Importance::Artifact;
        if left.is_zero() || (is_artifact && state.lost + spent >= self.limits.lost) {
            if is_artifact {
                state.lost += spent;
            }
            return None;
        }
        let wait = self.limits.first_wait * 2_u32.pow(exponent);
        Some(wait.min(self.limits.longest_wait).min(left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Tries until it is given up; each attempt takes `takes`. How long that was.
    fn outlast(
        patience: &Patience,
        importance: Importance,
        begin: Instant,
        takes: Duration,
    ) -> Duration {
        let mut now = begin;
        let mut attempts = Attempts::new(importance, now);
        loop {
            now += takes;
            match patience.failed(&mut attempts, now) {
                Some(wait) => now += wait,
                None => return now.duration_since(begin),
            }
        }
    }

    #[test]
    fn an_outage_is_outlasted_for_minutes_and_not_for_ever() {
        let begin = Instant::now();
        for (importance, limit) in [
            (Importance::Own, Limits::DEFAULT.own),
            (Importance::Artifact, Limits::DEFAULT.artifact),
        ] {
            for takes in [Duration::ZERO, SECOND, 10 * SECOND, 120 * SECOND] {
                let patience = Patience::new(Limits::DEFAULT);
                let tried = outlast(&patience, importance, begin, takes);
                assert!(
                    tried >= limit && tried <= limit + takes,
                    "{importance:?} {takes:?} {tried:?}"
                );
            }
        }
    }

    #[test]
    fn waits_grow_to_a_quarter_of_a_minute() {
        let patience = Patience::new(Limits::DEFAULT);
        let now = Instant::now();
        let mut attempts = Attempts::new(Importance::Own, now);
        let waits: Vec<u64> = (0..7)
            .map(|_| patience.failed(&mut attempts, now).unwrap().as_secs())
            .collect();
        assert_eq!(waits, [1, 2, 4, 8, 15, 15, 15]);
    }

    #[test]
    fn artifacts_wait_out_one_outage_together() {
        let patience = Patience::new(Limits::DEFAULT);
        let begin = Instant::now();
        let mut now = begin + outlast(&patience, Importance::Artifact, begin, SECOND);
        for _ in 0..100_000 {
            if patience.is_left(Importance::Artifact, now) {
                now += outlast(&patience, Importance::Artifact, now, SECOND);
            }
        }
        assert!(now.duration_since(begin) <= Limits::DEFAULT.artifact + SECOND);
        assert!(
            patience.is_left(Importance::Own, now),
            "tried once at least"
        );
        let attempts = Attempts::new(Importance::Own, now);
        patience.answered(&attempts, now);
        assert!(patience.is_left(Importance::Artifact, now), "it is back");
    }

    #[test]
    fn a_storage_that_comes_and_goes_takes_no_more_than_its_time() {
        let patience = Patience::new(Limits::DEFAULT);
        let begin = Instant::now();
        let mut now = begin;
        for n in 0..100_000 {
            if !patience.is_left(Importance::Artifact, now) {
                continue;
            }
            if n % 2 == 0 {
                let attempts = Attempts::new(Importance::Artifact, now);
                patience.answered(&attempts, now);
            } else {
                now += outlast(&patience, Importance::Artifact, now, 10 * SECOND);
            }
        }
        let most = Limits::DEFAULT.lost + Limits::DEFAULT.artifact + 10 * SECOND;
        assert!(
            now.duration_since(begin) <= most,
            "{:?}",
            now.duration_since(begin)
        );
    }
}
