//! Decides when a periodic runs next. Pure.
//!
//! Prow's rules: `interval` counts from start to start, `minimum_interval` from completion to
//! start, `cron` fires at its slots. A job that never ran runs at once, except one with a calendar,
//! which waits for its first slot. A slot that comes while a run is unfinished is dropped; of the
//! slots missed while horologium was away, the last one is made up for.

use common::{
    config::{Periodic, Retry},
    cron::{CronCalendar, CronParseError, CronSchedule},
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use super::history::{PeriodicHistory, PeriodicRun};

/// Prow's bound on `retry.attempts`.
const MAX_ATTEMPTS: i64 = 10;

/// The schedule of a periodic, read from its configuration.
#[derive(Clone, Debug, PartialEq)]
pub enum PeriodicRule {
    /// From start to start.
    Every(SignedDuration),
    /// From completion to start.
    After(SignedDuration),
    Calendar(Box<CronCalendar>),
}

impl PeriodicRule {
    /// Two runs are at least a second apart. Fails if the cron schedule cannot be parsed.
    pub fn from_periodic(periodic: &Periodic) -> Result<Self, CronParseError> {
        let span = |nanos: i64| SignedDuration::from_nanos(nanos).max(SignedDuration::from_secs(1));
        if !periodic.cron.is_empty() {
            return Ok(match periodic.cron.parse()? {
                CronSchedule::Every(delay) => Self::Every(span(delay.as_nanos())),
                CronSchedule::Calendar(calendar) => Self::Calendar(calendar),
            });
        }
        Ok(match (periodic.minimum_interval, periodic.interval) {
            (Some(pause), _) => Self::After(span(pause.as_nanos())),
            (None, interval) => Self::Every(span(interval.unwrap_or_default().as_nanos())),
        })
    }
}

/// Since when a schedule has been in force, as far as this process knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScheduleSince {
    pub at: Timestamp,
    /// The schedule was there when the process began: a slot missed before is made up for, if the
    /// job ever ran. A schedule that was added later has missed nothing.
    pub catch_up: bool,
}

/// A run to create. The name of its `ProwJob` depends on the job and on this slot; for a slot that
/// is made up for, also on when horologium began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PeriodicSlot {
    /// When it was due; for a retry, when the run that it repeats began.
    pub at: Timestamp,
    /// 0, or the number of the retry.
    pub attempt: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextRun {
    Now(PeriodicSlot),
    /// Nothing before this moment, unless a run begins or ends.
    At(Timestamp),
    /// Nothing until a run ends, or nothing ever.
    Waits,
}

/// The next run of a job. If a regular run and a retry are both due, the regular run comes first.
pub fn find_next_run(
    rule: &PeriodicRule,
    retry: Option<&Retry>,
    history: &PeriodicHistory,
    since: ScheduleSince,
    now: Timestamp,
) -> NextRun {
    if history.is_running() {
        return NextRun::Waits;
    }
    let newest = history.newest_run();
    let regular = find_regular_run(rule, newest, since, now);
    let again = retry
        .zip(newest)
        .and_then(|(retry, newest)| find_retry(retry, newest));
    match (regular, again) {
        (NextRun::Now(_), _) | (_, None) => regular,
        (_, Some((at, slot))) if at <= now => NextRun::Now(slot),
        (NextRun::At(next), Some((at, _))) => NextRun::At(next.min(at)),
        (NextRun::Waits, Some((at, _))) => NextRun::At(at),
    }
}

fn find_regular_run(
    rule: &PeriodicRule,
    newest: Option<&PeriodicRun>,
    since: ScheduleSince,
    now: Timestamp,
) -> NextRun {
    match (rule, newest) {
        (PeriodicRule::Every(span) | PeriodicRule::After(span), None) => {
            NextRun::Now(PeriodicSlot {
                at: round_down(now, *span),
                attempt: 0,
            })
        }
        (PeriodicRule::Every(span), Some(run)) => next_run_after(run.started, *span, now),
        (PeriodicRule::After(span), Some(run)) => {
            next_run_after(run.completed.unwrap_or(run.started), *span, now)
        }
        (PeriodicRule::Calendar(calendar), newest) => {
            let seen = handled_until(newest, since);
            match calendar
                .last_slot(now, &TimeZone::UTC)
                .filter(|at| *at > seen)
            {
                Some(at) => NextRun::Now(PeriodicSlot { at, attempt: 0 }),
                None => calendar
                    .next_slot(now, &TimeZone::UTC)
                    .map_or(NextRun::Waits, NextRun::At),
            }
        }
    }
}

fn next_run_after(start: Timestamp, span: SignedDuration, now: Timestamp) -> NextRun {
    let at = start.checked_add(span).unwrap_or(Timestamp::MAX);
    if at <= now {
        NextRun::Now(PeriodicSlot { at, attempt: 0 })
    } else {
        NextRun::At(at)
    }
}

/// Slots up to here had their run, or were dropped because a run was unfinished.
fn handled_until(newest: Option<&PeriodicRun>, since: ScheduleSince) -> Timestamp {
    match newest {
        None => since.at,
        Some(run) => {
            let ended = run.completed.map_or(run.started, |at| at.max(run.started));
            if since.catch_up {
                ended
            } else {
                ended.max(since.at)
            }
        }
    }
}

/// The retry that follows a run, and its time: `retry.interval` after that run began.
fn find_retry(retry: &Retry, newest: &PeriodicRun) -> Option<(Timestamp, PeriodicSlot)> {
    let attempt = newest.attempt.checked_add(1)?;
    let allowed = i64::from(attempt) <= retry.attempts.min(MAX_ATTEMPTS);
    // Only a failed run begins retries; `run_all` then makes all of them.
    let wanted = newest.failed || retry.run_all && newest.attempt > 0;
    let pause = retry.interval.unwrap_or_default().as_nanos();
    let at = newest
        .started
        .checked_add(SignedDuration::from_nanos(pause))
        .unwrap_or(Timestamp::MAX);
    let slot = PeriodicSlot {
        at: newest.started,
        attempt,
    };
    (allowed && wanted).then_some((at, slot))
}

/// The last multiple of `span` since 1970: two processes that begin at the same time agree on it.
fn round_down(now: Timestamp, span: SignedDuration) -> Timestamp {
    let nanos = now.as_nanosecond();
    let past = nanos.rem_euclid(span.as_nanos());
    Timestamp::from_nanosecond(nanos - past).unwrap_or(now)
}

#[cfg(test)]
mod proptests;
#[cfg(test)]
mod tests;
