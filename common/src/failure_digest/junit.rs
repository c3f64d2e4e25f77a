//! `JUnit` files: how many tests ran, and which failed.
//!
//! Files are parsed event by event. Dangerous features of XML are not supported: only the five
//! predefined entities are replaced, and nesting and sizes are bounded. What precedes a syntax
//! error counts.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use quick_xml::{
    Reader, XmlVersion,
    escape::resolve_predefined_entity,
    events::{BytesStart, Event},
};

use super::{
    AnnotationLevel, DigestAnnotation, FailedTest, MAX_MESSAGE, MAX_NAME, plain_text,
    source_location::SourceLocation, stack_frame,
};

/// Maximum size of a file that is read, in bytes.
pub const MAX_FILE: usize = 8 << 20;
/// Maximum number of files that are read.
pub const MAX_FILES: usize = 100;

const MAX_DEPTH: usize = 64;
/// Maximum number of failures that are kept.
const MAX_FAILURES: usize = 1000;
/// How many tests are recognised again, in eight bytes each; files may hold 50 times as many.
const MAX_KNOWN: usize = 1_000_000;
/// Maximum number of bytes that are kept of one failure's text.
const MAX_TEXT: usize = 16 << 10;

/// Whether a key below `artifacts/` is a report: `junit*.xml` in any folder.
#[must_use]
pub fn is_junit_report(key: &str) -> bool {
    let name = key.rsplit('/').next().unwrap_or_default();
    name.starts_with("junit") && name.ends_with(".xml")
}

