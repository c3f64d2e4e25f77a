//! When a calendar is due: the next slot after a time, and the last slot up to it.
//!
//! A slot is a time on the wall clock of a zone, and each happens once. A slot that a clock change
//! skips happens at the change; a slot that occurs twice happens the first time.

use jiff::{
    SignedDuration, Timestamp, ToSpan as _,
    civil::{Date, DateTime, Time},
    tz::{AmbiguousOffset, TimeZone},
};

use super::CronCalendar;

/// No next slot is further away: the longest gap is around 2100, eight years without a 29th of
/// February.
const MAX_SEARCH_YEARS: i16 = 9;

impl CronCalendar {
    /// The first slot after `after`; `None` for a calendar like the 31st of February.
    ///
    /// A calendar without a zone of its own uses `zone`.
    pub fn next_slot(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let zone = self.zone.as_ref().unwrap_or(zone);
        let mut slot = zone.to_datetime(after);
        let end = slot.year().saturating_add(MAX_SEARCH_YEARS);
        loop {
            slot = self.civil_after(slot, end)?;
            let at = slot_to_timestamp(slot, zone)?;
            if at > after {
                return Some(at);
            }
        }
    }

    /// The last slot up to and including `until`.
    pub fn last_slot(&self, until: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let zone = self.zone.as_ref().unwrap_or(zone);
        let mut slot = latest_wall_clock(until, zone)
            .checked_add(1.second())
            .ok()?;
        let end = slot.year().saturating_sub(MAX_SEARCH_YEARS);
        loop {
            slot = self.civil_before(slot, end)?;
            let at = slot_to_timestamp(slot, zone)?;
            if at <= until {
                return Some(at);
            }
        }
    }

    /// The first matching wall-clock time after `from`, before the end of the year `end`.
    fn civil_after(&self, from: DateTime, end: i16) -> Option<DateTime> {
        let from = from.checked_add(1.second()).ok()?;
        if self.matches_date(from.date())
            && let Some(time) = self.time_from(from.time())
        {
            return Some(from.date().to_datetime(time));
        }
        let mut date = from.date();
        loop {
            date = if set_contains(self.months, date.month()) {
                date.tomorrow().ok()?
            } else {
                date.last_of_month().tomorrow().ok()?
            };
            if date.year() > end {
                return None;
            }
            if self.matches_date(date) {
                return Some(date.to_datetime(self.time_from(Time::midnight())?));
            }
        }
    }

    /// The last matching wall-clock time before `from`, after the start of the year `end`.
    fn civil_before(&self, from: DateTime, end: i16) -> Option<DateTime> {
        let from = from.checked_sub(1.second()).ok()?;
        if self.matches_date(from.date())
            && let Some(time) = self.time_until(from.time())
        {
            return Some(from.date().to_datetime(time));
        }
        let mut date = from.date();
        loop {
            date = if set_contains(self.months, date.month()) {
                date.yesterday().ok()?
            } else {
                date.first_of_month().yesterday().ok()?
            };
            if date.year() < end {
                return None;
            }
            if self.matches_date(date) {
                return Some(date.to_datetime(self.time_until(Time::constant(23, 59, 59, 0))?));
            }
        }
    }

    fn matches_date(&self, date: Date) -> bool {
        let day = set_contains(self.days_of_month, date.day());
        let weekday = set_contains(self.days_of_week, date.weekday().to_sunday_zero_offset());
        set_contains(self.months, date.month())
            && if self.both_days {
                day && weekday
            } else {
                day || weekday
            }
    }

    fn time_from(&self, from: Time) -> Option<Time> {
        let (hour, minute) = (from.hour(), from.minute());
        if set_contains(self.hours, hour) {
            if set_contains(self.minutes, minute)
                && let Some(second) = smallest_from(self.seconds, from.second())
            {
                return Time::new(hour, minute, second, 0).ok();
            }
            if let Some(minute) = smallest_from(self.minutes, minute + 1) {
                return Time::new(hour, minute, smallest_from(self.seconds, 0)?, 0).ok();
            }
        }
        let hour = smallest_from(self.hours, hour + 1)?;
        Time::new(
            hour,
            smallest_from(self.minutes, 0)?,
            smallest_from(self.seconds, 0)?,
            0,
        )
        .ok()
    }

