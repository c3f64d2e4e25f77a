//! One field of a schedule: values, ranges and steps.

use crate::config::nearest_name;

#[derive(Clone, Copy)]
pub(super) enum CronFieldKind {
    Second,
    Minute,
    Hour,
    DayOfMonth,
    Month,
    DayOfWeek,
}

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl CronFieldKind {
    fn display_name(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::DayOfMonth => "day of month",
            Self::Month => "month",
            Self::DayOfWeek => "day of week",
        }
    }

    /// The smallest and the largest value.
    fn value_bounds(self) -> (u64, u64) {
        match self {
            Self::Second | Self::Minute => (0, 59),
            Self::Hour => (0, 23),
            Self::DayOfMonth => (1, 31),
            Self::Month => (1, 12),
            Self::DayOfWeek => (0, 6),
        }
    }

    /// The names of values, from the smallest value on.
    fn value_names(self) -> &'static [&'static str] {
        match self {
            Self::Month => &MONTHS,
            Self::DayOfWeek => &WEEKDAYS,
            _ => &[],
        }
    }
}

/// Parses a field: its values, bit n for the value n, and whether it has `*` without a step.
pub(super) fn parse_field(text: &str, kind: CronFieldKind) -> Result<(u64, bool), String> {
    let (mut values, mut star) = (0, false);
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (more, is_star) = parse_range(part, kind)
            .map_err(|error| format!("the {} {text:?}: {error}", kind.display_name()))?;
        values |= more;
        star |= is_star;
    }
    Ok((values, star))
}

/// Parses `5`, `1-5`, `*` or `?`, with or without a step; `5/10` goes on to the largest value.
fn parse_range(text: &str, kind: CronFieldKind) -> Result<(u64, bool), String> {
    let (smallest, largest) = kind.value_bounds();
    let (span, step) = match text.split_once('/') {
        Some((_, step)) if step.contains('/') => return Err("a step has one '/'".into()),
        Some((span, step)) => (span, Some(parse_int(step)?)),
        None => (text, None),
    };
    let (first, last) = match span.split_once('-') {
        Some((first, last)) => (first, Some(last)),
        None => (span, None),
    };
    let star = first == "*" || first == "?";
    let (start, end) = match last {
        _ if star => (smallest, largest),
        None => {
            let start = parse_int_or_name(first, kind)?;
            (start, if step.is_some() { largest } else { start })
        }
        Some(last) if last.contains('-') => return Err("a range has one '-'".into()),
        Some(last) => (
            parse_int_or_name(first, kind)?,
            parse_int_or_name(last, kind)?,
        ),
    };
    let expected = match kind {
        CronFieldKind::DayOfWeek => format!("expected {smallest} to {largest} (0 is Sunday)"),
        _ => format!("expected {smallest} to {largest}"),
    };
    if start < smallest {
        return Err(format!("{start} is too small, {expected}"));
    }
    if let Some(large) = [start, end].into_iter().find(|value| *value > largest) {
        return Err(format!("{large} is too large, {expected}"));
    }
    if start > end {
        return Err("the range ends before it begins".into());
    }
    let step = step.unwrap_or(1);
    if step == 0 {
        return Err("a step is at least 1".into());
    }
    let values = (start..=end)
        .filter(|value| (value - start).is_multiple_of(step))
        .fold(0, |values, value| values | 1 << value);
    Ok((values, star && step == 1))
}

fn parse_int_or_name(text: &str, kind: CronFieldKind) -> Result<u64, String> {
    let names = kind.value_names();
    let lower = text.to_lowercase();
    if let Some(index) = names.iter().position(|name| *name == lower) {
        return Ok(kind.value_bounds().0 + index as u64);
    }
    parse_int(text).map_err(|error| match nearest_name(text, names.iter().copied()) {
        Some(name) => format!("{error}; did you mean {name:?}?"),
        None => error,
    })
}

fn parse_int(text: &str) -> Result<u64, String> {
    match text.parse::<i64>() {
        Ok(number) => u64::try_from(number).map_err(|_| format!("{text} is negative")),
        Err(_) => Err(format!("{text:?} is no number")),
    }
}