/// The results of all files of a run.
#[derive(Clone, Debug, Default)]
pub struct JunitReport {
    pub(super) total: u64,
    /// Hashes of the tests that were counted.
    known: HashSet<u64>,
    hasher: RandomState,
    /// In the files' order; `None` if a later try passed.
    failures: Vec<Option<JunitFailure>>,
    /// The index of the failure of a class and name.
    places: HashMap<(String, String), usize>,
    /// Number of failures beyond those that are kept.
    forgotten: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct JunitFailure {
    pub(super) test: FailedTest,
    pub(super) annotation: Option<DigestAnnotation>,
}

impl JunitReport {
    /// Adds one file, up to its first syntax error.
    pub fn add_file(&mut self, file: &[u8], roots: &[String]) {
        let file = String::from_utf8_lossy(&file[..file.len().min(MAX_FILE)]);
        let mut reader = Reader::from_str(&file);
        reader.config_mut().check_end_names = false;
        reader.config_mut().allow_dangling_amp = true;
        let mut depth = 0_usize;
        let mut case: Option<JunitTestCase> = None;
        // A syntax error ends the file, and so does nesting that no test runner produces.
        while let Ok(event) = reader.read_event() {
            match event {
                Event::Eof => break,
                Event::Start(start) => {
                    depth += 1;
                    if depth > MAX_DEPTH {
                        break;
                    }
                    match (start.local_name().as_ref(), &mut case) {
                        (b"testcase", _) => case = Some(JunitTestCase::new(&start)),
                        (b"failure" | b"error", Some(case)) => case.mark_failed(&start),
                        (b"skipped", Some(case)) => case.skipped = true,
                        _ => {}
                    }
                }
                Event::Empty(start) => match (start.local_name().as_ref(), &mut case) {
                    (b"testcase", None) => self.add_case(JunitTestCase::new(&start), roots),
                    (b"failure" | b"error", Some(case)) => {
                        case.mark_failed(&start);
                        case.in_failure = false;
                    }
                    (b"skipped", Some(case)) => case.skipped = true,
                    _ => {}
                },
                Event::End(end) => {
                    depth = depth.saturating_sub(1);
                    match (end.local_name().as_ref(), &mut case) {
                        (b"testcase", _) => {
                            if let Some(case) = case.take() {
                                self.add_case(case, roots);
                            }
                        }
                        (b"failure" | b"error", Some(case)) => case.in_failure = false,
                        _ => {}
                    }
                }
                Event::Text(part) => append_text(&mut case, &part.decode().unwrap_or_default()),
                Event::CData(part) => append_text(&mut case, &part.decode().unwrap_or_default()),
                Event::GeneralRef(reference) => {
                    let character = reference.resolve_char_ref().ok().flatten();
                    let name = reference.decode().unwrap_or_default();
                    match character {
                        Some(character) => {
                            append_text(&mut case, character.encode_utf8(&mut [0; 4]))
                        }
                        None => {
                            append_text(&mut case, resolve_predefined_entity(&name).unwrap_or("?"))
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// A test that failed and passes in a later try has passed.
    fn add_case(&mut self, case: JunitTestCase, roots: &[String]) {
        if case.skipped {
            return;
        }
        let id = case.case_id();
        let known = self.places.get(&id).copied();
        let is_new = self.is_new_case(&id);
        self.total += u64::from(is_new);
        match (known, case.failed) {
            (Some(at), false) => self.failures[at] = None,
            (None, true) if self.failures.len() == MAX_FAILURES => {
                self.forgotten += u64::from(is_new);
            }
            (None, true) => {
                self.places.insert(id, self.failures.len());
                self.failures.push(Some(case.into_failure(roots)));
            }
            (Some(_), true) | (None, false) => {}
        }
    }

    /// A test that is tried again counts once. Tests without any name all count.
    fn is_new_case(&mut self, id: &(String, String)) -> bool {
        if id.0.is_empty() && id.1.is_empty() {
            return true;
        }
        let hash = self.hasher.hash_one(id);
        if self.known.len() >= MAX_KNOWN {
            return !self.known.contains(&hash);
        }
        self.known.insert(hash)
    }

    pub(super) fn failed_cases(&self) -> impl Iterator<Item = &JunitFailure> {
        self.failures.iter().flatten()
    }

    pub(super) fn failed_count(&self) -> u64 {
        self.failed_cases().count() as u64 + self.forgotten
    }
}

fn append_text(case: &mut Option<JunitTestCase>, part: &str) {
    if let Some(case) = case.as_mut().filter(|case| case.in_failure) {
        let room = MAX_TEXT.saturating_sub(case.text.len());
        case.text.push_str(&part[..part.floor_char_boundary(room)]);
    }
}

/// A test case that is being parsed.
#[derive(Debug, Default)]
struct JunitTestCase {
    class: String,
    name: String,
    file: String,
    line: String,
    failed: bool,
    skipped: bool,
    in_failure: bool,
    message: String,
    text: String,
}

impl JunitTestCase {
    fn new(start: &BytesStart<'_>) -> Self {
        Self {
            class: read_attribute(start, "classname"),
            name: read_attribute(start, "name"),
            file: read_attribute(start, "file"),
            line: read_attribute(start, "line"),
            ..Self::default()
        }
    }

    /// Only the first failure of a test is reported.
    fn mark_failed(&mut self, start: &BytesStart<'_>) {
        self.in_failure = !self.failed;
        if !self.failed {
            self.message = read_attribute(start, "message");
        }
        self.failed = true;
    }

    fn case_id(&self) -> (String, String) {
        let short = |text: &str| plain_text::truncate_bytes(text, 1024);
        (short(&self.class), short(&self.name))
    }

    fn into_failure(self, roots: &[String]) -> JunitFailure {
        let named = if self.name.trim().is_empty() {
            &self.class
        } else {
            &self.name
        };
        let name = plain_text::plain_line(first_line(named).as_bytes(), MAX_NAME);
        let message = self.failure_message();
        let frame = stack_frame::own_frame(&self.text, roots)
            .or_else(|| stack_frame::own_frame(&self.message, roots));
        let written = SourceLocation::new(&self.file, &self.line, roots);
        let (frame, place) = match frame {
            Some((frame, place)) => (frame, place.or(written)),
            None => {
                let frame = written
                    .as_ref()
                    .map(|place| format!("{}:{}", place.path, place.line));
                (frame.unwrap_or_default(), written)
            }
        };
        let annotation = place.map(|place| DigestAnnotation {
            path: place.path,
            line: place.line,
            level: AnnotationLevel::Failure,
            message: plain_text::truncate_bytes(&format!("{name}: {message}"), MAX_MESSAGE),
        });
        let test = FailedTest {
            name,
            message,
            frame: plain_text::plain_line(frame.as_bytes(), MAX_NAME),
        };
        JunitFailure { test, annotation }
    }

    /// The first line that says more than that there was a failure.
    fn failure_message(&self) -> String {
        let says_nothing = |line: &str| {
            let line = line.trim();
            line.is_empty()
                || line.eq_ignore_ascii_case("failed")
                || ["=== ", "--- ", "Traceback (most"]
                    .iter()
                    .any(|head| line.starts_with(head))
        };
        let lines = self.message.lines().chain(self.text.lines());
        let first = lines.map(str::trim).find(|line| !says_nothing(line));
        plain_text::plain_line(first.unwrap_or_default().as_bytes(), MAX_MESSAGE)
    }
}

fn first_line(text: &str) -> &str {
    text.lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default()
        .trim()
}

/// At most [`MAX_TEXT`] bytes; empty if the attribute is missing or malformed.
fn read_attribute(start: &BytesStart<'_>, name: &str) -> String {
    let Ok(Some(attribute)) = start.try_get_attribute(name) else {
        return String::new();
    };
    match attribute.normalized_value(XmlVersion::Implicit1_0) {
        Ok(value) => plain_text::truncate_bytes(&value, MAX_TEXT),
        Err(_) => plain_text::truncate_bytes(&String::from_utf8_lossy(&attribute.value), MAX_TEXT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[&str]) -> JunitReport {
        let mut report = JunitReport::default();
        for file in files {
            report.add_file(file.as_bytes(), &["/w".to_owned()]);
        }
        report
    }

    fn told(files: &[&str]) -> (u64, Vec<String>) {
        let report = read(files);
        let tests = report.failed_cases().map(|failure| {
            let FailedTest {
                name,
                message,
                frame,
            } = &failure.test;
            format!("{name} | {message} | {frame}")
        });
        (report.total, tests.collect())
    }

    #[test]
    fn reports_of_many_runners() {
        let gotestsum = r#"<?xml version="1.0"?><testsuites tests="3"><testsuite name="p">
            <testcase classname="p" name="TestA" time="0"></testcase>
            <testcase classname="p" name="TestB"><failure message="Failed" type="">=== RUN   TestB&#xA;    b_test.go:12: got 1, want 2&#xA;--- FAIL: TestB (0.00s)&#xA;</failure></testcase>
            <testcase classname="p" name="TestC"><skipped message="no"/></testcase></testsuite></testsuites>"#;
        let pytest = r#"<testsuites><testsuite><testcase classname="tests.test_a" name="test_x" time="0.1"><failure message="AssertionError: assert 1 == 2&#10;  more">def test_x():
>       assert 1 == 2
E       assert 1 == 2

tests/test_a.py:4: AssertionError</failure></testcase><testcase name="test_y"/></testsuite></testsuites>"#;
        let surefire = r#"<testsuite><testcase name="bar" classname="com.acme.FooTest"><error type="java.lang.NullPointerException"><![CDATA[java.lang.NullPointerException
	at org.junit.X.y(X.java:1)
	at com.acme.FooTest.bar(FooTest.java:42)
]]></error><system-out>&lt;noise&gt; a.rs:1</system-out></testcase></testsuite>"#;
        for (file, expected) in [
            (
                gotestsum,
                (
                    2,
                    vec!["TestB | b_test.go:12: got 1, want 2 | b_test.go:12"],
                ),
            ),
            (
                pytest,
                (
                    2,
                    vec!["test_x | AssertionError: assert 1 == 2 | tests/test_a.py:4"],
                ),
            ),
            (
                surefire,
                (
                    1,
                    vec!["bar | java.lang.NullPointerException | FooTest.java:42"],
                ),
            ),
            (
                r#"<testsuite><testcase name="a"><failure/></testcase>"#,
                (1, vec!["a |  | "]),
            ),
            (
                r#"<testsuite><testcase classname="only.Class" name=""><failure message="m &quot;&undefined;"/></testcase>"#,
                (1, vec!["only.Class | m &quot;&undefined; | "]),
            ),
            ("no xml at all", (0, vec![])),
            ("", (0, vec![])),
        ] {
            let (total, tests) = told(&[file]);
            assert_eq!(
                (total, tests.iter().map(String::as_str).collect()),
                expected
            );
        }
    }

    #[test]
    fn a_later_try_counts() {
        let fails =
            r#"<t><testcase name="a"><failure message="no"/></testcase><testcase name="b"/></t>"#;
        let passes = r#"<t><testcase name="a"/></t>"#;
        assert_eq!(told(&[fails, passes]), (2, vec![]));
        assert_eq!(told(&[passes, passes, passes]), (1, vec![]));
        assert_eq!(told(&[passes, fails]).0, 2);
        let nameless = "<t><testcase/><testcase/></t>";
        assert_eq!(told(&[nameless]).0, 2);
        assert_eq!(told(&[fails, fails]).1.len(), 1);
    }

    #[test]
    fn nothing_is_expanded_and_nesting_is_bounded() {
        let bomb = r#"<!DOCTYPE t [<!ENTITY a "AAAA"><!ENTITY b "&a;&a;"><!ENTITY x SYSTEM "file:///etc/passwd">]>
            <t><testcase name="n"><failure message="">&b;&x;&#65;&amp;</failure></testcase></t>"#;
        assert_eq!(told(&[bomb]).1, ["n | ??A& | "]);
        let deep = format!(
            "<t><testcase name=\"a\"/>{}<testcase name=\"b\"/>",
            "<d>".repeat(100_000)
        );
        assert_eq!(told(&[&deep]).0, 1);
        let many = "<testcase name=\"x\"><failure/></testcase>".replace('x', "{}");
        let many: String = (0..2000)
            .map(|n| many.replace("{}", &n.to_string()))
            .collect();
        let report = read(&[&many]);
        assert_eq!(
            (report.failed_count(), report.failed_cases().count()),
            (2000, MAX_FAILURES)
        );
    }

    #[test]
    fn names_of_reports() {
        for (key, is) in [
            ("artifacts/junit.xml", true),
            ("artifacts/a/junit_01.xml", true),
            ("artifacts/results.xml", false),
            ("artifacts/junit.xml.gz", false),
        ] {
            assert_eq!(is_junit_report(key), is, "{key}");
        }
    }
}
