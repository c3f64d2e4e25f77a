//! Why a run failed, in a few lines: the value that comments, check runs and Deck show.
//!
//! ```text
//! description, JUnit files, log or clone log ─► compose ─► FailureDigest ─► failure.json
//! ```
//!
//! Pure: bytes in, a small value out. All its text is a stranger's, so every field is one bounded
//! line of plain characters, also when it is read back ([`FailureDigest::parse_stored`]). It is
//! computed from stored files (of logs, the end); [`QuotingPolicy`] decides how much of the run's
//! text goes in. Pages and comments decide how to show it.

pub mod build_log;
mod compose;
pub mod junit;
mod plain_text;
mod problem_matchers;
mod quoting;
mod source_location;
mod stack_frame;
mod upload_losses;
mod utility_messages;

use serde::{Deserialize, Serialize};

pub use compose::{DigestSources, SetupFailure, compose_digest};
pub use quoting::{QuotingPolicy, is_written_by_pod};
pub use upload_losses::{
    CENSOR_ERROR, CENSOR_IN_CLEAR, CENSOR_LEFT_OUT, CENSORED, MAX_UPLOAD_LOSSES, NOT_STORED,
    describe_upload_losses,
};

/// Maximum number of tests that are named; all are counted.
pub const MAX_TESTS: usize = 20;
/// Maximum number of lines of the log.
pub const MAX_LINES: usize = 60;
/// Maximum number of annotations; GitHub takes them in four requests.
pub const MAX_ANNOTATIONS: usize = 200;
/// Maximum length in characters.
pub const MAX_SUMMARY: usize = 150;
/// Maximum size of a stored digest that is read, in bytes.
pub const MAX_STORED: usize = 1 << 20;

/// The summary if nothing says what failed.
const NO_FAILED_TEST_NAMED: &str = "no failed test is named";

/// Maximum lengths in bytes.
const MAX_NAME: usize = 200;
const MAX_MESSAGE: usize = 300;
const MAX_LINE: usize = 300;
const MAX_PATH: usize = 400;

/// Why a run failed, as stored in `failure.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FailureDigest {
    pub kind: FailureKind,
    /// One line, such as `2 of 431 tests failed: TestFoo, TestBar`.
    pub summary: String,
    /// Why the digest says less than expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<DigestNote>,
    /// Number of tests that ran; 0 if unknown.
    pub total_tests: u64,
    pub failed_tests: u64,
    /// The first [`MAX_TESTS`] that failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<FailedTest>,
    /// The container that the lines are from; empty if there is only one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub container: String,
    /// In the log's order, with gaps.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<DigestLine>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<DigestAnnotation>,
}

/// What the digest is based on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The clone failed, before anything of the job ran.
    Clone,
    /// The pod failed, not what ran in it: out of memory, evicted, no image, out of time.
    Pod,
    /// Tests failed.
    Tests,
    /// An error in the log.
    Log,
    /// No known error.
    #[default]
    Unknown,
}

/// Why a digest says little.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DigestNote {
    /// The job got a Secret and the stored files are not known to be censored, so the digest
    /// contains only names of tests.
    Uncensored,
    /// No error line is known; the lines are the last of the log.
    NoKnownError,
    NoLog,
}

impl DigestNote {
    /// The text for people.
    #[must_use]
    pub const fn user_message(self) -> &'static str {
        match self {
            Self::Uncensored => {
                "The files of this run are not marked as censored, so nothing of them is shown but names of tests."
            }
            Self::NoKnownError => "no known error line; last 20 lines",
            Self::NoLog => "This run left no log.",
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FailedTest {
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// `path:line` of the first stack frame in the job's own code.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub frame: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DigestLine {
    /// Line number in the stored log, from 1; 0 if the log is too long to be counted.
    pub number: u64,
    pub text: String,
    /// 0 for the best error line and its neighbours; where space is short, low ranks are shown.
    pub rank: u32,
    /// Whether this is an error line, not a neighbour of one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub error: bool,
}

/// A message on a line of a file. The path is relative to the repository, as far as the log shows;
/// the caller must find out whether there is such a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DigestAnnotation {
    pub path: String,
    pub line: u64,
    pub level: AnnotationLevel,
    pub message: String,
}

/// GitHub's annotation levels.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum AnnotationLevel {
    #[default]
    Failure,
    Warning,
    Notice,
}