    fn time_until(&self, until: Time) -> Option<Time> {
        let (hour, minute) = (until.hour(), until.minute());
        if set_contains(self.hours, hour) {
            if set_contains(self.minutes, minute)
                && let Some(second) = largest_until(self.seconds, until.second())
            {
                return Time::new(hour, minute, second, 0).ok();
            }
            if let Some(minute) = largest_until(self.minutes, minute - 1) {
                return Time::new(hour, minute, largest_until(self.seconds, 59)?, 0).ok();
            }
        }
        let hour = largest_until(self.hours, hour - 1)?;
        Time::new(
            hour,
            largest_until(self.minutes, 59)?,
            largest_until(self.seconds, 59)?,
            0,
        )
        .ok()
    }
}

fn set_contains(set: u64, value: i8) -> bool {
    u32::try_from(value).is_ok_and(|value| set & 1 << value != 0)
}

/// The smallest value of the set from `from` on.
fn smallest_from(set: u64, from: i8) -> Option<i8> {
    (from..=59).find(|value| set_contains(set, *value))
}

/// The largest value of the set up to `until`.
fn largest_until(set: u64, until: i8) -> Option<i8> {
    (0..=until).rev().find(|value| set_contains(set, *value))
}

/// When the clock of the zone first shows this time; if the clock skips it, when it does so.
fn slot_to_timestamp(slot: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(slot);
    match ambiguous.offset() {
        AmbiguousOffset::Gap { after, .. } => {
            let before_the_gap = after.to_timestamp(slot).ok()?;
            Some(zone.following(before_the_gap).next()?.timestamp())
        }
        AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => {
            ambiguous.compatible().ok()
        }
    }
}

/// The latest time that the clock of the zone has shown up to `at`. After the clock was set back,
/// that is later than what it shows.
fn latest_wall_clock(at: Timestamp, zone: &TimeZone) -> DateTime {
    let shown = zone.to_datetime(at);
    let second = SignedDuration::from_secs(1);
    let Some(change) = zone.preceding(at + second).next() else {
        return shown;
    };
    let before = zone.to_datetime(change.timestamp() - second);
    shown.max(before)
}

#[cfg(test)]
mod tests {
    use super::super::CronSchedule;
    use super::*;

