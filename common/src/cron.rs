//! When a periodic runs: schedules of robfig/cron v3 as Prow parses them.
//!
//! Five fields (minute, hour, day of month, month, day of week), six with seconds first, or a
//! word like `@daily` or `@every 1h30m`; before it `TZ=Area/City ` or `CRON_TZ=Area/City `.
//! Fields are parsed into sets of values; [`CronCalendar::next_slot`] and
//! [`CronCalendar::last_slot`] compute the times.

mod field;
mod slots;

use std::str::FromStr;

use jiff::tz::TimeZone;

use crate::duration::GoDuration;
use field::CronFieldKind;

/// When something is due.
#[derive(Clone, Debug, PartialEq)]
pub enum CronSchedule {
    /// At a constant interval of whole seconds, at least one.
    Every(GoDuration),
    Calendar(Box<CronCalendar>),
}

/// The times whose parts are in all of these sets: bit n stands for the value n.
#[derive(Clone, Debug, PartialEq)]
pub struct CronCalendar {
    pub seconds: u64,
    pub minutes: u64,
    pub hours: u64,
    pub days_of_month: u64,
    pub months: u64,
    /// Sunday is 0.
    pub days_of_week: u64,
    /// Days of month and of week must both match; otherwise one of them is enough.
    pub both_days: bool,
    /// `None` is the machine's own time zone.
    pub zone: Option<TimeZone>,
}

/// Why a text is no schedule: what was found and what was expected.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct CronParseError(String);

impl FromStr for CronSchedule {
    type Err = CronParseError;

    fn from_str(text: &str) -> Result<Self, CronParseError> {
        parse_schedule(text).map_err(CronParseError)
    }
}

fn parse_schedule(text: &str) -> Result<CronSchedule, String> {
    let (zone, text) = split_time_zone(text)?;
    if text.starts_with('@') {
        return parse_descriptor(text, zone);
    }
    let fields: Vec<&str> = text.split_whitespace().collect();
    let (second, rest) = match fields.as_slice() {
        [_, _, _, _, _] => ("0", fields.as_slice()),
        [second, rest @ ..] if rest.len() == 5 => (*second, rest),
        _ => {
            return Err(format!(
                "found {}, expected five fields (minute, hour, day of month, month, day of \
                 week), six with seconds first, or a word like @daily or @every 1h",
                match fields.len() {
                    1 => format!("{text:?}"),
                    count => format!("{count} fields"),
                }
            ));
        }
    };
    let (days_of_month, any_day) = field::parse_field(rest[2], CronFieldKind::DayOfMonth)?;
    let (days_of_week, any_weekday) = field::parse_field(rest[4], CronFieldKind::DayOfWeek)?;
    Ok(CronSchedule::Calendar(Box::new(CronCalendar {
        seconds: field::parse_field(second, CronFieldKind::Second)?.0,
        minutes: field::parse_field(rest[0], CronFieldKind::Minute)?.0,
        hours: field::parse_field(rest[1], CronFieldKind::Hour)?.0,
        days_of_month,
        months: field::parse_field(rest[3], CronFieldKind::Month)?.0,
        days_of_week,
        both_days: any_day || any_weekday,
        zone,
    })))
}

/// The time zone before the schedule, and the schedule.
fn split_time_zone(text: &str) -> Result<(Option<TimeZone>, &str), String> {
    let Some(after) = ["TZ=", "CRON_TZ="]
        .iter()
        .find_map(|prefix| text.strip_prefix(prefix))
    else {
        return Ok((None, text));
    };
    let Some((name, rest)) = after.split_once(' ') else {
        return Err(format!(
            "found {text:?}, expected a schedule after the time zone"
        ));
    };
    let zone = match name {
        "" | "UTC" => Ok(TimeZone::UTC),
        name => TimeZone::get(name),
    };
    match zone {
        Ok(zone) => Ok((Some(zone), rest.trim())),
        Err(_) => Err(format!(
            "the time zone {name:?} is not known; expected one like Europe/Berlin"
        )),
    }
}

