//! Findings for a person at a terminal: errors first, then warnings by their name, each on a
//! line that an editor can follow.

use std::{
    collections::BTreeMap,
    env,
    io::{self, IsTerminal, Write},
};

use common::{config::Diagnostic, untrusted_text::escape_terminal};

use super::report::{CheckReport, CheckSeverity, diagnostic_message};

/// Most characters of a file name, a path or a message: a stranger may have chosen them.
pub(super) const MAX_TEXT: usize = 4_000;

/// Whether words are coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReportStyle {
    Plain,
    Coloured,
}

impl ReportStyle {
    /// Colours on a terminal, unless `NO_COLOR` is set (<https://no-color.org>) or the terminal
    /// has none.
    pub(super) fn detect_style(out: &impl IsTerminal) -> Self {
        let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || env::var_os("TERM").is_some_and(|value| value == "dumb");
        if out.is_terminal() && !refused {
            Self::Coloured
        } else {
            Self::Plain
        }
    }

    fn paint_text(self, code: &str, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Coloured => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        }
    }

    fn paint_severity(self, severity: CheckSeverity, text: &str) -> String {
        self.paint_text(
            match severity {
                CheckSeverity::Error => "1;31",
                CheckSeverity::Warning => "1;33",
            },
            text,
        )
    }
}

/// One group per heading, then notes, and a summary line.
pub(super) fn write_text(
    report: &CheckReport,
    style: ReportStyle,
    out: &mut impl Write,
) -> io::Result<()> {
    if !report.errors.is_empty() {
        let heading = pluralize_count(report.errors.len(), "error", "errors");
        writeln!(
            out,
            "{}",
            style.paint_severity(CheckSeverity::Error, &heading)
        )?;
        write_group(&report.errors, style, true, out)?;
    }
    let mut by_rule: BTreeMap<&str, Vec<&Diagnostic>> = BTreeMap::new();
    for problem in &report.warnings {
        by_rule.entry(problem.rule).or_default().push(problem);
    }
    for (rule, problems) in by_rule {
        let number = pluralize_count(problems.len(), "warning", "warnings");
        let rule = style.paint_severity(CheckSeverity::Warning, rule);
        writeln!(out, "{rule}: {number}")?;
        write_group(problems, style, false, out)?;
    }
    for note in &report.notes {
        writeln!(
            out,
            "{}",
            style.paint_text("2", &escape_terminal(note, MAX_TEXT))
        )?;
    }
    if !report.notes.is_empty() {
        writeln!(out)?;
    }
    writeln!(out, "{}", summary_line(report))
}

/// One line per finding, and a blank one at the end.
fn write_group<'a>(
    problems: impl IntoIterator<Item = &'a Diagnostic>,
    style: ReportStyle,
    with_rule: bool,
    out: &mut impl Write,
) -> io::Result<()> {
    for problem in problems {
        let mut place = escape_terminal(&problem.file, MAX_TEXT);
        if problem.line > 0 {
            place.push_str(&format!(":{}:{}", problem.line, problem.column));
        }
        write!(out, "{}: ", style.paint_text("1", &place))?;
        if !problem.path.is_empty() {
            write!(
                out,
                "{}: ",
                style.paint_text("36", &escape_terminal(&problem.path, MAX_TEXT))
            )?;
        }
        write!(
            out,
            "{}",
            escape_terminal(&diagnostic_message(problem), MAX_TEXT)
        )?;
        if with_rule {
            write!(
                out,
                " {}",
                style.paint_text("2", &format!("[{}]", problem.rule))
            )?;
        }
        writeln!(out)?;
    }
    writeln!(out)
}

/// What was read, and how many findings there are.
pub(super) fn summary_line(report: &CheckReport) -> String {
    let counts = &report.counts;
    format!(
        "{}, {} in {}: {}, {}, {}, {} for {}",
        pluralize_count(report.errors.len(), "error", "errors"),
        pluralize_count(report.warnings.len(), "warning", "warnings"),
        pluralize_count(counts.files, "file", "files"),
        pluralize_count(counts.presubmits, "presubmit", "presubmits"),
        pluralize_count(counts.postsubmits, "postsubmit", "postsubmits"),
        pluralize_count(counts.periodics, "periodic", "periodics"),
        pluralize_count(counts.presets, "preset", "presets"),
        pluralize_count(counts.repositories, "repository", "repositories"),
    )
}

fn pluralize_count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::report::tests::sample_report;

    fn show(report: &CheckReport, style: ReportStyle) -> String {
        let mut out = Vec::new();
        write_text(report, style, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_page_for_people() {
        assert_eq!(
            show(&sample_report(), ReportStyle::Plain),
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
        let mut report = sample_report();
        let lines = show(&report, ReportStyle::Plain).lines().count();
        let problem = &mut report.errors[0];
        problem.file = hostile.into();
        problem.path = hostile.into();
        problem.message = hostile.into();
        problem.hint = Some(hostile.into());
        let text = show(&report, ReportStyle::Plain);
        assert_eq!(text.lines().count(), lines, "{text}");
        assert!(
            !text.contains(['\u{1b}', '\u{7}', '\u{9b}', '\u{202e}']),
            "{text:?}"
        );
    }

    #[test]
    fn nothing_found_is_one_line() {
        assert_eq!(
            show(&CheckReport::default(), ReportStyle::Plain)
                .lines()
                .count(),
            1
        );
        let coloured = show(&sample_report(), ReportStyle::Coloured);
        assert!(
            coloured.contains("\u{1b}[1;31m1 error\u{1b}[0m"),
            "{coloured}"
        );
    }
}
