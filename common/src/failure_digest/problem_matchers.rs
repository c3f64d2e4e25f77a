//! What error lines look like, and how much each kind of them explains.
//!
//! Weights are relative: 100 is the cause in plain words, 30 only says that something went wrong
//! before. The first matcher that matches a line counts, so special ones precede general ones.

use std::sync::LazyLock;

use regex::{Captures, Regex, RegexSet};

use super::AnnotationLevel;

/// A kind of line. Named groups: `test` is a failed test; `path`, `line` and `message` make an
/// annotation.
pub(super) struct ProblemMatcher {
    /// 0: not an error line.
    pub(super) weight: u32,
    pub(super) level: AnnotationLevel,
    pattern: Regex,
}

impl ProblemMatcher {
    pub(super) fn capture_groups<'a>(&self, text: &'a str) -> Captures<'a> {
        self.pattern.captures(text).expect("the set has matched it")
    }
}

use AnnotationLevel::{Failure as F, Notice as N, Warning as W};

/// Weight, level, pattern. Word boundaries are ASCII's: Unicode's are slow to find.
const TABLE: &[(u32, AnnotationLevel, &str)] = &[
    // Commands of GitHub's workflows; their file and line are in the parameters.
    (100, F, r"^::error(?P<command> [^:]*)?::(?P<message>.*)"),
    (0, W, r"^::warning(?P<command> [^:]*)?::(?P<message>.*)"),
    (0, N, r"^::notice(?P<command> [^:]*)?::(?P<message>.*)"),
    // entrypoint
    (
        100,
        F,
        r"^timed out after |Process did not finish before \S+ timeout|^The process log cannot be written",
    ),
    (
        85,
        F,
        r"^(?:Could not start the process|Entrypoint received interrupt: )",
    ),
    (60, F, r"^Process was ended by SIG"),
    // Rust
    (
        95,
        F,
        r"^thread '.*' (?:\(\d+\) )?panicked at (?P<path>[^:']+):(?P<line>\d+)",
    ),
    (95, F, r"^thread '.*' (?:\(\d+\) )?panicked at "),
    (
        25,
        F,
        r"^error: (?:could not compile|test failed|aborting due to|process didn't exit|build failed|\d+ targets? failed)",
    ),
    (90, F, r"^error(?:\[E\d+\])?: (?P<message>.+)"),
    (0, W, r"^warning: (?P<message>.+)"),
    (
        80,
        F,
        r"^test (?P<test>\S+)(?: - should panic)? \.\.\. FAILED$",
    ),
    (35, F, r"^test result: FAILED"),
    // Go
    (95, F, r"^\s*--- FAIL: (?P<test>\S+)"),
    (95, F, r"^panic: "),
    (90, F, r"^WARNING: DATA RACE"),
    (50, F, r"^FAIL\s+\S+\s+[\[\d(]"),
    (
        88,
        F,
        r"^(?:vet: )?(?P<path>[\w./@+-]+\.go):(?P<line>\d+):\d+: (?P<message>.+)",
    ),
    (
        60,
        F,
        r"^\s+(?P<path>[\w./@+-]+_test\.go):(?P<line>\d+): (?P<message>.+)",
    ),
    // JavaScript and TypeScript
    (
        90,
        F,
        r"^(?P<path>[\w./@+-]+)\((?P<line>\d+),\d+\): error (?P<message>.+)",
    ),
    (
        90,
        F,
        r"^(?P<path>[\w./@+-]+):(?P<line>\d+):\d+ - error (?P<message>.+)",
    ),
    (92, F, r"^\s*● (?P<test>.+ › .+)"),
    (85, F, r"^\s*[✕✗✖×] \S"),
    (70, F, r"^\s*● \S"),
    (60, F, r"^\s*FAIL\s+\S+\.[cm]?[jt]sx?(?-u:\b)"),
    (80, F, r"^\s*\d+:\d+\s+error\s+\S"),
    (90, F, r"^not ok \d+ (?:- )?(?P<test>[^#]*[^# ])$"),
    (35, F, r"^npm (?:ERR!|error) "),
    // Python
    (85, F, r"^E   +\S"),
    (92, F, r"^FAILED (?P<test>\S+::\S+)"),
    (88, F, r"^ERROR \S+(?:\.py|::)"),
    (90, F, r"^(?:FAIL|ERROR): (?P<test>\w+ \([\w.]+\))"),
    (
        80,
        F,
        r"^(?P<path>[\w./@+-]+\.py):(?P<line>\d+): (?P<message>(?:\w+\.)*\w*(?:Error|Exception|Failed)(?-u:\b).*)",
    ),
    // Python and the JVM, the last line of a trace or its first
    (82, F, r"^\s*(?:\w+\.)*\w*(?:Error|Exception)(?:: |$)"),
    (88, F, r"^Exception in thread "),
    (60, F, r"^\s*Caused by: "),
    // Maven and Gradle
    (
        0,
        F,
        r"^\[ERROR\]\s*(?:$|-> \[Help|\[Help|To see the full|Re-run Maven|For more information|After correcting|See .* for the individual|Failures: ?$|Errors: ?$)",
    ),
    (
        92,
        F,
        r"^\[ERROR\] (?P<path>/?[\w./@+-]+\.\w+):\[(?P<line>\d+),\d+\] (?P<message>.+)",
    ),
    (92, F, r"^\[ERROR\]\s+(?P<test>[\w$]+\.[\w$]+):\d+"),
    (75, F, r"^\[ERROR\] Tests run: "),
    (70, F, r"^\[ERROR\]"),
    (
        90,
        F,
        r"^e: (?P<path>[\w./@+:-]+\.kts?):(?P<line>\d+):\d+:? (?P<message>.+)",
    ),
    (90, F, r"^(?P<test>\S+ > .+) FAILED$"),
    (70, F, r"^> Task \S+ FAILED"),
    (65, F, r"^\* What went wrong:"),
    (55, F, r"^FAILURE: Build failed"),
    // Bazel
    (90, F, r"^(?P<test>//\S+)\s+(?:FAILED|TIMEOUT)(?-u:\b)"),
    // Compilers and linters of many languages
    (
        90,
        F,
        r"^(?P<path>[^\s:()]+):(?P<line>\d+)(?::\d+)?: (?:fatal )?[Ee]rror:? (?P<message>.+)",
    ),
    (
        0,
        W,
        r"^(?P<path>[^\s:()]+):(?P<line>\d+)(?::\d+)?: [Ww]arning:? (?P<message>.+)",
    ),
    (75, F, r"undefined reference to "),
    (40, F, r"^collect2: |ld returned \d+ exit status"),
    (55, F, r"^(?:g?make|ninja)(?:\[\d+\])?: \*\*\* "),
    (50, F, r"^ninja: (?:error|build stopped)"),
    // The shell, git, the machine
    (75, F, r": (?:command )?not found$"),
    (70, F, r"^fatal: "),
    (80, F, r"^CONFLICT \("),
    (
        75,
        F,
        r"Segmentation fault|core dumped|SIG(?:SEGV|ABRT|BUS|ILL)(?-u:\b)",
    ),
    (
        75,
        F,
        r"(?i)(?-u:\b)out of memory(?-u:\b)|(?-u:\b)no space left on device(?-u:\b)|(?-u:\b)cannot allocate memory(?-u:\b)",
    ),
    (60, F, r"(?i): permission denied(?-u:\b)"),
    (60, F, r": No such file or directory(?-u:\b)"),
    (
        30,
        F,
        r"(?i)(?-u:\b)exit(?:ed)?(?: with)?(?: a)?(?: non-zero)? (?:status|code):? [1-9]",
    ),
    // Test results of scripts and small runners
    (80, F, r"^\s*FAIL(?:ED|URE)?:?\s+\S"),
    (20, F, r"^\s*FAIL"),
    // Lines that call themselves an error
    (0, F, r"(?i)(?-u:\b)(?:0|no) (?:errors?|failures)(?-u:\b)"),
    (45, F, r"(?i)^\W{0,4}(?:error|fatal)(?-u:\b)"),
    (
        35,
        F,
        r#"(?-u:\b)(?:ERROR|FATAL)(?-u:\b)|(?-u:\b)(?:level|severity)"?[=:] ?"?(?:error|fatal)(?-u:\b)"#,
    ),
];