fn parse_descriptor(text: &str, zone: Option<TimeZone>) -> Result<CronSchedule, String> {
    if let Some(duration) = text.strip_prefix("@every ") {
        let duration: GoDuration = duration
            .parse()
            .map_err(|error| format!("@every: {error}"))?;
        return Ok(CronSchedule::Every(GoDuration::from_secs(
            duration.as_secs().max(1),
        )));
    }
    let fields = match text {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        _ => {
            return Err(format!(
                "found {text:?}, expected @yearly, @annually, @monthly, @weekly, @daily, \
                 @midnight, @hourly or @every with a duration, as in @every 1h30m"
            ));
        }
    };
    let mut schedule = parse_schedule(fields)?;
    if let CronSchedule::Calendar(calendar) = &mut schedule {
        calendar.zone = zone;
    }
    Ok(schedule)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// What robfig/cron 3.0.1 answers: `[text]` if it refuses, `[text, seconds]` for `@every`, or
    /// the sets, whether day of month and of week are stars, and the zone. The file has every
    /// schedule of prow.k8s.io.
    const ROBFIG: &str = include_str!("cron/robfig.jsonl");

    #[test]
    fn schedules_are_what_robfig_reads() {
        for line in ROBFIG.lines() {
            let row: Vec<Value> = serde_json::from_str(line).unwrap();
            let text = row[0].as_str().unwrap();
            let expected = match row.len() {
                10 => {
                    let both = row[7] == json!(true) || row[8] == json!(true);
                    json!([row[1], row[2], row[3], row[4], row[5], row[6], both, row[9]])
                }
                _ => row.get(1).cloned().unwrap_or_default(),
            };
            let found = match text.parse() {
                Ok(CronSchedule::Every(delay)) => json!(delay.as_secs()),
                Ok(CronSchedule::Calendar(c)) => json!([
                    c.seconds,
                    c.minutes,
                    c.hours,
                    c.days_of_month,
                    c.months,
                    c.days_of_week,
                    c.both_days,
                    c.zone.map_or_else(
                        || "Local".to_owned(),
                        |zone| zone.iana_name().unwrap_or("UTC").to_owned()
                    ),
                ]),
                Err(_) => Value::Null,
            };
            assert_eq!(found, expected, "{text:?}");
        }
    }

    #[test]
    fn a_mistake_names_its_field() {
        for (text, message) in [
            (
                "0 25 * * *",
                r#"the hour "25": 25 is too large, expected 0 to 23"#,
            ),
            (
                "0 0 0 * *",
                r#"the day of month "0": 0 is too small, expected 1 to 31"#,
            ),
            (
                "0 0 * * 7",
                r#"the day of week "7": 7 is too large, expected 0 to 6 (0 is Sunday)"#,
            ),
            (
                "0 0 * * mo",
                r#"the day of week "mo": "mo" is no number; did you mean "mon"?"#,
            ),
            (
                "0 0 * * fri-sun",
                r#"the day of week "fri-sun": the range ends before it begins"#,
            ),
            ("*/0 * * * *", r#"the minute "*/0": a step is at least 1"#),
            (
                "1-2-3 * * * *",
                r#"the minute "1-2-3": a range has one '-'"#,
            ),
            ("1/2/3 * * * *", r#"the minute "1/2/3": a step has one '/'"#),
            (
                "* * *",
                "found 3 fields, expected five fields (minute, hour, day of month, month, day \
                 of week), six with seconds first, or a word like @daily or @every 1h",
            ),
            (
                "@dayly",
                "found \"@dayly\", expected @yearly, @annually, @monthly, @weekly, @daily, \
                 @midnight, @hourly or @every with a duration, as in @every 1h30m",
            ),
            (
                "@every day",
                "@every: \"day\" is not a duration: expected numbers with units, as in 300ms, \
                 1h30m or 10s",
            ),
            (
                "TZ=Nowhere 0 0 * * *",
                "the time zone \"Nowhere\" is not known; expected one like Europe/Berlin",
            ),
            (
                "TZ=UTC",
                "found \"TZ=UTC\", expected a schedule after the time zone",
            ),
        ] {
            let error = text.parse::<CronSchedule>().unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }
}
