//! Finds the lines of a log that say why a run failed.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::{
    AnnotationLevel, DigestAnnotation, DigestLine, MAX_ANNOTATIONS, MAX_LINE, MAX_MESSAGE,
    MAX_NAME, plain_text, problem_matchers, source_location::SourceLocation, utility_messages,
};

/// How many bytes at the end of a log are scanned.
pub const MAX_TAIL_BYTES: usize = 8 << 20;

/// Maximum number of error lines; each has two neighbours.
const MAX_FINDS: usize = 20;
/// How many lines are shown if there is no error line.
const LAST_LINES: usize = 20;
/// Maximum number of different error lines that are scored.
const MAX_CANDIDATES: usize = 5000;
/// Maximum number of tests that are counted.
const MAX_NAMES: usize = 1000;

/// The end of a log that is read in chunks, whatever the log's length.
#[derive(Debug, Default)]
pub struct LogTail {
    bytes: Vec<u8>,
    /// Number of lines before `bytes`; `None` if the log was not read from its beginning.
    before: Option<u64>,
}

impl LogTail {
    /// For a log that is read from its beginning.
    #[must_use]
    pub fn from_start() -> Self {
        Self {
            bytes: Vec::new(),
            before: Some(0),
        }
    }

    /// For a log of which only the end is read; the first line may be incomplete.
    #[must_use]
    pub fn from_end() -> Self {
        Self::default()
    }

    pub fn push_chunk(&mut self, chunk: &[u8]) {
        self.bytes.extend_from_slice(chunk);
        if self.bytes.len() > 2 * MAX_TAIL_BYTES {
            let cut = self.bytes.len() - MAX_TAIL_BYTES;
            if let Some(before) = &mut self.before {
                *before += self.bytes[..cut]
                    .iter()
                    .filter(|byte| **byte == b'\n')
                    .count() as u64;
            }
            self.bytes.drain(..cut);
        }
    }

    /// Scans the log for errors. `roots` are the folders the repository is checked out to.
    #[must_use]
    pub fn scan_errors(&self, roots: &[String]) -> LogFindings {
        let lines = LogLines::new(&self.bytes);
        let mut found = LogScanner::default();
        // From the end, so that of repeated lines the last one counts.
        for index in (0..lines.count()).rev() {
            found.scan_line(index, &lines, roots);
        }
        found.into_findings(&lines, self.before)
    }
}

/// What a log says about a failure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogFindings {
    /// Of the best error line; 0 if there is none and the lines are the log's last.
    pub(super) score: u64,
    /// The text of the best error line.
    pub(super) best: String,
    pub(super) lines: Vec<DigestLine>,
    /// Tests that failed according to the log, in its order, without duplicates.
    pub(super) tests: Vec<String>,
    /// Errors before warnings.
    pub(super) annotations: Vec<DigestAnnotation>,
}

/// The ends of lines, for access to their neighbours.
struct LogLines<'a> {
    bytes: &'a [u8],
    ends: Vec<usize>,
}

impl<'a> LogLines<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        let newlines = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        let mut ends: Vec<usize> = newlines.map(|(at, _)| at).collect();
        if bytes.last().is_some_and(|last| *last != b'\n') {
            ends.push(bytes.len());
        }
        Self { bytes, ends }
    }

    fn count(&self) -> usize {
        self.ends.len()
    }

    /// Empty beyond the last line.
    fn line_text(&self, index: usize, max: usize) -> String {
        let Some(end) = self.ends.get(index) else {
            return String::new();
        };
        let start = index
            .checked_sub(1)
            .map_or(0, |before| self.ends[before] + 1);
        display_line(&self.bytes[start..*end], max)
    }
}

/// A line as people read it: the message of a pod utility, otherwise the plain line.
fn display_line(raw: &[u8], max: usize) -> String {
    match utility_messages::parse_utility_message(raw) {
        Some(said) => plain_text::plain_line(said.as_bytes(), max),
        None => plain_text::plain_line(raw, max),
    }
}

/// How many lines beyond a line are searched for its next neighbour, which is not blank.
const MAX_BLANK: usize = 3;

impl LogLines<'_> {
    /// A line with the one before it and the next that is not blank.
    fn context_window(&self, index: usize) -> impl Iterator<Item = usize> {
        let says_something = |index: &usize| !self.line_text(*index, MAX_LINE).is_empty();
        let before = index.checked_sub(1).filter(says_something);
        let after = (index + 1..=index + MAX_BLANK).find(says_something);
        before.into_iter().chain([index]).chain(after)
    }
}

#[derive(Default)]
struct LogScanner {
    finds: Vec<ScoredLine>,
    shapes: HashSet<String>,
    tests: Vec<String>,
    names: BTreeSet<String>,
    annotations: BTreeMap<AnnotationLevel, Vec<DigestAnnotation>>,
    places: HashSet<(String, u64, AnnotationLevel)>,
}

struct ScoredLine {
    index: usize,
    score: u64,
}

