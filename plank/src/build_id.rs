//! Build ids as Prow makes them: Twitter's snowflake, so that a later build has the greater
//! number. Job histories sort by it. With `--tot-url` they are [`Tot`]'s.

mod tot;

use std::sync::Mutex;

pub use tot::Tot;

use jiff::Timestamp;

/// Milliseconds from the Unix epoch to the snowflake's own.
const EPOCH: i64 = 1_288_834_974_657;
const NODE_BITS: u32 = 10;
const SEQUENCE_BITS: u32 = 12;

/// The node number Prow uses, and we: one leader at a time makes ids.
pub const NODE: u16 = 1;

/// Makes ids that strictly rise within this process, even when the clock steps back.
#[derive(Debug)]
pub struct BuildIds {
    node: u64,
    /// Milliseconds and sequence of the last id, as one number.
    last: Mutex<u64>,
}

impl BuildIds {
    /// Only the lowest ten bits of `node` count.
    pub fn new(node: u16) -> Self {
        Self {
            node: u64::from(node) & ((1 << NODE_BITS) - 1),
            last: Mutex::new(0),
        }
    }

    /// The next id, about 19 decimal digits.
    pub fn next(&self, now: Timestamp) -> String {
        let millis = u64::try_from(now.as_millisecond() - EPOCH).unwrap_or(0);
        let mut last = self.last.lock().expect("nothing panics under this lock");
        *last = (millis << SEQUENCE_BITS).max(*last + 1);
        let (millis, sequence) = (*last >> SEQUENCE_BITS, *last & ((1 << SEQUENCE_BITS) - 1));
        (millis << (NODE_BITS + SEQUENCE_BITS) | self.node << SEQUENCE_BITS | sequence).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_prows_number_for_the_moment() {
        let now = Timestamp::from_millisecond(EPOCH + 5).unwrap();
        let ids = BuildIds::new(NODE);
        assert_eq!(ids.next(now), ((5 << 22) | (1 << 12)).to_string());
        assert_eq!(ids.next(now), ((5 << 22) | (1 << 12) | 1).to_string());
    }

    #[test]
    fn rises_through_a_burst_and_a_clock_that_steps_back() {
        let ids = BuildIds::new(NODE);
        let later = Timestamp::from_millisecond(EPOCH + 1_000_000).unwrap();
        let earlier = Timestamp::from_millisecond(EPOCH + 10).unwrap();
        let made: Vec<u64> = (0..10_000)
            .map(|i| if i < 5_000 { later } else { earlier })
            .map(|now| ids.next(now).parse().unwrap())
            .collect();
        assert!(made.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
