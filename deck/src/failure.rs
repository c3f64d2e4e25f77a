//! Why a run failed, as crier found out: `failure.json` as a part of the run's page.

use askama::Template;
use common::failure_digest::{DigestLine, DigestNote, FailedTest, FailureDigest, MAX_STORED};
use common::storage::{StorageError, paths};

use crate::buckets::StorageLocation;
use crate::view::{WIDE_LINE_NUMBER, encode_query};

/// What the page shows of the log's lines; the log itself is below.
const MAX_LINES: usize = 20;
const MAX_BYTES: usize = 4096;

#[derive(Debug, Template)]
#[template(path = "failure.html")]
pub(crate) struct FailureSection {
    summary: String,
    note: &'static str,
    tests: Vec<FailedTest>,
    /// Failed tests that are not named.
    more: u64,
    lines: Vec<ShownLine>,
    /// Their numbers have more than five digits.
    wide: bool,
}

#[derive(Debug)]
struct ShownLine {
    line: DigestLine,
    /// Where the log's page has it; empty if it has no number.
    href: String,
    /// Lines before it are left out.
    after_gap: bool,
}

/// The stored digest; `None` if there is none, or no such thing.
pub(crate) async fn read_digest(
    place: &StorageLocation,
) -> Result<Option<FailureDigest>, StorageError> {
    let key = format!("{}/{}", place.key, paths::FAILURE_DIGEST);
    let object = match place.storage.get_object(&key).await {
        Ok(object) if object.size <= MAX_STORED as u64 => object,
        Ok(_) | Err(StorageError::NotFound(_)) => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(FailureDigest::parse_stored(
        &object.read_bytes(MAX_STORED).await?,
    ))
}

impl FailureSection {
    /// `shown` is the container whose log is on the page.
    pub(crate) fn new(digest: &FailureDigest, shown: &str) -> Self {
        let note = digest.note.map_or("", DigestNote::user_message);
        let elsewhere = if digest.container.is_empty() || digest.container == shown {
            String::new()
        } else {
            format!("?container={}", encode_query(&digest.container))
        };
        let mut before = None;
        let lines = digest
            .best_lines(MAX_LINES, MAX_BYTES)
            .into_iter()
            .map(|line| {
                let after_gap = before.is_some_and(|before| line.number > before + 1);
                before = Some(line.number);
                ShownLine {
                    href: match line.number {
                        0 => String::new(),
                        number => format!("{elsewhere}#L{number}"),
                    },
                    line: line.clone(),
                    after_gap,
                }
            });
        let lines: Vec<ShownLine> = lines.collect();
        Self {
            wide: lines
                .iter()
                .any(|shown| shown.line.number >= WIDE_LINE_NUMBER),
            lines,
            more: digest
                .failed_tests
                .saturating_sub(digest.tests.len() as u64),
            tests: digest.tests.clone(),
            note: if note == digest.summary { "" } else { note },
            summary: digest.summary.clone(),
        }
    }
}
