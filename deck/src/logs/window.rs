//! Both ends of a log of any length, and where its lines are, in bounded memory.

use std::io::BufRead as _;
use std::time::Duration;

use futures::TryStreamExt;
use tokio::time::{Instant, timeout_at};

use super::LogStream;

/// Bytes that are kept of the beginning, and of the end.
pub(super) const HEAD: usize = 64 << 10;
pub(super) const TAIL: usize = 256 << 10;
/// Bytes between two marks; a mark holds the number of line ends before it.
pub(super) const MARK_BYTES: u64 = 1 << 20;
/// Maximum number of marks, so that a log that never ends takes bounded memory.
const MAX_MARKS: usize = 1 << 16;
/// The longest pause of a log that is still coming.
const MAX_SILENCE: Duration = Duration::from_secs(1);

#[derive(Clone, Debug, Default)]
pub(crate) struct LogWindow {
    pub(super) head: Vec<u8>,
    /// Everything after the head, or only the last of it.
    pub(super) tail: Vec<u8>,
    pub(crate) bytes: u64,
    /// Number of line ends; 0 if only the ends of the log were read.
    pub(super) newlines: u64,
    /// Number of line ends before the first, the second … MiB.
    marks: Vec<u64>,
    /// What is between the ends was read, too.
    pub(super) counted: bool,
}

impl LogWindow {
    /// Reads `log` to its end, or what comes of it `in_time`; while bytes keep coming, it may take
    /// `longer` beyond that. `true`: there is more that did not come in time.
    pub(crate) async fn read_log(
        mut log: LogStream,
        in_time: Instant,
        longer: Duration,
    ) -> anyhow::Result<(Self, bool)> {
        let mut window = Self::new_counting();
        let mut until = in_time;
        let late = loop {
            match timeout_at(until, log.try_next()).await {
                Ok(Ok(Some(chunk))) => window.push_chunk(&chunk),
                Ok(Ok(None)) => break false,
                Ok(Err(error)) if window.bytes == 0 => return Err(error),
                Err(late) if window.bytes == 0 => return Err(late.into()),
                Ok(Err(_)) | Err(_) => break true,
            }
            until = (Instant::now() + MAX_SILENCE).clamp(in_time, in_time + longer);
        };
        Ok((window, late))
    }

    /// For a log that is read from its first byte on.
    pub(super) fn new_counting() -> Self {
        Self {
            counted: true,
            ..Self::default()
        }
    }

    /// For a log of which only the ends were read.
    pub(super) fn of_ends(head: Vec<u8>, tail: Vec<u8>, bytes: u64) -> Self {
        Self {
            head,
            tail,
            bytes,
            ..Self::default()
        }
    }

    pub(super) fn push_chunk(&mut self, mut chunk: &[u8]) {
        while !chunk.is_empty() {
            // Up to the next mark, so that each mark is exact.
            let to_mark = MARK_BYTES - self.bytes % MARK_BYTES;
            let length = usize::try_from(to_mark).map_or(chunk.len(), |at| at.min(chunk.len()));
            let (part, rest) = chunk.split_at(length);
            self.push_part(part);
            if self.bytes.is_multiple_of(MARK_BYTES) && self.marks.len() < MAX_MARKS {
                self.marks.push(self.newlines);
            }
            chunk = rest;
        }
    }

    fn push_part(&mut self, part: &[u8]) {
        self.bytes += part.len() as u64;
        self.newlines += count_newlines(part);
        let (first, rest) = part.split_at(part.len().min(HEAD - self.head.len()));
        self.head.extend_from_slice(first);
        let rest = &rest[rest.len().saturating_sub(2 * TAIL)..];
        self.tail.extend_from_slice(rest);
        if self.tail.len() > 2 * TAIL {
            self.tail.drain(..self.tail.len() - TAIL);
        }
    }

    /// Whether the two ends are all of the log.
    pub(super) fn is_whole(&self) -> bool {
        (self.head.len() + self.tail.len()) as u64 == self.bytes
    }

    /// The last byte offset that is known not to be behind the start of `line`, and the number of
    /// line ends before it.
    pub(super) fn before_line(&self, line: u64) -> (u64, u64) {
        let known = self
            .marks
            .partition_point(|before| *before < line.saturating_sub(1));
        match known.checked_sub(1) {
            Some(at) => (known as u64 * MARK_BYTES, self.marks[at]),
            None => (0, 0),
        }
    }
}

/// Uses the C library's search, so that a GiB is fast to count in unoptimised builds, too.
pub(super) fn count_newlines(bytes: &[u8]) -> u64 {
    let (mut rest, mut found) = (bytes, 0);
    while let Ok(1..) = rest.skip_until(b'\n') {
        let end = bytes.len() - rest.len();
        found += u64::from(bytes[end - 1] == b'\n');
    }
    found
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures::{StreamExt, stream};

    use super::*;

    #[tokio::test]
    async fn what_does_not_come_is_not_waited_for() {
        let in_time = || Instant::now() + Duration::from_millis(100);
        let longer = Duration::from_secs(1);
        let hung = stream::pending().boxed();
        assert!(LogWindow::read_log(hung, in_time(), longer).await.is_err());
        let begun = stream::iter([Ok(Bytes::from_static(b"one\ntw"))]).chain(stream::pending());
        let (begun, late) = LogWindow::read_log(begun.boxed(), in_time(), longer)
            .await
            .unwrap();
        assert_eq!((begun.head.as_slice(), late), (b"one\ntw".as_slice(), true));
        let endless = stream::iter(0..).then(async |_| {
            tokio::time::sleep(Duration::from_millis(10)).await;
            Ok(Bytes::from_static(b"line\n"))
        });
        let slow = LogWindow::read_log(endless.boxed(), in_time(), longer).await;
        assert!(slow.unwrap().1, "it is read no longer than it may take");
    }

    #[test]
    fn line_ends_are_counted() {
        for (text, expected) in [("", 0), ("a", 0), ("\n", 1), ("a\nb", 1), ("\n\na\n", 3)] {
            assert_eq!(count_newlines(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn marks_lead_to_before_a_line() {
        let text: String = (1..=400_000).map(|n| format!("line {n}\n")).collect();
        let mut window = LogWindow::new_counting();
        for chunk in text.as_bytes().chunks(10_007) {
            window.push_chunk(chunk);
        }
        assert_eq!(window.newlines, 400_000);
        for line in [1, 2, 5_000, 87_381, 200_000, 399_999, 400_000] {
            let (at, before) = window.before_line(line);
            let at = usize::try_from(at).unwrap();
            assert_eq!(count_newlines(&text.as_bytes()[..at]), before);
            assert!(before < line, "{line}");
            let start = text.find(&format!("line {line}\n")).unwrap();
            assert!(start >= at && (start - at) as u64 <= MARK_BYTES, "{line}");
        }
        // A line that is longer than the distance between marks.
        let mut window = LogWindow::new_counting();
        window.push_chunk("x".repeat(3 << 20).as_bytes());
        window.push_chunk(b"\nend\n");
        assert_eq!(window.before_line(1), (0, 0));
        assert_eq!(window.before_line(2), (3 << 20, 0));
    }
}
