//! When each part of a log was written. The times are in a second file, so that the log itself
//! stays what the container printed.
//!
//! A record says when the bytes from an offset on were written, up to the next record. The pod
//! runner writes the record before the bytes, so whoever reads a byte finds its time.

use std::io;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};

/// An offset and microseconds since 1970, each eight bytes in little-endian order.
const RECORD_BYTES: usize = 16;
/// The least time between two records of a new log.
const MIN_RECORD_INTERVAL: SignedDuration = SignedDuration::from_millis(10);
/// After so many records the time between two doubles. So the file stays small however long a log
/// is written.
const DOUBLES_AFTER: u32 = 1 << 16;

/// Decides which writes to a log get a record.
#[derive(Debug, Default)]
pub(crate) struct LogTimeRecorder {
    records: u32,
    last: Option<Timestamp>,
}

impl LogTimeRecorder {
    /// The record for what is written now from `offset` on. `None` if the last record is recent.
    pub(crate) fn next_record(
        &mut self,
        offset: u64,
        now: Timestamp,
    ) -> Option<[u8; RECORD_BYTES]> {
        let pause = MIN_RECORD_INTERVAL * 2_i32.saturating_pow(self.records / DOUBLES_AFTER);
        if self
            .last
            .is_some_and(|last| now.duration_since(last) < pause)
        {
            return None;
        }
        self.last = Some(now);
        self.records += 1;
        let mut record = [0; RECORD_BYTES];
        record[..8].copy_from_slice(&offset.to_le_bytes());
        record[8..].copy_from_slice(&now.as_microsecond().to_le_bytes());
        Some(record)
    }
}

/// The records of a log.
#[derive(Debug, Default)]
pub(super) struct LogTimes(Vec<(u64, Timestamp)>);

impl LogTimes {
    /// Reads the records at `path`. If there are none, all of the log was written at `otherwise`.
    pub(super) async fn read_records(path: &Path, otherwise: Timestamp) -> io::Result<Self> {
        let bytes = match tokio::fs::read(path).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            bytes => bytes?,
        };
        let mut records: Vec<_> = bytes
            .chunks_exact(RECORD_BYTES)
            .filter_map(parse_record)
            .collect();
        if records.is_empty() {
            records.push((0, otherwise));
        }
        Ok(Self(records))
    }

    /// When the byte at `offset` was written.
    pub(super) fn time_at(&self, offset: u64) -> Timestamp {
        let after = self.0.partition_point(|(start, _)| *start <= offset);
        self.0[after.saturating_sub(1)].1
    }

    /// The offset of the first byte written at `time` or later. `None` if there is none.
    pub(super) fn offset_since(&self, time: Timestamp) -> Option<u64> {
        let first = self.0.partition_point(|(_, at)| *at < time);
        self.0.get(first).map(|(offset, _)| *offset)
    }
}

fn parse_record(record: &[u8]) -> Option<(u64, Timestamp)> {
    let (offset, at) = record.split_at(8);
    let at = i64::from_le_bytes(at.try_into().ok()?);
    let at = Timestamp::from_microsecond(at).ok()?;
    Some((u64::from_le_bytes(offset.try_into().ok()?), at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millisecond: i64) -> Timestamp {
        Timestamp::from_millisecond(millisecond).unwrap()
    }

    async fn times(writes: &[(u64, i64)]) -> LogTimes {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut clock = LogTimeRecorder::default();
        let records = writes
            .iter()
            .filter_map(|(offset, when)| clock.next_record(*offset, at(*when)));
        std::fs::write(file.path(), records.flatten().collect::<Vec<u8>>()).unwrap();
        LogTimes::read_records(file.path(), at(99)).await.unwrap()
    }

    #[tokio::test]
    async fn a_byte_has_the_time_of_its_write() {
        let times = times(&[(0, 1000), (5, 1005), (9, 2000)]).await;
        for (offset, expected) in [(0, 1000), (5, 1000), (8, 1000), (9, 2000), (500, 2000)] {
            assert_eq!(times.time_at(offset), at(expected), "{offset}");
        }
        for (since, expected) in [(0, Some(0)), (1001, Some(9)), (2000, Some(9)), (2001, None)] {
            assert_eq!(times.offset_since(at(since)), expected, "{since}");
        }
    }

    #[tokio::test]
    async fn a_log_without_records_was_written_at_once() {
        let times = times(&[]).await;
        assert_eq!(
            (
                times.time_at(7),
                times.offset_since(at(98)),
                times.offset_since(at(100))
            ),
            (at(99), Some(0), None)
        );
    }

    #[test]
    fn a_day_of_output_has_few_records() {
        let mut clock = LogTimeRecorder::default();
        let day = 24 * 3600 * 1000;
        let records = (0..day / 10).filter_map(|step| clock.next_record(0, at(step * 10)));
        assert!(records.count() < 600_000);
    }
}