    fn calendar(text: &str) -> CronCalendar {
        match text.parse() {
            Ok(CronSchedule::Calendar(calendar)) => *calendar,
            other => panic!("{text}: {other:?}"),
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_next_slot_and_the_last_one() {
        for (text, now, last, next) in [
            (
                "*/15 * * * *",
                "2026-08-01T12:07:30Z",
                "2026-08-01T12:00:00Z",
                "2026-08-01T12:15:00Z",
            ),
            (
                "*/15 * * * *",
                "2026-08-01T12:15:00Z",
                "2026-08-01T12:15:00Z",
                "2026-08-01T12:30:00Z",
            ),
            (
                "@hourly",
                "2026-08-01T12:07:30.5Z",
                "2026-08-01T12:00:00Z",
                "2026-08-01T13:00:00Z",
            ),
            (
                "@daily",
                "2026-12-31T23:59:59Z",
                "2026-12-31T00:00:00Z",
                "2027-01-01T00:00:00Z",
            ),
            (
                "@weekly",
                "2026-08-01T12:00:00Z",
                "2026-07-26T00:00:00Z",
                "2026-08-02T00:00:00Z",
            ),
            (
                "@yearly",
                "2026-08-01T12:00:00Z",
                "2026-01-01T00:00:00Z",
                "2027-01-01T00:00:00Z",
            ),
            (
                "*/20 * * * * *",
                "2026-08-01T12:00:40Z",
                "2026-08-01T12:00:40Z",
                "2026-08-01T12:01:00Z",
            ),
            (
                "59 59 23 * * *",
                "2026-08-01T00:00:00Z",
                "2026-07-31T23:59:59Z",
                "2026-08-01T23:59:59Z",
            ),
            // Either day is enough, unless one of them is a star.
            (
                "0 0 13 * fri",
                "2026-11-05T12:00:00Z",
                "2026-10-30T00:00:00Z",
                "2026-11-06T00:00:00Z",
            ),
            (
                "0 0 31 * *",
                "2026-08-31T12:00:00Z",
                "2026-08-31T00:00:00Z",
                "2026-10-31T00:00:00Z",
            ),
            (
                "0 0 29 2 *",
                "2097-01-01T00:00:00Z",
                "2096-02-29T00:00:00Z",
                "2104-02-29T00:00:00Z",
            ),
            // Berlin is two hours ahead in summer.
            (
                "TZ=Europe/Berlin 0 0 * * *",
                "2026-08-01T12:00:00Z",
                "2026-07-31T22:00:00Z",
                "2026-08-01T22:00:00Z",
            ),
            (
                "CRON_TZ=Asia/Tokyo @daily",
                "2026-08-01T12:00:00Z",
                "2026-07-31T15:00:00Z",
                "2026-08-01T15:00:00Z",
            ),
        ] {
            let calendar = calendar(text);
            let found = |at: Option<Timestamp>| at.unwrap().to_string();
            assert_eq!(
                found(calendar.last_slot(at(now), &TimeZone::UTC)),
                last,
                "last of {text}"
            );
            assert_eq!(
                found(calendar.next_slot(at(now), &TimeZone::UTC)),
                next,
                "next of {text}"
            );
        }
    }

    #[test]
    fn what_never_comes_ends_the_search() {
        let never = calendar("0 0 31 2 *");
        let now = at("2026-08-01T00:00:00Z");
        assert_eq!(never.next_slot(now, &TimeZone::UTC), None);
        assert_eq!(never.last_slot(now, &TimeZone::UTC), None);
    }

    /// All slots after `from` up to `until`, by `next_slot` and, in reverse, by `last_slot`.
    fn slots(text: &str, from: &str, until: &str) -> Vec<String> {
        let (calendar, utc) = (calendar(text), TimeZone::UTC);
        let (from, until) = (at(from), at(until));
        let next = |at: &Timestamp| calendar.next_slot(*at, &utc).filter(|slot| *slot <= until);
        let forth: Vec<_> = std::iter::successors(next(&from), next).collect();
        let second = SignedDuration::from_secs(1);
        let last = |at: Timestamp| calendar.last_slot(at, &utc).filter(|slot| *slot > from);
        let back = std::iter::successors(last(until), |slot| last(*slot - second));
        let mut back: Vec<_> = back.collect();
        back.reverse();
        assert_eq!(forth, back, "{text}");
        forth.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_slot_that_the_clock_skips_happens_once_at_the_change() {
        // On 2026-03-29 at 01:00Z Berlin's clock goes from 02:00 to 03:00.
        for text in [
            "TZ=Europe/Berlin 30 2 * * *",
            "TZ=Europe/Berlin */20 2 * * *",
        ] {
            assert_eq!(
                slots(text, "2026-03-29T00:59:59Z", "2026-03-29T12:00:00Z"),
                ["2026-03-29T01:00:00Z"],
            );
        }
        assert_eq!(
            slots(
                "TZ=Europe/Berlin 0 * * * *",
                "2026-03-28T23:30:00Z",
                "2026-03-29T02:00:00Z"
            ),
            [
                "2026-03-29T00:00:00Z",
                "2026-03-29T01:00:00Z",
                "2026-03-29T02:00:00Z"
            ],
        );
    }

    #[test]
    fn a_slot_that_comes_twice_happens_the_first_time() {
        // On 2026-10-25 at 01:00Z Berlin's clock goes from 03:00 back to 02:00.
        assert_eq!(
            slots(
                "TZ=Europe/Berlin 30 2 * * *",
                "2026-10-24T12:00:00Z",
                "2026-10-25T12:00:00Z"
            ),
            ["2026-10-25T00:30:00Z"],
        );
        assert_eq!(
            slots(
                "TZ=Europe/Berlin */30 * * * *",
                "2026-10-24T23:59:00Z",
                "2026-10-25T02:30:00Z"
            ),
            [
                "2026-10-25T00:00:00Z",
                "2026-10-25T00:30:00Z",
                "2026-10-25T02:00:00Z",
                "2026-10-25T02:30:00Z"
            ],
        );
    }

    #[test]
    fn a_day_that_a_zone_leaves_out_is_over_in_a_moment() {
        // Samoa went over the date line: no 2011-12-30.
        assert_eq!(
            slots(
                "TZ=Pacific/Apia 0 12 * * *",
                "2011-12-29T00:00:00Z",
                "2011-12-31T12:00:00Z"
            ),
            [
                "2011-12-29T22:00:00Z",
                "2011-12-30T10:00:00Z",
                "2011-12-30T22:00:00Z"
            ],
        );
    }
}
