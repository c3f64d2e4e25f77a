//! Composes the digest of a run from its results.

use crate::prowjob::ProwJobState;

use super::{
    DigestLine, DigestNote, FailedTest, FailureDigest, FailureKind, MAX_ANNOTATIONS, MAX_TESTS,
    NO_FAILED_TEST_NAMED, QuotingPolicy, build_log::LogFindings, junit::JunitReport,
};

/// What is known about a failed run.
#[derive(Clone, Debug)]
pub struct DigestSources<'a> {
    pub state: ProwJobState,
    /// The description of the `ProwJob`: plank writes there what happened to the pod.
    pub description: &'a str,
    /// Set if the run ended before its test began.
    pub setup: Option<&'a SetupFailure>,
    /// How much of tests and logs may be quoted.
    pub quoting: QuotingPolicy,
    pub tests: &'a JunitReport,
    /// By container.
    pub logs: &'a [(String, LogFindings)],
}

/// Why a run ended before its test began. It contains nothing of the job, which had not started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetupFailure {
    pub summary: String,
    /// The commands and their output.
    pub lines: Vec<String>,
}

/// Words in a description that name a fault of the pod, whatever the state.
const POD_FAULTS: [&str; 12] = [
    "oomkilled",
    "oom killed",
    "out of memory",
    "evicted",
    "errimagepull",
    "imagepullbackoff",
    "errimageneverpull",
    "invalidimagename",
    "deadline",
    "timeout",
    "timed out",
    "could not start",
];

/// Composes the digest of a run. If it can say nothing, it says why.
#[must_use]
pub fn compose_digest(sources: &DigestSources<'_>) -> FailureDigest {
    if let Some(setup) = sources.setup {
        return setup_digest(setup);
    }
    let log = sources
        .logs
        .iter()
        .filter(|_| sources.quoting.allows_words())
        .max_by_key(|(_, findings)| findings.score);
    let (tests, failed) = collect_failed_tests(sources, log.map(|(_, findings)| findings));
    let total = sources.tests.total;
    let mut digest = FailureDigest {
        total_tests: total,
        failed_tests: failed,
        ..FailureDigest::default()
    };
    digest.note = match log {
        _ if !sources.quoting.allows_words() => Some(DigestNote::Uncensored),
        Some((_, findings)) if findings.score > 0 => None,
        Some((_, findings)) if !findings.lines.is_empty() => Some(DigestNote::NoKnownError),
        _ => Some(DigestNote::NoLog),
    };
    (digest.kind, digest.summary) = match (pod_fault(sources), log, digest.note) {
        (Some(fault), ..) => (FailureKind::Pod, fault.to_owned()),
        _ if failed > 0 => (FailureKind::Tests, tests_summary(failed, total, &tests)),
        (_, Some((_, findings)), None) => (FailureKind::Log, findings.best.clone()),
        (.., note) => (
            FailureKind::Unknown,
            fallback_summary(sources.description, note),
        ),
    };
    digest.tests = tests;
    digest.tests.truncate(MAX_TESTS);
    if sources.quoting.allows_words() {
        let of_tests = sources.tests.failed_cases();
        digest.annotations = of_tests
            .filter_map(|failure| failure.annotation.clone())
            .collect();
    }
    if let Some((container, findings)) = log {
        digest.container.clone_from(container);
        digest.lines.clone_from(&findings.lines);
        for annotation in &findings.annotations {
            let taken = digest
                .annotations
                .iter()
                .any(|other| (&other.path, other.line) == (&annotation.path, annotation.line));
            if !taken {
                digest.annotations.push(annotation.clone());
            }
        }
    }
    digest
        .annotations
        .sort_by_key(|annotation| annotation.level);
    digest.annotations.truncate(MAX_ANNOTATIONS);
    digest.truncate_fields()
}

/// The summary if tests and log say nothing: the exit code, if plank could name it.
fn fallback_summary(description: &str, note: Option<DigestNote>) -> String {
    let plain = match note {
        Some(DigestNote::Uncensored) | None => NO_FAILED_TEST_NAMED,
        Some(note) => note.user_message(),
    };
    let code = description.strip_prefix("Job failed. ");
    code.unwrap_or(plain).to_owned()
}

/// Git's lines have no numbers, because the log of the clone is not the job's.
fn setup_digest(setup: &SetupFailure) -> FailureDigest {
    let tells = |text: &str| {
        ["CONFLICT (", "fatal: ", "error: "]
            .iter()
            .any(|it| text.starts_with(it))
    };
    let line = |text: &String| DigestLine {
        text: text.clone(),
        error: tells(text),
        ..DigestLine::default()
    };
    let digest = FailureDigest {
        kind: FailureKind::Clone,
        summary: setup.summary.clone(),
        lines: setup.lines.iter().map(line).collect(),
        ..FailureDigest::default()
    };
    digest.truncate_fields()
}

/// Failed tests and their number: of the `JUnit` files, else those that the log names.
fn collect_failed_tests(
    sources: &DigestSources<'_>,
    log: Option<&LogFindings>,
) -> (Vec<FailedTest>, u64) {
    let named = |name: &String| FailedTest {
        name: name.clone(),
        ..FailedTest::default()
    };
    let failed = sources.tests.failed_count();
    if failed == 0 {
        let names = log.map_or(&[][..], |findings| &findings.tests);
        return (names.iter().map(named).collect(), names.len() as u64);
    }
    let tests = sources.tests.failed_cases().map(|failure| {
        if sources.quoting.allows_words() {
            failure.test.clone()
        } else {
            named(&failure.test.name)
        }
    });
    (tests.collect(), failed)
}

/// The description if it names a fault of the pod. What ran never causes the state `error`; a
/// `Job failed` with details comes from the pod's status.
fn pod_fault<'a>(sources: &DigestSources<'a>) -> Option<&'a str> {
    let description = sources.description;
    let lower = description.to_lowercase();
    let named = POD_FAULTS.iter().any(|fault| lower.contains(fault))
        || description.starts_with("Job failed: ")
        || description.starts_with("Job failed in ");
    let is_fault = named || (sources.state == ProwJobState::Error && !description.is_empty());
    is_fault.then_some(description)
}

/// `2 of 431 tests failed: TestFoo, TestBar`.
fn tests_summary(failed: u64, total: u64, tests: &[FailedTest]) -> String {
    let count = match (failed, total) {
        (1, 0) => "1 test failed".to_owned(),
        (failed, 0) => format!("{failed} tests failed"),
        (1, 1) => "the only test failed".to_owned(),
        (failed, total) => format!("{failed} of {total} tests failed"),
    };
    let names: Vec<&str> = tests.iter().map(|test| test.name.as_str()).collect();
    format!("{count}: {}", names.join(", "))
}
