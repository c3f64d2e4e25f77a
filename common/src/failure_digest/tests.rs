//! Digests of real tools' output, and properties of digests of any bytes.

use proptest::prelude::*;

use super::{build_log::LogTail, junit::JunitReport, *};
use crate::prowjob::ProwJobState;

const ROOT: &str = "/home/prow/go/src/github.com/acme/widgets";

fn findings(log: &[u8]) -> build_log::LogFindings {
    let mut tail = LogTail::from_start();
    tail.push_chunk(log);
    tail.scan_errors(&[ROOT.to_owned()])
}

fn digest_of(log: &str, junit: &[&str], censored: bool, description: &str) -> FailureDigest {
    let quoting = quoting(censored);
    let mut tests = JunitReport::default();
    for file in junit {
        tests.add_file(file.as_bytes(), &[ROOT.to_owned()]);
    }
    compose_digest(&DigestSources {
        state: ProwJobState::Failure,
        description,
        setup: None,
        quoting,
        tests: &tests,
        logs: &[("test".to_owned(), findings(log.as_bytes()))],
    })
}

fn quoting(censored: bool) -> QuotingPolicy {
    if censored {
        QuotingPolicy::Censored
    } else {
        QuotingPolicy::Unmarked
    }
}

const CODE: &str = "Job failed. Container test ended with exit code 3.";
const SAID: &str = "Container test ended with exit code 3.";

fn of(log: &str) -> FailureDigest {
    digest_of(log, &[], true, "Job failed.")
}

/// The numbers of the error lines, best first.
fn finds(digest: &FailureDigest) -> Vec<u64> {
    let mut finds: Vec<&DigestLine> = digest.lines.iter().filter(|line| line.error).collect();
    finds.sort_by_key(|line| line.rank);
    finds.iter().map(|line| line.number).collect()
}

fn annotations(digest: &FailureDigest) -> Vec<String> {
    let told = digest.annotations.iter().map(|annotation| {
        let DigestAnnotation {
            path,
            line,
            level,
            message,
        } = annotation;
        format!("{level:?} {path}:{line} {message}")
    });
    told.collect()
}

