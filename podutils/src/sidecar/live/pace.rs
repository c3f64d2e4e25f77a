//! How often pieces are written. At first a viewer sees a line within two seconds; a job that
//! never stops printing gets fewer pieces, and does not leave a million objects.

use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
/// The pieces of one hour, at one a second.
const OFTEN: u64 = 3_600;
/// The pieces of ten hours.
const MANY: u64 = 20_000;

/// How long to wait before the next piece of a log that has this many.
pub(super) fn piece_interval(pieces: u64) -> Duration {
    match pieces {
        0..OFTEN => SECOND,
        OFTEN..MANY => SECOND * 2,
        _ => SECOND * 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_of_talk_is_some_ten_thousand_pieces() {
        let day = Duration::from_hours(24);
        let (mut time, mut pieces) = (Duration::ZERO, 0);
        while time < day {
            assert!(piece_interval(pieces) >= SECOND);
            time += piece_interval(pieces);
            pieces += 1;
        }
        assert!(pieces < 30_000, "{pieces}");
    }
}
