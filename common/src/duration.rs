//! Durations as Go writes them (`1h30m`, `2h0m0s`), the form of every duration in Prow's
//! configuration and CRD.
//!
//! Parses a Go duration string or an integer of nanoseconds; writes the string form of Go's
//! `time.Duration.String()`.

use std::{fmt, str::FromStr, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A signed span of nanoseconds, as Go's `time.Duration`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoDuration(i64);

const NANOS_PER_SECOND: i64 = 1_000_000_000;

impl GoDuration {
    pub const fn from_secs(seconds: i64) -> Self {
        Self(seconds * NANOS_PER_SECOND)
    }

    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Whole seconds, truncated towards zero.
    pub const fn as_secs(self) -> i64 {
        self.0 / NANOS_PER_SECOND
    }

    /// As a `std` duration; a negative span is zero.
    pub fn to_std(self) -> Duration {
        Duration::from_nanos(self.0.max(0).unsigned_abs())
    }
}

/// Why a text is no Go duration.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not a duration: expected numbers with units, as in 300ms, 1h30m or 10s")]
pub struct DurationParseError(String);

impl FromStr for GoDuration {
    type Err = DurationParseError;

    fn from_str(text: &str) -> Result<Self, DurationParseError> {
        parse_go_duration(text)
            .map(Self)
            .ok_or_else(|| DurationParseError(text.chars().take(64).collect()))
    }
}

fn parse_go_duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let unit_end = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, next) = tail.split_at(unit_end);
        total = total.checked_add(parse_term(number, unit_nanos(unit)?)?)?;
        rest = next;
    }
    i64::try_from(if negative { -total } else { total }).ok()
}

/// `number` times `unit` in nanoseconds; digits past the nanosecond are truncated, as in Go.
fn parse_term(number: &str, unit: i64) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole: i128 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let mut nanos = whole.checked_mul(i128::from(unit))?;
    let mut scale = i128::from(unit);
    for digit in fraction.bytes() {
        if !digit.is_ascii_digit() {
            return None;
        }
        scale /= 10;
        nanos += i128::from(digit - b'0') * scale;
    }
    Some(nanos)
}

fn unit_nanos(unit: &str) -> Option<i64> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => NANOS_PER_SECOND,
        "m" => 60 * NANOS_PER_SECOND,
        "h" => 3600 * NANOS_PER_SECOND,
        _ => return None,
    })
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.unsigned_abs();
        if self.0 < 0 {
            f.write_str("-")?;
        }
        let below_a_second = |f: &mut fmt::Formatter<'_>, unit: u64, name: &str| {
            write!(
                f,
                "{}{name}",
                format_decimal(nanos / unit, nanos % unit, unit)
            )
        };
        match nanos {
            0 => f.write_str("0s"),
            1..1_000 => write!(f, "{nanos}ns"),
            1_000..1_000_000 => below_a_second(f, 1_000, "µs"),
            1_000_000..1_000_000_000 => below_a_second(f, 1_000_000, "ms"),
            _ => {
                let second = NANOS_PER_SECOND.unsigned_abs();
                let (hours, minutes) = (nanos / second / 3600, nanos / second / 60 % 60);
                if hours > 0 {
                    write!(f, "{hours}h")?;
                }
                if hours > 0 || minutes > 0 {
                    write!(f, "{minutes}m")?;
                }
                write!(
                    f,
                    "{}s",
                    format_decimal(nanos / second % 60, nanos % second, second)
                )
            }
        }
    }
}

/// `whole.fraction` without trailing zeros; `fraction` counts parts of `unit`, a power of ten.
fn format_decimal(whole: u64, fraction: u64, unit: u64) -> String {
    if fraction == 0 {
        return whole.to_string();
    }
    let width = unit.ilog10() as usize;
    let digits = format!("{fraction:0width$}");
    format!("{whole}.{}", digits.trim_end_matches('0'))
}

impl Serialize for GoDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct GoDurationVisitor;
        impl de::Visitor<'_> for GoDurationVisitor {
            type Value = GoDuration;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as 1h30m, or nanoseconds")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<GoDuration, E> {
                text.parse().map_err(E::custom)
            }
            fn visit_i64<E: de::Error>(self, nanos: i64) -> Result<GoDuration, E> {
                Ok(GoDuration(nanos))
            }
            fn visit_u64<E: de::Error>(self, nanos: u64) -> Result<GoDuration, E> {
                i64::try_from(nanos).map(GoDuration).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(GoDurationVisitor)
    }
}

impl JsonSchema for GoDuration {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_as_go_does() {
        for (text, nanos, written) in [
            ("0", 0, "0s"),
            ("15s", 15 * NANOS_PER_SECOND, "15s"),
            ("2h", 7200 * NANOS_PER_SECOND, "2h0m0s"),
            ("1h30m", 5400 * NANOS_PER_SECOND, "1h30m0s"),
            ("90m", 5400 * NANOS_PER_SECOND, "1h30m0s"),
            ("1.5s", 1_500_000_000, "1.5s"),
            (".5s", 500_000_000, "500ms"),
            ("1m1ms", 60_001_000_000, "1m0.001s"),
            ("1500us", 1_500_000, "1.5ms"),
            ("-3m", -180 * NANOS_PER_SECOND, "-3m0s"),
            ("7ns", 7, "7ns"),
        ] {
            let parsed: GoDuration = text.parse().unwrap();
            assert_eq!(parsed.as_nanos(), nanos, "{text}");
            assert_eq!(parsed.to_string(), written, "{text}");
        }
    }

    #[test]
    fn refuses_what_go_refuses() {
        for text in [
            "",
            "3",
            "s",
            ".s",
            "1x",
            "-",
            "1h-3m",
            "9999999999h",
            "1.2.3s",
            " 1s",
        ] {
            assert!(text.parse::<GoDuration>().is_err(), "{text}");
        }
    }

    #[test]
    fn json_takes_nanoseconds_too() {
        assert_eq!(
            serde_json::from_str::<GoDuration>("5000000000").unwrap(),
            GoDuration::from_secs(5)
        );
        assert_eq!(
            serde_json::to_string(&GoDuration::from_secs(7200)).unwrap(),
            "\"2h0m0s\""
        );
    }
}
