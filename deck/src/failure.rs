//! Why a run failed, as crier found out: `failure.json` as a part of the run's page.

use askama::Template;
use common::digest::{Digest, FailedTest, Line, MAX_STORED, Note};
use common::storage::{Error, paths};

use crate::buckets::Place;
use crate::view::{WIDE, encode_query};

/// What the page shows of the log's lines; the log itself is below.
const MAX_LINES: usize = 20;
const MAX_BYTES: usize = 4096;

#[derive(Debug, Template)]
#[template(path = "failure.html")]
pub(crate) struct Failure {
    summary: String,
    note: &'static str,
    tests: Vec<FailedTest>,
    /// Failed tests that are not named.
    more: u64,
    lines: Vec<Shown>,
    /// Their numbers have more than five digits.
    wide: bool,
}

#[derive(Debug)]
struct Shown {
    line: Line,
    /// Where the log's page has it; empty if it has no number.
    href: String,
    /// Lines before it are left out.
    after_gap: bool,
}

/// The stored digest; `None` if there is none, or no such thing.
pub(crate) async fn read(place: &Place) -> Result<Option<Digest>, Error> {
    let key = format!("{}/{}", place.key, paths::FAILURE);
    let object = match place.storage.get(&key).await {
        Ok(object) if object.size <= MAX_STORED as u64 => object,
        Ok(_) | Err(Error::NotFound(_)) => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(Digest::parse(&object.bytes(MAX_STORED).await?))
}

impl Failure {
    /// `shown` is the container whose log is on the page.
    pub(crate) fn new(digest: &Digest, shown: &str) -> Self {
        let note = digest.note.map_or("", Note::text);
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
                Shown {
                    href: match line.number {
                        0 => String::new(),
                        number => format!("{elsewhere}#L{number}"),
                    },
                    line: line.clone(),
                    after_gap,
                }
            });
        let lines: Vec<Shown> = lines.collect();
        Self {
            wide: lines.iter().any(|shown| shown.line.number >= WIDE),
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
