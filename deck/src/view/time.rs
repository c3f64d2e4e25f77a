//! Times and durations in words. `static/time.js` does the same while a page is open.

use jiff::Timestamp;

/// `2026-11-22 22:55:07 UTC`
pub(crate) fn format_absolute(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// `22:55 UTC`, with the date if it is another day.
pub(crate) fn format_clock(time: Timestamp, now: Timestamp) -> String {
    let day = |time: Timestamp| time.strftime("%Y-%m-%d").to_string();
    let form = if day(time) == day(now) {
        "%H:%M UTC"
    } else {
        "%Y-%m-%d %H:%M UTC"
    };
    time.strftime(form).to_string()
}

/// `3 min ago`; the date after a month.
pub(crate) fn format_relative(time: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second() - time.as_second();
    match seconds {
        ..10 => "just now".to_owned(),
        10..60 => format!("{seconds} s ago"),
        60..3600 => format!("{} min ago", seconds / 60),
        3600..86_400 => format!("{} h ago", seconds / 3600),
        86_400..2_592_000 => format!("{} d ago", seconds / 86_400),
        _ => time.strftime("%Y-%m-%d").to_string(),
    }
}

/// `42 s`, `3 min 05 s`, `1 h 02 min`, `2 d 03 h`.
pub(crate) fn format_duration(from: Timestamp, to: Timestamp) -> String {
    let seconds = (to.as_second() - from.as_second()).max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3600 => format!("{minutes} min {:02} s", seconds % 60),
        3600..86_400 => format!("{hours} h {:02} min", minutes % 60),
        _ => format!("{days} d {:02} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn words_for_times() {
        let now = 1_800_000_000;
        for (ago, said, took) in [
            (-5, "just now", "0 s"),
            (42, "42 s ago", "42 s"),
            (185, "3 min ago", "3 min 05 s"),
            (3725, "1 h ago", "1 h 02 min"),
            (183_600, "2 d ago", "2 d 03 h"),
            (8_640_000, "2026-10-07", "100 d 00 h"),
        ] {
            assert_eq!(format_relative(at(now - ago), at(now)), said);
            assert_eq!(format_duration(at(now - ago), at(now)), took);
        }
        assert_eq!(format_absolute(at(now)), "2027-01-15 08:00:00 UTC");
    }
}
