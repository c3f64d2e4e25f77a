//! The retry budget: how long uploads are tried while the storage is unavailable.
//!
//! Deck's own storage is unavailable for a minute or two whenever its pod is replaced. All uploads
//! share one outage, so its length is counted once: a hundred thousand artifacts do not each wait
//! for it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How important an upload is to its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UploadImportance {
    /// The run's own files, such as log and result: tried longest, and at least once.
    Own,
    /// A file that the test left.
    Artifact,
}

/// How long uploads are tried.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RetryLimits {
    pub(crate) own: Duration,
    pub(crate) artifact: Duration,
    /// Time that all artifacts together may spend on failed attempts.
    pub(crate) lost: Duration,
    /// The wait before the second attempt; doubled before each further one.
    pub(crate) first_wait: Duration,
    pub(crate) longest_wait: Duration,
}

impl RetryLimits {
    pub(crate) const DEFAULT: Self = Self {
        own: Duration::from_mins(10),
        artifact: Duration::from_mins(5),
        lost: Duration::from_mins(20),
        first_wait: Duration::from_secs(1),
        longest_wait: Duration::from_secs(15),
    };

    fn limit_for(&self, importance: UploadImportance) -> Duration {
        match importance {
            UploadImportance::Own => self.own,
            UploadImportance::Artifact => self.artifact,
        }
    }
}

/// The retry budget that all uploads of a process share.
#[derive(Debug)]
pub(crate) struct RetryBudget {
    limits: RetryLimits,
    state: Mutex<OutageState>,
}

#[derive(Debug, Default)]
struct OutageState {
    /// When the storage first failed since it last answered.
    away_since: Option<Instant>,
    lost: Duration,
}

/// The attempts of one upload.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UploadAttempts {
    importance: UploadImportance,
    began: Instant,
    pub(crate) failed: u32,
}

impl UploadAttempts {
    pub(crate) fn new(importance: UploadImportance, now: Instant) -> Self {
        Self {
            importance,
            began: now,
            failed: 0,
        }
    }
}

impl RetryBudget {
    pub(crate) fn new(limits: RetryLimits) -> Self {
        Self {
            limits,
            state: Mutex::default(),
        }
    }

    fn lock_state(&self) -> MutexGuard<'_, OutageState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an upload is worth a first attempt.
    pub(crate) fn allows_first_attempt(&self, importance: UploadImportance, now: Instant) -> bool {
        let state = self.lock_state();
        let away = state
            .away_since
            .map_or(Duration::ZERO, |since| now.duration_since(since));
        match importance {
            UploadImportance::Own => true,
            UploadImportance::Artifact => {
                away < self.limits.artifact && state.lost < self.limits.lost
            }
        }
    }

    /// Records that the storage took the object or refused it for good: the outage is over.
    pub(crate) fn record_answer(&self, attempts: &UploadAttempts, now: Instant) {
        let mut state = self.lock_state();
        state.away_since = None;
        if attempts.failed > 0 && attempts.importance == UploadImportance::Artifact {
            state.lost += now.duration_since(attempts.began);
        }
    }

    /// Records a failed attempt. Returns the wait before the next; `None` if there is none.
    pub(crate) fn record_failure(
        &self,
        attempts: &mut UploadAttempts,
        now: Instant,
    ) -> Option<Duration> {
        let limit = self.limits.limit_for(attempts.importance);
        let mut state = self.lock_state();
        let away = *state.away_since.get_or_insert(attempts.began);
        let exponent = attempts.failed.min(16);
        attempts.failed += 1;
        // The limit runs from the start of the outage or of this upload, whichever is earlier.
        let begin = away.min(attempts.began);
        let left = limit.saturating_sub(now.duration_since(begin));
        let spent = now.duration_since(attempts.began);
        let is_artifact = attempts.importance == UploadImportance::Artifact;
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

    /// Tries until the budget ends; each attempt takes `takes`. Returns how long it tried.
    fn outlast(
        patience: &RetryBudget,
        importance: UploadImportance,
        begin: Instant,
        takes: Duration,
    ) -> Duration {
        let mut now = begin;
        let mut attempts = UploadAttempts::new(importance, now);
        loop {
            now += takes;
            match patience.record_failure(&mut attempts, now) {
                Some(wait) => now += wait,
                None => return now.duration_since(begin),
            }
        }
    }

    #[test]
    fn an_outage_is_outlasted_for_minutes_and_not_for_ever() {
        let begin = Instant::now();
        for (importance, limit) in [
            (UploadImportance::Own, RetryLimits::DEFAULT.own),
            (UploadImportance::Artifact, RetryLimits::DEFAULT.artifact),
        ] {
            for takes in [Duration::ZERO, SECOND, 10 * SECOND, 120 * SECOND] {
                let patience = RetryBudget::new(RetryLimits::DEFAULT);
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
        let patience = RetryBudget::new(RetryLimits::DEFAULT);
        let now = Instant::now();
        let mut attempts = UploadAttempts::new(UploadImportance::Own, now);
        let waits: Vec<u64> = (0..7)
            .map(|_| {
                patience
                    .record_failure(&mut attempts, now)
                    .unwrap()
                    .as_secs()
            })
            .collect();
        assert_eq!(waits, [1, 2, 4, 8, 15, 15, 15]);
    }

    #[test]
    fn artifacts_wait_out_one_outage_together() {
        let patience = RetryBudget::new(RetryLimits::DEFAULT);
        let begin = Instant::now();
        let mut now = begin + outlast(&patience, UploadImportance::Artifact, begin, SECOND);
        for _ in 0..100_000 {
            if patience.allows_first_attempt(UploadImportance::Artifact, now) {
                now += outlast(&patience, UploadImportance::Artifact, now, SECOND);
            }
        }
        assert!(now.duration_since(begin) <= RetryLimits::DEFAULT.artifact + SECOND);
        assert!(
            patience.allows_first_attempt(UploadImportance::Own, now),
            "tried once at least"
        );
        let attempts = UploadAttempts::new(UploadImportance::Own, now);
        patience.record_answer(&attempts, now);
        assert!(
            patience.allows_first_attempt(UploadImportance::Artifact, now),
            "it is back"
        );
    }

    #[test]
    fn a_storage_that_comes_and_goes_takes_no_more_than_its_time() {
        let patience = RetryBudget::new(RetryLimits::DEFAULT);
        let begin = Instant::now();
        let mut now = begin;
        for n in 0..100_000 {
            if !patience.allows_first_attempt(UploadImportance::Artifact, now) {
                continue;
            }
            if n % 2 == 0 {
                let attempts = UploadAttempts::new(UploadImportance::Artifact, now);
                patience.record_answer(&attempts, now);
            } else {
                now += outlast(&patience, UploadImportance::Artifact, now, 10 * SECOND);
            }
        }
        let most = RetryLimits::DEFAULT.lost + RetryLimits::DEFAULT.artifact + 10 * SECOND;
        assert!(
            now.duration_since(begin) <= most,
            "{:?}",
            now.duration_since(begin)
        );
    }
}