impl FailureDigest {
    /// Parses a stored digest and truncates its fields. `None` if it is no digest.
    #[must_use]
    pub fn parse_stored(stored: &[u8]) -> Option<Self> {
        let digest: Self = serde_json::from_slice(stored).ok()?;
        Some(digest.truncate_fields())
    }

    /// Makes every field one plain line within its bounds.
    fn truncate_fields(mut self) -> Self {
        let line = |text: &str, max| plain_text::plain_line(text.as_bytes(), max);
        self.summary =
            plain_text::truncate_chars(&line(&self.summary, 4 * MAX_SUMMARY), MAX_SUMMARY);
        self.container = line(&self.container, MAX_NAME);
        self.tests.truncate(MAX_TESTS);
        for test in &mut self.tests {
            test.name = line(&test.name, MAX_NAME);
            test.message = line(&test.message, MAX_MESSAGE);
            test.frame = line(&test.frame, MAX_NAME);
        }
        self.lines.truncate(MAX_LINES);
        for found in &mut self.lines {
            found.text = line(&found.text, MAX_LINE);
        }
        self.annotations.retain(|annotation| {
            annotation.line > 0 && source_location::is_relative_path(&annotation.path)
        });
        self.annotations.truncate(MAX_ANNOTATIONS);
        for annotation in &mut self.annotations {
            annotation.message = line(&annotation.message, MAX_MESSAGE);
        }
        self
    }

    /// The best lines that fit, in the log's order. An error line comes with its neighbours or not
    /// at all, but for the best one, which comes alone where they do not fit; of the end of a log,
    /// the last lines that fit.
    #[must_use]
    pub fn best_lines(&self, max_lines: usize, max_bytes: usize) -> Vec<&DigestLine> {
        let mut ranks: Vec<u32> = self.lines.iter().map(|line| line.rank).collect();
        ranks.sort_unstable();
        ranks.dedup();
        let size =
            |window: &[&DigestLine]| window.iter().map(|line| line.text.len() + 1).sum::<usize>();
        let of_rank = |rank| -> Vec<&DigestLine> {
            let lines = self.lines.iter();
            lines.filter(|line| line.rank == rank).collect()
        };
        let mut chosen = Vec::new();
        let (mut lines, mut bytes) = (0, 0);
        for rank in ranks {
            let window = of_rank(rank);
            if lines + window.len() <= max_lines && bytes + size(&window) <= max_bytes {
                lines += window.len();
                bytes += size(&window);
                chosen.push(rank);
            } else if chosen.is_empty() {
                return last_fitting_lines(&window, max_lines, max_bytes);
            }
        }
        let lines = self.lines.iter();
        lines.filter(|line| chosen.contains(&line.rank)).collect()
    }
}

/// The last lines of `window` that fit: of its error lines, or of all lines if it has none.
fn last_fitting_lines<'a>(
    window: &[&'a DigestLine],
    max_lines: usize,
    max_bytes: usize,
) -> Vec<&'a DigestLine> {
    let mut bytes = 0;
    let find: Vec<_> = window.iter().filter(|line| line.error).copied().collect();
    let window = if find.is_empty() {
        window.to_vec()
    } else {
        find
    };
    let mut last: Vec<_> = window
        .into_iter()
        .rev()
        .take(max_lines)
        .take_while(|line| {
            bytes += line.text.len() + 1;
            bytes <= max_bytes
        })
        .collect();
    last.reverse();
    last
}

#[cfg(test)]
mod tests;