impl LogScanner {
    fn scan_line(&mut self, index: usize, lines: &LogLines<'_>, roots: &[String]) {
        let text = lines.line_text(index, 2 * MAX_LINE);
        let Some(class) = problem_matchers::match_line(&text) else {
            return;
        };
        let groups = class.capture_groups(&text);
        let group = |name: &str| groups.name(name).map(|found| found.as_str().trim());
        if let Some(test) = group("test") {
            self.add_test(test);
        }
        let next = || lines.line_text(index + 1, 2 * MAX_LINE);
        let place = match (group("path"), group("line"), group("command")) {
            (Some(path), Some(line), _) => SourceLocation::new(path, line, roots),
            (.., Some(command)) => parse_command_location(command, roots),
            // Rust's compiler prints the location on the next line.
            _ => next()
                .trim_start()
                .strip_prefix("--> ")
                .and_then(|place| parse_arrow_location(place, roots)),
        };
        if let Some(place) = place {
            let message = group("message").filter(|text| !text.is_empty());
            let message = message.map_or_else(next, str::to_owned);
            self.add_annotation(place, class.level, &message);
        }
        if class.weight > 0
            && self.finds.len() < MAX_CANDIDATES
            && self.shapes.insert(plain_text::normalize_line(&text))
        {
            // At the end of the log a line scores twice as much as at its beginning.
            let closeness = lines.count() + index + 1;
            let score = u64::from(class.weight) * 1000 * closeness as u64;
            self.finds.push(ScoredLine {
                index,
                score: score / (2 * lines.count() as u64),
            });
        }
    }

    fn add_test(&mut self, name: &str) {
        let name = plain_text::plain_line(name.as_bytes(), MAX_NAME);
        if self.names.len() < MAX_NAMES && self.names.insert(name.clone()) {
            self.tests.push(name);
        }
    }

    fn add_annotation(&mut self, place: SourceLocation, level: AnnotationLevel, message: &str) {
        let SourceLocation { path, line } = place;
        let list = self.annotations.entry(level).or_default();
        if list.len() < MAX_ANNOTATIONS && self.places.insert((path.clone(), line, level)) {
            let message = plain_text::plain_line(message.as_bytes(), MAX_MESSAGE);
            list.push(DigestAnnotation {
                path,
                line,
                level,
                message,
            });
        }
    }

    fn into_findings(mut self, lines: &LogLines<'_>, before: Option<u64>) -> LogFindings {
        self.finds.sort_by_key(|find| std::cmp::Reverse(find.score));
        self.finds.truncate(MAX_FINDS);
        let mut chosen: BTreeMap<usize, (u32, bool)> = BTreeMap::new();
        for (rank, find) in (0..).zip(&self.finds) {
            for index in lines.context_window(find.index) {
                chosen.entry(index).or_insert((rank, false));
            }
            chosen.entry(find.index).and_modify(|line| line.1 = true);
        }
        if self.finds.is_empty() {
            let first = lines.count().saturating_sub(LAST_LINES);
            chosen.extend((first..lines.count()).map(|index| (index, (0, false))));
        }
        let best = self.finds.first();
        self.tests.reverse();
        let in_order = self.annotations.into_values().flat_map(|mut list| {
            list.reverse();
            list
        });
        LogFindings {
            score: best.map_or(0, |find| find.score),
            best: best.map_or_else(String::new, |find| {
                strip_workflow_command(&lines.line_text(find.index, MAX_LINE))
            }),
            lines: chosen
                .into_iter()
                .map(|(index, (rank, error))| DigestLine {
                    number: before.map_or(0, |before| before + index as u64 + 1),
                    text: lines.line_text(index, MAX_LINE),
                    rank,
                    error,
                })
                .collect(),
            tests: self.tests,
            annotations: in_order.take(MAX_ANNOTATIONS).collect(),
        }
    }
}

/// The text of a line; of a workflow command, its message.
fn strip_workflow_command(line: &str) -> String {
    let message = line
        .strip_prefix("::")
        .and_then(|command| command.split_once("::"));
    message
        .map_or(line.trim_start(), |(_, message)| message)
        .to_owned()
}

/// Parses the parameters of a workflow command: ` file=a.go,line=3,col=5`.
fn parse_command_location(parameters: &str, roots: &[String]) -> Option<SourceLocation> {
    let parameter = |name: &str| {
        let mut all = parameters
            .trim()
            .split(',')
            .filter_map(|one| one.split_once('='));
        all.find(|(key, _)| key.trim() == name)
            .map(|(_, value)| value.trim())
    };
    SourceLocation::new(parameter("file")?, parameter("line").unwrap_or("1"), roots)
}

/// Parses `src/lib.rs:3:5`.
fn parse_arrow_location(place: &str, roots: &[String]) -> Option<SourceLocation> {
    let mut parts = place.trim().split(':');
    SourceLocation::new(parts.next()?, parts.next()?, roots)
}
