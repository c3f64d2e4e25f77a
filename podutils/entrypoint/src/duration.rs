//! Durations as Go writes them: nanosecond integers in JSON, `1h2m3s` in flags and messages.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A Go duration, in nanoseconds. A negative one is over at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DurationNanos {
    nanos: i64,
}

impl DurationNanos {
    pub const fn from_nanos(nanos: i64) -> Self {
        Self { nanos }
    }

    pub(crate) const fn is_zero(self) -> bool {
        self.nanos == 0
    }

    pub(crate) fn to_duration(self) -> Duration {
        Duration::from_nanos(self.nanos.max(0).unsigned_abs())
    }
}

impl From<Duration> for DurationNanos {
    fn from(duration: Duration) -> Self {
        Self::from_nanos(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
    }
}

const UNITS: [(&str, f64); 7] = [
    ("ns", 1e-9),
    ("us", 1e-6),
    ("µs", 1e-6),
    ("ms", 1e-3),
    ("s", 1.0),
    ("m", 60.0),
    ("h", 3600.0),
];

/// Parses `1h30m`, `10s`, `250ms` and `0`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("invalid duration {text:?}");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(bad)?;
        let number: f64 = rest[..end].parse().map_err(|_| bad())?;
        rest = &rest[end..];
        let end = rest
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(rest.len());
        let (_, unit) = UNITS
            .iter()
            .find(|(name, _)| *name == &rest[..end])
            .ok_or_else(bad)?;
        seconds += number * unit;
        rest = &rest[end..];
    }
    if text.is_empty() {
        return Err(bad());
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| bad())
}

/// Formats whole seconds as `2h0m0s`, and less than a second in milliseconds.
pub(crate) fn format_duration(span: DurationNanos) -> String {
    let sign = if span.nanos < 0 { "-" } else { "" };
    let duration = Duration::from_nanos(span.nanos.unsigned_abs());
    let seconds = duration.as_secs();
    let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let millis = duration.subsec_millis();
    let fraction = if millis == 0 {
        String::new()
    } else {
        format!(".{millis:03}").trim_end_matches('0').to_owned()
    };
    match (h, m, s) {
        (0, 0, 0) if millis > 0 => format!("{sign}{millis}ms"),
        (0, 0, s) => format!("{sign}{s}{fraction}s"),
        (0, m, s) => format!("{sign}{m}m{s}{fraction}s"),
        (h, m, s) => format!("{sign}{h}h{m}m{s}{fraction}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_what_go_prints() {
        for (text, millis) in [
            ("2h0m0s", 7_200_000),
            ("15s", 15_000),
            ("1.5s", 1_500),
            ("250ms", 250),
            ("1m1s", 61_000),
            ("0", 0),
        ] {
            assert_eq!(
                super::parse_duration(text),
                Ok(Duration::from_millis(millis)),
                "{text}"
            );
        }
        for text in ["", "5", "s", "5x", "-5s", "1h2"] {
            assert!(super::parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn formats_as_go_does() {
        for (millis, text) in [
            (7_200_000, "2h0m0s"),
            (15_000, "15s"),
            (1_500, "1.5s"),
            (250, "250ms"),
            (61_000, "1m1s"),
            (0, "0s"),
            (-3_600_000, "-1h0m0s"),
            (-250, "-250ms"),
        ] {
            assert_eq!(
                super::format_duration(DurationNanos::from_nanos(millis * 1_000_000)),
                text
            );
        }
    }
}
