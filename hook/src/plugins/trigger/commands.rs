//! Finds the commands in a comment.
//!
//! Patterns are Prow's, anchored to lines and case-sensitive. Unlike in Prow, text in fenced
//! code blocks never counts, neither for relevance nor for the choice of jobs.

use std::sync::LazyLock;

use regex::Regex;

/// The commands of a comment that exist in every repository. Jobs' own triggers are not here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TriggerCommands {
    pub(crate) test_all: bool,
    pub(crate) retest: bool,
    pub(crate) retest_required: bool,
    pub(crate) test_manual_required: bool,
    pub(crate) ok_to_test: bool,
    pub(crate) ok_to_test_cancel: bool,
    /// `/test ?`
    pub(crate) ask_help: bool,
    /// `/test` and nothing more.
    pub(crate) bare_test: bool,
    /// `/retest` of something named.
    pub(crate) retest_named: bool,
    /// `/test` of something named.
    pub(crate) test_named: bool,
}

macro_rules! pattern {
    ($pattern:literal) => {{
        static PATTERN: LazyLock<Regex> =
            LazyLock::new(|| Regex::new($pattern).expect("a literal pattern compiles"));
        &*PATTERN
    }};
}

impl TriggerCommands {
    /// Reads a text without fenced code blocks.
    pub(crate) fn parse_commands(text: &str) -> Self {
        let has = |pattern: &Regex| pattern.is_match(text);
        // `[\t\n\f\r ]` is what Go's `\s` means.
        Self {
            test_all: has(pattern!(r"(?m)^/test all,?($|[\t\n\f\r ].*)")),
            retest: has(pattern!(r"(?m)^/retest[\t\n\f\r ]*$")),
            retest_required: has(pattern!(r"(?m)^/retest-required[\t\n\f\r ]*$")),
            test_manual_required: has(pattern!(r"(?m)^/test-manual-required[\t\n\f\r ]*$")),
            ok_to_test: has(pattern!(r"(?m)^/ok-to-test[\t\n\f\r ]*$")),
            ok_to_test_cancel: has(pattern!(r"(?m)^/ok-to-test[\t\n\f\r ]+cancel[\t\n\f\r ]*$")),
            ask_help: has(pattern!(r"(?m)^/test[ \t]*\?[\t\n\f\r ]*$")),
            bare_test: has(pattern!(r"(?m)^/test[\t\n\f\r ]*$")),
            retest_named: has(pattern!(r"(?m)^/retest[ \t]+[^\t\n\f\r ]")),
            test_named: has(pattern!(r"(?m)^/test[ \t]+[^\t\n\f\r ]")),
        }
    }

    pub(crate) fn has_any(self) -> bool {
        self != Self::default()
    }

    /// Whether earlier help comments are out of date.
    pub(crate) fn asks_for_tests(self) -> bool {
        self.test_all
            || self.retest
            || self.bare_test
            || self.ask_help
            || self.test_named
            || self.retest_named
            || self.retest_required
            || self.test_manual_required
    }
}

/// The text without its fenced code blocks (three or more backticks or tildes), with plain
/// line ends. A block that is never closed reaches to the end, as GitHub shows it.
pub(crate) fn strip_code_fences(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut open: Option<CodeFence> = None;
    for line in text.lines() {
        let line = line.strip_suffix('\r').unwrap_or(line);
        match (&open, CodeFence::parse_line(line)) {
            (None, Some(fence)) if fence.opens => open = Some(fence),
            (None, _) => {
                out.push_str(line);
                out.push('\n');
            }
            (Some(outer), Some(fence)) if fence.closes_fence(outer) => open = None,
            (Some(_), _) => {}
        }
    }
    out
}

/// A line that begins with a run of fence characters.
struct CodeFence {
    character: char,
    length: usize,
    /// False when another backtick follows a run of backticks: that is inline code.
    opens: bool,
    /// Nothing follows the run.
    bare: bool,
}

