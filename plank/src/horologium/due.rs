//! When a periodic runs next. Pure.
//!
//! Prow's rules: `interval` counts from start to start, `minimum_interval` from completion to
//! start, `cron` fires at its slots, and a job without any run runs at once, but for one with a
//! calendar, which waits for its first slot. A slot that comes while a run is unfinished is
//! dropped; of those missed while nobody looked, the last one is made up for.

use common::{
    config::{Periodic, Retry},
    cron::{Calendar, ParseError, Schedule},
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use super::history::{History, Run};

/// Prow's bound on `retry.attempts`.
const MAX_ATTEMPTS: i64 = 10;

/// When a periodic runs, read from its configuration.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// From start to start.
    Every(SignedDuration),
    /// From completion to start.
    After(SignedDuration),
    Calendar(Box<Calendar>),
}

impl Rule {
    /// At least a second lies between two runs. An error is a cron schedule that cannot be read.
    pub fn of(periodic: &Periodic) -> Result<Self, ParseError> {
        let span = |nanos: i64| SignedDuration::from_nanos(nanos).max(SignedDuration::from_secs(1));
        if !periodic.cron.is_empty() {
            return Ok(match periodic.cron.parse()? {
                Schedule::Every(delay) => Self::Every(span(delay.nanos())),
                Schedule::Calendar(calendar) => Self::Calendar(calendar),
            });
        }
        Ok(match (periodic.minimum_interval, periodic.interval) {
            (Some(pause), _) => Self::After(span(pause.nanos())),
            (None, interval) => Self::Every(span(interval.unwrap_or_default().nanos())),
        })
    }
}

/// Since when a schedule has been in force, as far as this process knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Since {
    pub at: Timestamp,
    /// It was there when the process began: what was missed before is made up for, if the job
    /// ever ran. A schedule that was added later has missed nothing.
    pub catch_up: bool,
}

/// A run to make. The name of its `ProwJob` depends on the job and on this, and for what is made
/// up for on when horologium began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot {
    /// When it was due. Of a retry: when the run began that it repeats.
    pub at: Timestamp,
    /// 0, or which retry it is.
    pub attempt: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    Now(Slot),
    /// Nothing before this moment, unless a run begins or ends.
    At(Timestamp),
    /// Nothing until a run ends, or never.
    Waits,
}

/// The next run of a job. A retry that is due gives way to a regular run that is due.
pub fn due(
    rule: &Rule,
    retry: Option<&Retry>,
    history: &History,
    since: Since,
    now: Timestamp,
) -> Due {
    if history.is_running() {
        return Due::Waits;
    }
    let newest = history.newest();
    let regular = regular(rule, newest, since, now);
    let again = retry
        .zip(newest)
        .and_then(|(retry, newest)| again(retry, newest));
    match (regular, again) {
        (Due::Now(_), _) | (_, None) => regular,
        (_, Some((at, slot))) if at <= now => Due::Now(slot),
        (Due::At(next), Some((at, _))) => Due::At(next.min(at)),
        (Due::Waits, Some((at, _))) => Due::At(at),
    }
}

fn regular(rule: &Rule, newest: Option<&Run>, since: Since, now: Timestamp) -> Due {
    match (rule, newest) {
        (Rule::Every(span) | Rule::After(span), None) => Due::Now(Slot {
            at: round_down(now, *span),
            attempt: 0,
        }),
        (Rule::Every(span), Some(run)) => from(run.started, *span, now),
        (Rule::After(span), Some(run)) => from(run.completed.unwrap_or(run.started), *span, now),
        (Rule::Calendar(calendar), newest) => {
            let seen = seen_until(newest, since);
            match calendar.last(now, &TimeZone::UTC).filter(|at| *at > seen) {
                Some(at) => Due::Now(Slot { at, attempt: 0 }),
                None => calendar
                    .next(now, &TimeZone::UTC)
                    .map_or(Due::Waits, Due::At),
            }
        }
    }
}

fn from(start: Timestamp, span: SignedDuration, now: Timestamp) -> Due {
    let at = start.checked_add(span).unwrap_or(Timestamp::MAX);
    if at <= now {
        Due::Now(Slot { at, attempt: 0 })
    } else {
        Due::At(at)
    }
}

/// Slots up to here had their run, or were dropped because one was unfinished.
fn seen_until(newest: Option<&Run>, since: Since) -> Timestamp {
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

/// The retry that follows a run, and when: `retry.interval` after that run began.
fn again(retry: &Retry, newest: &Run) -> Option<(Timestamp, Slot)> {
    let attempt = newest.attempt.checked_add(1)?;
    let allowed = i64::from(attempt) <= retry.attempts.min(MAX_ATTEMPTS);
    // A failed run begins the retries; run_all goes through with them all.
    let wanted = newest.failed || retry.run_all && newest.attempt > 0;
    let pause = retry.interval.unwrap_or_default().nanos();
    let at = newest
        .started
        .checked_add(SignedDuration::from_nanos(pause))
        .unwrap_or(Timestamp::MAX);
    let slot = Slot {
        at: newest.started,
        attempt,
    };
    (allowed && wanted).then_some((at, slot))
}

/// The last multiple of `span` since 1970: two processes that begin at one time agree on it.
fn round_down(now: Timestamp, span: SignedDuration) -> Timestamp {
    let nanos = now.as_nanosecond();
    let past = nanos.rem_euclid(span.as_nanos());
    Timestamp::from_nanosecond(nanos - past).unwrap_or(now)
}

#[cfg(test)]
mod law;
#[cfg(test)]
mod tests;
