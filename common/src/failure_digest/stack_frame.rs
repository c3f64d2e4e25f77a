//! The first stack frame of a failure that is in the job's own code.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::source_location::SourceLocation;

/// Folders and packages that are never the job's own.
const FOREIGN_PATHS: [&str; 18] = [
    "node_modules/",
    "node:",
    "site-packages/",
    "dist-packages/",
    "/usr/",
    "/opt/",
    "/rustc/",
    "/.cargo/",
    "/pkg/mod/",
    "/go/src/testing/",
    "/go/src/runtime/",
    "java.base/",
    "java.",
    "jdk.internal",
    "org.junit",
    "org.gradle",
    "sun.reflect",
    "<frozen",
];

static PYTHON_FRAME: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"^\s*File "(?P<path>[^"]+)", line (?P<line>\d+)"#).expect("a literal pattern")
});

static ANY_FRAME: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?P<path>[\w./@+-]*\w\.[A-Za-z]{1,6}):(?P<line>\d{1,7})\b")
        .expect("a literal pattern")
});

/// How many lines of a failure's text are read.
const MAX_LINES: usize = 500;

/// The frame as written, and its location in the repository if it can have one.
pub(super) fn own_frame(text: &str, roots: &[String]) -> Option<(String, Option<SourceLocation>)> {
    let short = text.lines().filter(|line| line.len() < 2000);
    let lines: Vec<&str> = short.take(MAX_LINES).collect();
    // Python prints the innermost frame last.
    let python = lines
        .iter()
        .rev()
        .filter_map(|line| PYTHON_FRAME.captures(line));
    let own = lines.iter().filter(|line| !is_foreign(line));
    let others = own.filter_map(|line| ANY_FRAME.captures(line));
    python
        .filter(|found| !is_foreign(&found["path"]))
        .chain(others)
        .map(|found| format_frame(&found, roots))
        .next()
}

fn is_foreign(text: &str) -> bool {
    FOREIGN_PATHS.iter().any(|part| text.contains(part))
}

fn format_frame(found: &Captures<'_>, roots: &[String]) -> (String, Option<SourceLocation>) {
    let place = SourceLocation::new(&found["path"], &found["line"], roots);
    let path = place
        .as_ref()
        .map_or(&found["path"], |place| place.path.as_str());
    (format!("{path}:{}", &found["line"]), place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_many_languages() {
        let roots = ["/w".to_owned()];
        for (text, expected) in [
            ("    foo_test.go:12: got 1, want 2", Some("foo_test.go:12")),
            (
                "goroutine 7 [running]:\n\t/usr/local/go/src/runtime/panic.go:1038 +0x1\n\t/w/a/b.go:9 +0x2",
                Some("a/b.go:9"),
            ),
            (
                "Traceback\n  File \"/w/a.py\", line 3, in f\n  File \"/w/b.py\", line 5, in g\n  File \"/usr/lib/python3/x.py\", line 9, in h",
                Some("b.py:5"),
            ),
            (
                "Error: x\n    at Object.<anonymous> (node_modules/jest/a.js:1:1)\n    at f (/w/src/a.test.js:4:11)",
                Some("src/a.test.js:4"),
            ),
            (
                "java.lang.AssertionError\n\tat org.junit.Assert.fail(Assert.java:89)\n\tat com.acme.FooTest.bar(FooTest.java:42)",
                Some("FooTest.java:42"),
            ),
            (
                "thread 'a' panicked at src/lib.rs:7:9:\nno",
                Some("src/lib.rs:7"),
            ),
            ("nothing here at 12:30", None),
        ] {
            let found = own_frame(text, &roots).map(|found| found.0);
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}
