//! The section of a run's page that says why the run failed, from crier's `failure.json`.

use askama::Template;
use common::failure_digest::{DigestLine, DigestNote, FailedTest, FailureDigest, MAX_STORED};
use common::storage::{StorageError, paths};

use crate::buckets::StorageLocation;
use crate::view::{WIDE_LINE_NUMBER, encode_query};

/// Lines and bytes of the log in this section; the whole log is further down on the page.
const MAX_LINES: usize = 20;
const MAX_BYTES: usize = 4096;

#[derive(Debug, Template)]
#[template(path = "failure.html")]
pub(crate) struct FailureSection {
    summary: String,
    note: &'static str,
    tests: Vec<FailedTest>,
    /// Number of failed tests that are not named.
    more: u64,
    lines: Vec<ShownLine>,
    /// Whether line numbers have more than five digits.
    wide: bool,
}

#[derive(Debug)]
struct ShownLine {
    line: DigestLine,
    /// Link to the line in the page's log; empty if the line has no number.
    href: String,
    /// Whether lines before this one are left out.
    after_gap: bool,
}

/// Reads the stored digest; `None` if there is none, or if the file is no digest.
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