impl CodeFence {
    fn parse_line(line: &str) -> Option<Self> {
        let text = line.trim_start_matches(' ');
        if line.len() - text.len() > 3 {
            return None;
        }
        let character = text.chars().next().filter(|c| matches!(c, '`' | '~'))?;
        let rest = text.trim_start_matches(character);
        let length = text.len() - rest.len();
        (length >= 3).then(|| Self {
            character,
            length,
            opens: character == '~' || !rest.contains('`'),
            bare: rest.trim().is_empty(),
        })
    }

    fn closes_fence(&self, outer: &Self) -> bool {
        self.bare && self.character == outer.character && self.length >= outer.length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::too_many_lines, reason = "one table")]
    fn commands_are_whole_lines() {
        let none = TriggerCommands::default();
        for (text, expected) in [
            ("hello", none),
            ("say /retest", none),
            (" /retest", none),
            ("/Retest", none),
            ("/retesting", none),
            (
                "/retest",
                TriggerCommands {
                    retest: true,
                    ..none
                },
            ),
            (
                "first\r\n/retest \r\nlast",
                TriggerCommands {
                    retest: true,
                    ..none
                },
            ),
            ("/retest\u{a0}", none),
            (
                "/retest unit",
                TriggerCommands {
                    retest_named: true,
                    ..none
                },
            ),
            (
                "/retest-required",
                TriggerCommands {
                    retest_required: true,
                    ..none
                },
            ),
            (
                "/test-manual-required",
                TriggerCommands {
                    test_manual_required: true,
                    ..none
                },
            ),
            (
                "/test",
                TriggerCommands {
                    bare_test: true,
                    ..none
                },
            ),
            (
                "/test ?",
                TriggerCommands {
                    ask_help: true,
                    test_named: true,
                    ..none
                },
            ),
            (
                "/test?",
                TriggerCommands {
                    ask_help: true,
                    ..none
                },
            ),
            (
                "/test unit",
                TriggerCommands {
                    test_named: true,
                    ..none
                },
            ),
            (
                "/test all",
                TriggerCommands {
                    test_all: true,
                    test_named: true,
                    ..none
                },
            ),
            (
                "/test all, please",
                TriggerCommands {
                    test_all: true,
                    test_named: true,
                    ..none
                },
            ),
            (
                "/test allofit",
                TriggerCommands {
                    test_named: true,
                    ..none
                },
            ),
            (
                "/ok-to-test",
                TriggerCommands {
                    ok_to_test: true,
                    ..none
                },
            ),
            ("/ok-to-test please", none),
            (
                "/ok-to-test cancel",
                TriggerCommands {
                    ok_to_test_cancel: true,
                    ..none
                },
            ),
        ] {
            assert_eq!(TriggerCommands::parse_commands(text), expected, "{text:?}");
        }
    }

    #[test]
    fn fenced_blocks_go() {
        for (name, text, left) in [
            ("none", "/a\n/b", "/a\n/b\n"),
            ("backticks", "/a\n```\n/b\n```\n/c", "/a\n/c\n"),
            ("with a language", "```sh\n/b\n```\n/c", "/c\n"),
            ("tildes", "~~~\n/b\n~~~\n/c", "/c\n"),
            (
                "the other kind does not close",
                "~~~\n```\n/b\n~~~\n/c",
                "/c\n",
            ),
            (
                "a shorter one does not close",
                "````\n```\n/b\n````\n/c",
                "/c\n",
            ),
            ("CRLF", "```\r\n/b\r\n```\r\n/c\r\n", "/c\n"),
            ("never closed", "/a\n```\n/b", "/a\n"),
            ("indented as code", "    ```\n/b", "    ```\n/b\n"),
            ("in a line", "```/a``` x\n/b", "```/a``` x\n/b\n"),
        ] {
            assert_eq!(strip_code_fences(text), left, "{name}");
        }
    }
}
