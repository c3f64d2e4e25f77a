//! The part of an object that a `GET` asks for.

use std::ops::Range;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ByteRange {
    All,
    Part(Range<u64>),
    /// The range contains no byte of the object.
    Unsatisfiable,
}

/// Parses `Range: bytes=…`. Several ranges at once and a malformed header mean the whole object, as
/// HTTP allows.
pub(crate) fn parse_range(header: Option<&str>, size: u64) -> ByteRange {
    let spec = header
        .and_then(|header| header.strip_prefix("bytes="))
        .and_then(|spec| spec.split_once('-'));
    let Some((first, last)) = spec.filter(|(_, last)| !last.contains(',')) else {
        return ByteRange::All;
    };
    let range = match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(size),
        (Ok(first), Err(_)) if last.trim().is_empty() => first..size,
        (Err(_), Ok(length)) if first.trim().is_empty() => size.saturating_sub(length)..size,
        _ => return ByteRange::All,
    };
    if range.start >= range.end {
        ByteRange::Unsatisfiable
    } else {
        ByteRange::Part(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_ranges_as_http_means_them() {
        for (header, expected) in [
            (None, ByteRange::All),
            (Some("bytes=0-3"), ByteRange::Part(0..4)),
            (Some("bytes=5-"), ByteRange::Part(5..10)),
            (Some("bytes=-3"), ByteRange::Part(7..10)),
            (Some("bytes=-30"), ByteRange::Part(0..10)),
            (Some("bytes=8-99"), ByteRange::Part(8..10)),
            (Some("bytes=10-"), ByteRange::Unsatisfiable),
            (Some("bytes=-0"), ByteRange::Unsatisfiable),
            (Some("bytes=3-1"), ByteRange::All),
            (Some("bytes=0-1,4-5"), ByteRange::All),
            (Some("lines=0-1"), ByteRange::All),
            (Some("bytes=x-y"), ByteRange::All),
            (Some("bytes=-"), ByteRange::All),
        ] {
            assert_eq!(parse_range(header, 10), expected, "{header:?}");
        }
        assert_eq!(parse_range(Some("bytes=-5"), 0), ByteRange::Unsatisfiable);
    }
}
