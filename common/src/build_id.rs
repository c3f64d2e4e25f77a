//! Build ids as Prow makes them: Twitter snowflakes, so that a later build has the greater number.
//! Job histories sort by them. They are not the numbers of tot, which counts the runs of each job.

use std::sync::Mutex;

use jiff::{SignedDuration, Timestamp};

/// Milliseconds from the Unix epoch to the snowflake epoch.
const SNOWFLAKE_EPOCH: i64 = 1_288_834_974_657;
const NODE_BITS: u32 = 10;
const SEQUENCE_BITS: u32 = 12;

/// Ids that a counter made are smaller; snowflakes, which contain a time, are greater from the
/// first day after the snowflake epoch on.
const MIN_SNOWFLAKE_ID: u64 = 1 << 48;
/// How far the clocks of two machines may differ.
const MAX_CLOCK_SKEW: SignedDuration = SignedDuration::from_hours(24);

/// The node number that Prow uses, too: only one leader at a time makes ids.
pub const SNOWFLAKE_NODE: u16 = 1;

/// Makes ids that strictly increase within this process, even when the clock steps back.
#[derive(Debug)]
pub struct BuildIdGenerator {
    node: u64,
    /// Milliseconds and sequence of the last id, as one number.
    last: Mutex<u64>,
}

impl BuildIdGenerator {
    /// Only the lowest ten bits of `node` count.
    pub fn new(node: u16) -> Self {
        Self {
            node: u64::from(node) & ((1 << NODE_BITS) - 1),
            last: Mutex::new(0),
        }
    }

    /// The next id, about 19 decimal digits.
    pub fn next_build_id(&self, now: Timestamp) -> String {
        let millis = u64::try_from(now.as_millisecond() - SNOWFLAKE_EPOCH).unwrap_or(0);
        let mut last = self.last.lock().expect("nothing panics under this lock");
        *last = (millis << SEQUENCE_BITS).max(*last + 1);
        let (millis, sequence) = (*last >> SEQUENCE_BITS, *last & ((1 << SEQUENCE_BITS) - 1));
        (millis << (NODE_BITS + SEQUENCE_BITS) | self.node << SEQUENCE_BITS | sequence).to_string()
    }
}

/// Whether the build `recorded` as a job's latest is newer than `ours`. Only two snowflakes or two
/// counters compare. A snowflake of the future is ignored: it would stay the latest for ever.
#[must_use]
pub fn is_newer_build(recorded: &str, ours: &str, now: Timestamp) -> bool {
    let (Ok(recorded), Ok(ours)) = (recorded.trim().parse::<u64>(), ours.parse::<u64>()) else {
        return false;
    };
    let is_time = |id| id >= MIN_SNOWFLAKE_ID;
    is_time(recorded) == is_time(ours)
        && recorded > ours
        && (!is_time(recorded)
            || recorded <= last_build_id_at(now.saturating_add(MAX_CLOCK_SKEW).unwrap_or(now)))
}

/// The greatest id that can be made up to `time`.
fn last_build_id_at(time: Timestamp) -> u64 {
    let next = u64::try_from(time.as_millisecond() + 1 - SNOWFLAKE_EPOCH).unwrap_or(0);
    next.saturating_mul(1 << (NODE_BITS + SEQUENCE_BITS))
        .saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-29.
    const NOW: i64 = 1_795_953_600;

    #[test]
    fn newer_is_the_greater_number_that_can_be() {
        let now = Timestamp::from_second(NOW).unwrap();
        let time = |second| {
            BuildIdGenerator::new(SNOWFLAKE_NODE)
                .next_build_id(Timestamp::from_second(second).unwrap())
        };
        let (past, soon) = (time(NOW - 9), time(NOW + 9));
        let later = time(NOW + 2 * 24 * 3600);
        for (recorded, ours, expected) in [
            ("10", "9", true),
            ("9", "10", false),
            ("7\n", "7", false),
            ("abc", "7", false),
            ("8", "abc", false),
            ("", "1", false),
            (&soon, &past, true),
            (&past, &soon, false),
            // An id that no build can have would stay the latest for ever if it counted.
            (&later, &past, false),
            ("9223372036854775807", &past, false),
            ("99999999999999999999999", &past, false),
            // Ids of different kinds do not compare: a snowflake and a counter.
            (&past, "3", false),
            ("3", &past, false),
        ] {
            assert_eq!(
                is_newer_build(recorded, ours, now),
                expected,
                "{recorded} {ours}"
            );
        }
    }

    /// A machine whose clock was never set, and one at the end of time.
    #[test]
    fn a_clock_that_is_wrong_is_no_obstacle() {
        let build = "2127000000000000000";
        for (now, expected) in [(Timestamp::UNIX_EPOCH, false), (Timestamp::MAX, true)] {
            assert_eq!(is_newer_build(build, "2126000000000000000", now), expected);
        }
    }

    #[test]
    fn is_prows_number_for_the_moment() {
        let now = Timestamp::from_millisecond(SNOWFLAKE_EPOCH + 5).unwrap();
        let ids = BuildIdGenerator::new(SNOWFLAKE_NODE);
        assert_eq!(ids.next_build_id(now), ((5 << 22) | (1 << 12)).to_string());
        assert_eq!(
            ids.next_build_id(now),
            ((5 << 22) | (1 << 12) | 1).to_string()
        );
    }

    #[test]
    fn rises_through_a_burst_and_a_clock_that_steps_back() {
        let ids = BuildIdGenerator::new(SNOWFLAKE_NODE);
        let later = Timestamp::from_millisecond(SNOWFLAKE_EPOCH + 1_000_000).unwrap();
        let earlier = Timestamp::from_millisecond(SNOWFLAKE_EPOCH + 10).unwrap();
        let made: Vec<u64> = (0..10_000)
            .map(|i| if i < 5_000 { later } else { earlier })
            .map(|now| ids.next_build_id(now).parse().unwrap())
            .collect();
        assert!(made.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
