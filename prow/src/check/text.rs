//! Findings for a person at a terminal: errors first, then warnings by their name, each on a
//! line that an editor can follow.

use std::{
    collections::BTreeMap,
    env,
    io::{self, IsTerminal, Write},
};

use common::{config::Problem, inert::terminal};

use super::report::{Report, Severity, message};

/// Characters of a file's name, a path or a message: who sends a pull request may choose them.
pub(super) const MAX_TEXT: usize = 4_000;

/// Whether words are coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Coloured,
}

impl Style {
    /// Colours on a terminal, unless `NO_COLOR` is set (<https://no-color.org>) or the terminal
    /// has none.
    pub(super) fn of(out: &impl IsTerminal) -> Self {
        let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || env::var_os("TERM").is_some_and(|value| value == "dumb");
        if out.is_terminal() && !refused {
            Self::Coloured
        } else {
            Self::Plain
        }
    }

    fn paint(self, code: &str, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Coloured => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        }
    }

    fn severity(self, severity: Severity, text: &str) -> String {
        self.paint(
            match severity {
                Severity::Error => "1;31",
                Severity::Warning => "1;33",
            },
            text,
        )
    }
}

/// Groups under a heading each, notes, and one line that sums up.
pub(super) fn write(report: &Report, style: Style, out: &mut impl Write) -> io::Result<()> {
    if !report.errors.is_empty() {
        let heading = counted(report.errors.len(), "error", "errors");
        writeln!(out, "{}", style.severity(Severity::Error, &heading))?;
        group(&report.errors, style, true, out)?;
    }
    let mut by_rule: BTreeMap<&str, Vec<&Problem>> = BTreeMap::new();
    for problem in &report.warnings {
        by_rule.entry(problem.rule).or_default().push(problem);
    }
    for (rule, problems) in by_rule {
        let number = counted(problems.len(), "warning", "warnings");
        let rule = style.severity(Severity::Warning, rule);
        writeln!(out, "{rule}: {number}")?;
        group(problems, style, false, out)?;
    }
    for note in &report.notes {
        writeln!(out, "{}", style.paint("2", &terminal(note, MAX_TEXT)))?;
    }
    if !report.notes.is_empty() {
        writeln!(out)?;
    }
    writeln!(out, "{}", summary(report))
}

/// A line a finding, and a blank one at the end.
fn group<'a>(
    problems: impl IntoIterator<Item = &'a Problem>,
    style: Style,
    with_rule: bool,
    out: &mut impl Write,
) -> io::Result<()> {
    for problem in problems {
        let mut place = terminal(&problem.file, MAX_TEXT);
        if problem.line > 0 {
            place.push_str(&format!(":{}:{}", problem.line, problem.column));
        }
        write!(out, "{}: ", style.paint("1", &place))?;
        if !problem.path.is_empty() {
            write!(
                out,
                "{}: ",
                style.paint("36", &terminal(&problem.path, MAX_TEXT))
            )?;
        }
        write!(out, "{}", terminal(&message(problem), MAX_TEXT))?;
        if with_rule {
            write!(out, " {}", style.paint("2", &format!("[{}]", problem.rule)))?;
        }
        writeln!(out)?;
    }
    writeln!(out)
}

/// What was read and how many findings there are.
pub(super) fn summary(report: &Report) -> String {
    let counts = &report.counts;
    format!(
        "{}, {} in {}: {}, {}, {}, {} for {}",
        counted(report.errors.len(), "error", "errors"),
        counted(report.warnings.len(), "warning", "warnings"),
        counted(counts.files, "file", "files"),
        counted(counts.presubmits, "presubmit", "presubmits"),
        counted(counts.postsubmits, "postsubmit", "postsubmits"),
        counted(counts.periodics, "periodic", "periodics"),
        counted(counts.presets, "preset", "presets"),
        counted(counts.repositories, "repository", "repositories"),
    )
}

fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::report::tests::sample;

    fn show(report: &Report, style: Style) -> String {
        let mut out = Vec::new();
        write(report, style, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_page_for_people() {
        assert_eq!(
            show(&sample(), Style::Plain),
            "\
1 error
a.yaml:4:5: decorat: unknown field; did you mean \"decorate\"? [unknown-field]

long-job-names: 1 warning
b.yaml:7:5: periodics[0].name: too long

validate-owners: 1 warning
plugins.yaml: 50% of a:b, c\\nd

known, not used here: config.yaml: gerrit

1 error, 2 warnings in 3 files: 2 presubmits, 0 postsubmits, 1 periodic, 1 preset for 2 repositories
"
        );
    }

    #[test]
    fn a_strangers_file_does_nothing_in_a_terminal() {
        let hostile = "a\n1 error\u{1b}]0;t\u{7}\u{9b}2J\u{202e}";
        let mut report = sample();
        let lines = show(&report, Style::Plain).lines().count();
        let problem = &mut report.errors[0];
        problem.file = hostile.into();
        problem.path = hostile.into();
        problem.message = hostile.into();
        problem.hint = Some(hostile.into());
        let text = show(&report, Style::Plain);
        assert_eq!(text.lines().count(), lines, "{text}");
        assert!(
            !text.contains(['\u{1b}', '\u{7}', '\u{9b}', '\u{202e}']),
            "{text:?}"
        );
    }

    #[test]
    fn nothing_found_is_one_line() {
        assert_eq!(show(&Report::default(), Style::Plain).lines().count(), 1);
        let coloured = show(&sample(), Style::Coloured);
        assert!(
            coloured.contains("\u{1b}[1;31m1 error\u{1b}[0m"),
            "{coloured}"
        );
    }
}