static MATCHER_SET: LazyLock<RegexSet> = LazyLock::new(|| {
    RegexSet::new(TABLE.iter().map(|row| row.2)).expect("literal patterns compile")
});

static MATCHERS: LazyLock<Vec<ProblemMatcher>> = LazyLock::new(|| {
    let class = |&(weight, level, pattern): &(u32, AnnotationLevel, &str)| ProblemMatcher {
        weight,
        level,
        pattern: Regex::new(pattern).expect("literal patterns compile"),
    };
    TABLE.iter().map(class).collect()
});

/// The first matcher that matches a line.
pub(super) fn match_line(text: &str) -> Option<&'static ProblemMatcher> {
    MATCHER_SET
        .matches(text)
        .iter()
        .next()
        .map(|index| &MATCHERS[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_by_weight() {
        for (text, weight) in [
            ("::error file=a.go,line=3::broken", 100),
            (
                r#"{"level":"error","msg":"Process did not finish before 2h0m0s timeout"}"#,
                100,
            ),
            ("thread 'tests::adds' panicked at src/lib.rs:9:5:", 95),
            ("thread 'main' (4711) panicked at src/main.rs:2:5:", 95),
            ("error[E0308]: mismatched types", 90),
            (
                "error: could not compile `x` (lib) due to 1 previous error",
                25,
            ),
            ("test tests::adds ... FAILED", 80),
            ("test tests::adds ... ok", 0),
            ("--- FAIL: TestFoo (0.00s)", 95),
            ("    --- FAIL: TestFoo/sub (0.00s)", 95),
            ("--- PASS: TestFoo (0.00s)", 0),
            ("FAIL\texample.com/p\t0.003s", 50),
            ("FAIL  divide: expected 2, found 3", 80),
            ("  FAIL  divide: expected 2, found 3", 80),
            ("FAILED: adds", 80),
            ("FAIL", 20),
            ("failure is not an option", 0),
            ("timed out after 8 s", 100),
            (
                "The process log cannot be written, so the job ends here: no",
                100,
            ),
            ("Process was ended by SIGKILL", 60),
            ("pkg/a.go:12:3: undefined: x", 88),
            ("src/a.ts(3,5): error TS2345: no", 90),
            ("src/a.ts:3:5 - error TS2345: no", 90),
            ("  ● sum › adds", 92),
            ("    ✕ adds (3 ms)", 85),
            ("    ✓ adds (3 ms)", 0),
            ("E       assert 1 == 2", 85),
            ("FAILED tests/test_a.py::test_x - AssertionError", 92),
            ("ValueError: no", 82),
            ("[ERROR] /w/src/A.java:[4,9] cannot find symbol", 92),
            ("[ERROR]   FooTest.bar:42 expected:<1> but was:<2>", 92),
            ("[ERROR] -> [Help 1]", 0),
            ("[INFO] BUILD FAILURE", 0),
            ("src/a.c:3:5: error: expected ';'", 90),
            (
                "src/a.c:3:5: fatal error: x.h: No such file or directory",
                90,
            ),
            ("src/a.c:3:5: warning: unused", 0),
            ("make[2]: *** [Makefile:3: all] Error 2", 55),
            ("bash: line 1: foo: command not found", 75),
            ("sh: 1: foo: not found", 75),
            ("fatal: couldn't find remote ref x", 70),
            ("exit status 2", 30),
            ("exit status 0", 0),
            ("0 errors, 3 warnings", 0),
            ("Error: something", 82),
            ("fatal error in step 3", 45),
            ("2026-08-01 ERROR it broke", 35),
            ("all good", 0),
            ("tests/errors/mod.rs", 0),
        ] {
            assert_eq!(
                match_line(text).map_or(0, |class| class.weight),
                weight,
                "{text}"
            );
        }
    }
}