/// Name, log, summary, error lines, annotations.
type Row<'a> = (&'a str, &'a str, &'a str, &'a [u64], &'a [&'a str]);

#[test]
fn logs_of_many_tools() {
    let rows: [Row<'_>; 9] = [
        (
            "go test",
            include_str!("logs/go.txt"),
            "2 tests failed: TestAdd, TestAdd/negative",
            &[8, 9, 7, 11, 12, 13, 6],
            &[
                "Failure sum_test.go:18 adding",
                "Failure pkg/sum/sum_test.go:19 Add(-1, 1) = 2, want 0",
            ],
        ),
        (
            "go build",
            include_str!("logs/go-build.txt"),
            "pkg/sum/sum.go:8:2: undefined: Sum",
            &[3, 4, 5],
            &[
                "Failure pkg/sum/sum.go:7 \"fmt\" imported and not used",
                "Failure pkg/sum/sum.go:8 undefined: Sum",
            ],
        ),
        (
            "cargo test",
            include_str!("logs/rust.txt"),
            "1 test failed: tests::adds",
            &[10, 5, 18, 20],
            &["Failure src/lib.rs:14 assertion `left == right` failed"],
        ),
        (
            "cargo build",
            include_str!("logs/rust-build.txt"),
            "error[E0308]: mismatched types",
            &[8, 16],
            &[
                "Failure src/lib.rs:4 mismatched types",
                "Warning src/lib.rs:1 unused import: `std::fmt`",
            ],
        ),
        (
            "pytest",
            include_str!("logs/pytest.txt"),
            "1 test failed: tests/test_sum.py::test_adds",
            &[16, 11, 12, 13],
            &["Failure tests/test_sum.py:5 AssertionError"],
        ),
        (
            "jest",
            include_str!("logs/jest.txt"),
            "1 test failed: sum › adds",
            &[6, 4, 1],
            &[],
        ),
        (
            "maven",
            include_str!("logs/maven.txt"),
            "1 test failed: FooTest.adds",
            &[9, 12, 4, 5],
            &[],
        ),
        (
            "make and gcc",
            include_str!("logs/make.txt"),
            "src/main.c:4:5: error: expected ';' before 'return'",
            &[4, 7],
            &[
                "Failure src/main.c:4 expected ';' before 'return'",
                "Warning src/main.c:2 unused variable 'x' [-Wunused-variable]",
            ],
        ),
        (
            "a shell script",
            include_str!("logs/shell.txt"),
            "no such link",
            &[3, 4],
            &[
                "Failure docs/a.md:3 no such link",
                "Notice docs/a.md:1 look",
            ],
        ),
    ];
    for (name, log, summary, expected_finds, expected_annotations) in rows {
        let digest = of(log);
        assert_eq!(digest.summary, summary, "{name}");
        assert_eq!(finds(&digest), expected_finds, "{name}");
        assert_eq!(annotations(&digest), expected_annotations, "{name}");
        assert_eq!(digest.note, None, "{name}");
    }
}

#[test]
fn sources_in_order() {
    let junit = r#"<t><testcase name="TestFoo"><failure message="m">/home/prow/go/src/github.com/acme/widgets/a.go:3</failure></testcase><testcase name="TestBar"><error message="n"/></testcase><testcase name="x"/></t>"#;
    let digest = digest_of("error: one\n", &[junit], true, "Job failed.");
    assert_eq!(
        (digest.kind, digest.failed_tests, digest.total_tests),
        (FailureKind::Tests, 2, 3)
    );
    assert_eq!(digest.summary, "2 of 3 tests failed: TestFoo, TestBar");
    assert_eq!(
        (digest.tests[0].frame.as_str(), finds(&digest)),
        ("a.go:3", vec![1])
    );
    assert_eq!(annotations(&digest), ["Failure a.go:3 TestFoo: m"]);

    let oom = "Job pod was OOM killed by the cluster.";
    let digest = digest_of("error: one\n", &[junit], true, oom);
    assert_eq!(
        (digest.kind, digest.summary.as_str()),
        (FailureKind::Pod, oom)
    );
    assert_eq!(
        digest.tests.len(),
        2,
        "what the run left is told all the same"
    );
}

#[test]
fn without_the_mark_only_names_of_tests_leave() {
    let junit = r#"<t><testcase name="TestFoo"><failure message="hunter2">a.go:3 hunter2</failure></testcase></t>"#;
    let log = "--- FAIL: Testhunter2\nerror: hunter2\n";
    let digest = digest_of(log, &[junit], false, "Job failed.");
    let json = serde_json::to_string(&digest).unwrap();
    assert!(
        !json.contains("hunter2") && !json.contains("a.go"),
        "{json}"
    );
    assert_eq!(digest.summary, "the only test failed: TestFoo");
    assert_eq!(digest.note, Some(DigestNote::Uncensored));
    let digest = digest_of(log, &[], false, "Job failed.");
    assert_eq!(digest.summary, "no failed test is named");
    assert_eq!(digest_of(log, &[], false, CODE).summary, SAID);
    assert!(!serde_json::to_string(&digest).unwrap().contains("hunter2"));
}

#[test]
fn failing_silently_is_forbidden() {
    let log: String = (1..=50).map(|n| format!("step {n}\n")).collect();
    let digest = of(&log);
    assert_eq!(digest.summary, "no known error line; last 20 lines");
    let numbers: Vec<u64> = digest.lines.iter().map(|line| line.number).collect();
    assert_eq!(numbers, (31..=50).collect::<Vec<_>>());
    let short: Vec<u64> = digest
        .best_lines(12, 1024)
        .iter()
        .map(|line| line.number)
        .collect();
    assert_eq!(short, (39..=50).collect::<Vec<_>>());
    let none = compose_digest(&DigestSources {
        state: ProwJobState::Failure,
        description: "Job failed.",
        setup: None,
        quoting: QuotingPolicy::Censored,
        tests: &JunitReport::default(),
        logs: &[],
    });
    assert_eq!(none.summary, "This run left no log.");
    let with_code = digest_of(&log, &[], true, CODE);
    assert_eq!(
        (with_code.summary.as_str(), with_code.note),
        (SAID, Some(DigestNote::NoKnownError))
    );
    assert_eq!(with_code.lines.len(), 20);
    let better = digest_of("error: one\n", &[], true, CODE);
    assert_eq!(better.summary, "error: one", "the log knows better");
}

#[test]
fn a_failed_clone_is_told_whatever_is_censored() {
    let setup = SetupFailure {
        summary: "conflict in a with main: rebase #7".into(),
        lines: vec![
            "$ git merge x".into(),
            "CONFLICT (content): \u{1b}[31mx".into(),
        ],
    };
    let digest = compose_digest(&DigestSources {
        state: ProwJobState::Failure,
        description: "Job failed in initupload: timed out",
        setup: Some(&setup),
        quoting: QuotingPolicy::Unmarked,
        tests: &JunitReport::default(),
        logs: &[],
    });
    assert_eq!(
        (digest.kind, digest.summary.as_str(), digest.note),
        (
            FailureKind::Clone,
            "conflict in a with main: rebase #7",
            None
        )
    );
    assert_eq!(digest.lines[1].text, "CONFLICT (content): x");
    assert_within_bounds(&digest);
}

#[test]
fn json_of_the_entrypoint_is_never_quoted() {
    let json = |message: &str| {
        format!(
            r#"{{"component":"entrypoint","level":"error","msg":"{message}","severity":"error","time":"t"}}"#
        )
    };
    let log = format!(
        "step 1\n{}\n{}\n",
        json("Process did not finish before 8s timeout"),
        json("Process gracefully exited before 15s grace period"),
    );
    let digest = of(&log);
    assert_eq!(digest.summary, "timed out after 8 s");
    let shown: Vec<&str> = digest.lines.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(
        shown,
        [
            "step 1",
            "timed out after 8 s",
            "Process gracefully exited before 15s grace period"
        ]
    );
}

#[test]
fn a_line_that_starts_with_fail_is_a_find() {
    let digest = of("ok    add\nFAIL  divide: expected 2, found 3\n3 passed, 1 failed\n");
    assert_eq!(digest.summary, "FAIL  divide: expected 2, found 3");
    assert_eq!((digest.note, finds(&digest)), (None, vec![2]));
}

#[test]
fn the_end_of_a_line_without_end_is_shown() {
    let progress: String = (0..200_000).map(|n| format!("\r{n}%")).collect();
    let digest = of(&format!("start\n{progress}\rerror: the disk is full"));
    assert_eq!(digest.summary, "error: the disk is full");
    let words = of(&"y".repeat(3 << 20));
    assert!(words.lines.last().unwrap().text.starts_with("yyyy"));
}

#[test]
fn repetitions_count_once_and_the_last_one() {
    let log: String = (1..=30)
        .map(|n| format!("12:00:{n:02} ERROR attempt {n} at 0x7ffd{n:04} failed\nwaiting\n"))
        .collect();
    assert_eq!(finds(&of(&log)), [59]);
}

#[test]
fn of_several_containers_the_one_that_tells_most() {
    let logs = [
        ("a".to_owned(), findings(b"exit status 1\n")),
        ("b".to_owned(), findings(b"panic: no\n")),
        ("c".to_owned(), findings(b"fine\n")),
    ];
    let digest = compose_digest(&DigestSources {
        state: ProwJobState::Failure,
        description: "",
        setup: None,
        quoting: QuotingPolicy::Censored,
        tests: &JunitReport::default(),
        logs: &logs,
    });
    assert_eq!(
        (digest.container.as_str(), digest.summary.as_str()),
        ("b", "panic: no")
    );
}

#[test]
fn lines_of_a_long_log_keep_their_numbers() {
    let mut tail = LogTail::from_start();
    for chunk in 0..200_u64 {
        let lines = (1..=1000).map(|n| format!("{:0100}\n", chunk * 1000 + n));
        tail.push_chunk(lines.collect::<String>().as_bytes());
    }
    tail.push_chunk(b"panic: no\n");
    let found = tail.scan_errors(&[]);
    assert_eq!(found.lines.last().map(|line| line.number), Some(200_001));
    let mut end = LogTail::from_end();
    end.push_chunk(b"of a line\npanic: no\n");
    assert!(
        end.scan_errors(&[])
            .lines
            .iter()
            .all(|line| line.number == 0)
    );
}

#[test]
fn a_stored_digest_comes_back_within_its_bounds() {
    let digest = of(include_str!("logs/go.txt"));
    let stored = serde_json::to_vec(&digest).unwrap();
    assert_eq!(FailureDigest::parse_stored(&stored), Some(digest));
    let forged = serde_json::json!({
        "kind": "log", "summary": "a\nb\u{1b}[31mc".repeat(1000), "future": 1,
        "lines": vec![serde_json::json!({"number": 1, "text": "x".repeat(5000)}); 500],
        "annotations": [{"path": "../../x", "line": 1, "level": "failure", "message": ""}],
    });
    let read = FailureDigest::parse_stored(forged.to_string().as_bytes()).unwrap();
    assert_within_bounds(&read);
    assert!(read.annotations.is_empty());
    assert_eq!(FailureDigest::parse_stored(b"null"), None);
}

fn assert_within_bounds(digest: &FailureDigest) {
    let plain = |text: &str, max: usize| {
        assert!(text.len() <= max, "{} > {max}: {text:?}", text.len());
        assert!(!text.chars().any(char::is_control), "{text:?}");
    };
    assert!(digest.summary.chars().count() <= MAX_SUMMARY);
    plain(&digest.summary, 4 * MAX_SUMMARY);
    assert!(digest.tests.len() <= MAX_TESTS && digest.lines.len() <= MAX_LINES);
    assert!(digest.annotations.len() <= MAX_ANNOTATIONS);
    for test in &digest.tests {
        plain(&test.name, MAX_NAME);
        plain(&test.message, MAX_MESSAGE);
        plain(&test.frame, MAX_NAME);
    }
    for line in &digest.lines {
        plain(&line.text, MAX_LINE);
    }
    for annotation in &digest.annotations {
        assert!(source_location::is_relative_path(&annotation.path) && annotation.line > 0);
        plain(&annotation.message, MAX_MESSAGE);
    }
    let short = digest.best_lines(12, 1024);
    assert!(short.len() <= 12);
    assert!(short.iter().map(|line| line.text.len() + 1).sum::<usize>() <= 1024);
}

/// Random bytes, and pieces that the scanner recognises.
fn log() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40),
        prop_oneof![
            Just("--- FAIL: T"),
            Just("error: "),
            Just("::error file="),
            Just(",line=3::"),
            Just("a.go:3:1: "),
            Just("\u{1b}[31m"),
            Just("\u{1b}]"),
            Just("\r"),
            Just("\n"),
            Just("\n --> src/a.rs:1:1\n"),
            Just("thread 'x' panicked at a.rs:1"),
            Just("FAILED a::b"),
            Just("```@all<b>"),
            Just("ä\u{202e}"),
        ]
        .prop_map(|text: &str| text.as_bytes().to_vec()),
    ];
    proptest::collection::vec(piece, 0..80).prop_map(|pieces| pieces.concat())
}

fn xml() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..20),
        prop_oneof![
            Just("<testcase name=\"a\">"),
            Just("</testcase>"),
            Just("<failure message=\"m&#10;\">"),
            Just("</failure>"),
            Just("<![CDATA["),
            Just("]]>"),
            Just("<skipped/>"),
            Just("&lt;&x;"),
            Just("<!DOCTYPE t ["),
            Just("a.py:3"),
        ]
        .prop_map(|text: &str| text.as_bytes().to_vec()),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_make_a_bounded_digest(log in log(), xml in xml(), description in ".{0,300}", censored: bool) {
        let mut tests = JunitReport::default();
        tests.add_file(&xml, &[]);
        let digest = compose_digest(&DigestSources {
            state: ProwJobState::Failure,
            description: &description,
            setup: None,
            quoting: quoting(censored),
            tests: &tests,
            logs: &[("test".to_owned(), findings(&log))],
        });
        assert_within_bounds(&digest);
        prop_assert!(!digest.summary.is_empty() || !description.is_empty() || !log.is_empty());
        let stored = serde_json::to_vec(&digest).unwrap();
        prop_assert_eq!(FailureDigest::parse_stored(&stored), Some(digest));
    }
}
