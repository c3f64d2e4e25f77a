//! Finds where a log that is read again continues: its file may have been rotated since.
//!
//! The kubelet reads the newest file alone. It says neither that there was another nor at which
//! byte this one begins. So the end of what was delivered is searched for in what is read now.

use std::collections::VecDeque;

/// Bytes that are remembered: more than a few lines, less than a file at its rotation.
const REMEMBERED_BYTES: usize = 16 << 10;

/// The end of what was delivered to a reader, and the number of all bytes delivered.
#[derive(Clone, Debug, Default)]
pub(super) struct DeliveredTail {
    bytes: VecDeque<u8>,
    total: u64,
}

impl DeliveredTail {
    pub(super) fn push_chunk(&mut self, chunk: &[u8]) {
        self.total += chunk.len() as u64;
        let chunk = &chunk[chunk.len().saturating_sub(REMEMBERED_BYTES)..];
        let over = (self.bytes.len() + chunk.len()).saturating_sub(REMEMBERED_BYTES);
        self.bytes.drain(..over);
        self.bytes.extend(chunk);
    }

    /// Number of all bytes that were delivered.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// The last of the delivered bytes.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.bytes.iter().copied().collect()
    }
}

/// Reads a log from its first byte on and finds how much of it was already delivered.
#[derive(Debug)]
pub(super) struct LogOverlap {
    end: Vec<u8>,
    total: u64,
    whole: KmpSearch,
    /// The first bytes of the log, as many as `end` has.
    head: Vec<u8>,
    read: u64,
    /// `end` was found at its old position: it is the same file.
    same: bool,
    /// The position where `end` was found first.
    found: Option<u64>,
}

impl LogOverlap {
    pub(super) fn new(delivered: &DeliveredTail) -> Self {
        let end = delivered.bytes();
        Self {
            whole: KmpSearch::new(&end),
            total: delivered.total,
            head: Vec::new(),
            read: 0,
            same: end.is_empty(),
            found: None,
            end,
        }
    }

    pub(super) fn push_chunk(&mut self, chunk: &[u8]) {
        let missing = self.end.len() - self.head.len();
        self.head
            .extend_from_slice(&chunk[..missing.min(chunk.len())]);
        for &byte in chunk {
            self.read += 1;
            if !self.end.is_empty() && self.whole.step_byte(byte) {
                self.same |= self.read == self.total;
                self.found.get_or_insert(self.read);
            }
        }
    }

    /// Number of bytes of this log that were already delivered. Of a rotated log they are whole
    /// lines at its beginning, since such a file begins with a line.
    pub(super) fn delivered_bytes(self) -> u64 {
        if self.same {
            return self.total;
        }
        // If `end` is all that was delivered, it is at the beginning of its file or nowhere.
        let all = self.total == self.end.len() as u64;
        if let Some(found) = self.found.filter(|_| !all) {
            return found;
        }
        let mut search = KmpSearch::new(&self.head);
        for &byte in &self.end {
            search.step_byte(byte);
        }
        let lengths = std::iter::successors(Some(search.state), |length| {
            search.shorter.get(length.checked_sub(1)?).copied()
        });
        let whole_lines = |length: &usize| {
            let before = self.end.len() - length;
            before == 0 || self.end[before - 1] == b'\n'
        };
        let length = lengths.take_while(|length| *length > 0).find(whole_lines);
        length.unwrap_or(0) as u64
    }
}

/// Knuth, Morris and Pratt: each byte is read once, wherever a stream is split.
#[derive(Debug)]
struct KmpSearch {
    pattern: Vec<u8>,
    /// For each length of a match, the longest shorter match that it ends with.
    shorter: Vec<usize>,
    /// Number of bytes of the pattern that match now.
    state: usize,
}

impl KmpSearch {
    fn new(pattern: &[u8]) -> Self {
        let mut shorter = vec![0; pattern.len()];
        let mut state = 0;
        for at in 1..pattern.len() {
            while state > 0 && pattern[state] != pattern[at] {
                state = shorter[state - 1];
            }
            if pattern[state] == pattern[at] {
                state += 1;
            }
            shorter[at] = state;
        }
        Self {
            pattern: pattern.to_vec(),
            shorter,
            state: 0,
        }
    }

    /// Whether a match of the whole pattern ends here.
    fn step_byte(&mut self, byte: u8) -> bool {
        while self.state > 0 && self.pattern.get(self.state) != Some(&byte) {
            self.state = self.shorter[self.state - 1];
        }
        if self.pattern.get(self.state) == Some(&byte) {
            self.state += 1;
        }
        self.state == self.pattern.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn delivered(text: &str, now: &str) -> u64 {
        let mut end = DeliveredTail::default();
        end.push_chunk(text.as_bytes());
        let mut overlap = LogOverlap::new(&end);
        for chunk in now.as_bytes().chunks(7) {
            overlap.push_chunk(chunk);
        }
        overlap.delivered_bytes()
    }

    /// `count` different lines, from number `first` on.
    fn lines(first: usize, count: usize) -> String {
        (first..first + count)
            .map(|number| format!("line number {number}\n"))
            .collect()
    }

    #[test]
    fn a_log_goes_on_where_it_was() {
        let (long, longer) = (lines(0, 3000), lines(0, 4000));
        let rotated = lines(2500, 1500);
        let within = lines(2500, 500).len() as u64;
        let short = lines(0, 10);
        for (what, text, now, expected) in [
            ("nothing was read", "", "one\n", 0),
            ("the same", &*short, &*short, short.len() as u64),
            ("it has grown", &long, &longer, long.len() as u64),
            ("a line has grown", "one\ntw", "one\ntwo\n", 6),
            ("another file", &long, &lines(5000, 10), 0),
            ("a shorter one", &short, "new\n", 0),
            ("an empty one", &short, "", 0),
            ("a file that was read in part", &long, &rotated, within),
            (
                "its first lines were read",
                &long,
                &lines(2999, 5),
                lines(2999, 1).len() as u64,
            ),
            ("half a line is no line", "one\ntwo", "o\n", 0),
            (
                "what was read in whole is not looked for within",
                "a\n",
                "b\na\n",
                0,
            ),
        ] {
            assert_eq!(delivered(text, now), expected, "{what}");
        }
    }

    proptest! {
        #[test]
        fn of_a_log_that_has_grown_nothing_comes_twice(text in "[ab\n]{0,40}", more in "[ab\n]{0,40}") {
            prop_assert_eq!(delivered(&text, &format!("{text}{more}")), text.len() as u64);
        }

        #[test]
        fn never_more_than_there_is(text in "[ab\n]{0,40}", now in "[ab\n]{0,40}") {
            prop_assert!(delivered(&text, &now) <= now.len() as u64);
        }
    }
}
