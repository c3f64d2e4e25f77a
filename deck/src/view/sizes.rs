//! Sizes in words.

/// From this line number on, numbers need a wider column.
pub(crate) const WIDE_LINE_NUMBER: u64 = 100_000;

/// The lines and bytes of a log.
pub(crate) fn format_log_size(lines: u64, bytes: u64) -> String {
    let lines = if lines == 1 {
        "1 line".to_owned()
    } else {
        format!("{lines} lines")
    };
    format!("{lines} · {}", format_bytes(bytes))
}

pub(crate) fn format_bytes(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match UNITS.iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{:.1} {name}", bytes as f64 / *unit as f64),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_reads_it() {
        for (lines, bytes, expected) in [
            (1, 14, "1 line · 14 B"),
            (0, 0, "0 lines · 0 B"),
            (300, 1024, "300 lines · 1.0 KiB"),
            (2, 300 << 20, "2 lines · 300.0 MiB"),
            (2, 3 << 29, "2 lines · 1.5 GiB"),
        ] {
            assert_eq!(format_log_size(lines, bytes), expected);
        }
    }
}
