//! Workflow commands, with which GitHub Actions shows a finding next to its line.
//!
//! The form is GitHub's:
//! <https://docs.github.com/actions/reference/workflow-commands-for-github-actions>.

use std::{
    borrow::Cow,
    io::{self, Write},
};

use common::untrusted_text::{escape_terminal, escape_terminal_lines};

use super::{
    report::{CheckReport, diagnostic_message},
    text::{MAX_TEXT, summary_line},
};

/// One annotation per finding, and the summary as a plain line of the log.
pub(super) fn write_annotations(report: &CheckReport, out: &mut impl Write) -> io::Result<()> {
    for (severity, problem) in report.diagnostics_with_severity() {
        write!(out, "::{} ", severity.as_str())?;
        if !problem.file.is_empty() {
            write!(
                out,
                "file={},",
                escape_property(&escape_terminal(&problem.file, MAX_TEXT))
            )?;
        }
        if problem.line > 0 {
            write!(out, "line={},col={},", problem.line, problem.column)?;
        }
        let place = if problem.path.is_empty() {
            String::new()
        } else {
            format!("{}: ", problem.path)
        };
        let text = format!("{place}{}", diagnostic_message(problem));
        let text = escape_terminal_lines(&text, MAX_TEXT);
        writeln!(
            out,
            "title={}::{}",
            escape_property(problem.rule),
            escape_data(&text)
        )?;
    }
    writeln!(out, "{}", summary_line(report))
}

fn escape_data(text: &str) -> Cow<'_, str> {
    percent_encode(text, |c| matches!(c, '%' | '\r' | '\n'))
}

fn escape_property(text: &str) -> Cow<'_, str> {
    percent_encode(text, |c| matches!(c, '%' | '\r' | '\n' | ':' | ','))
}

fn percent_encode(text: &str, special: fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(special) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if special(c) {
            escaped.push_str(&format!("%{:02X}", u32::from(c)));
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::report::tests::sample_report;

    #[test]
    fn every_finding_is_one_command() {
        let mut report = sample_report();
        report.errors[0].file = "a,b:c%.yaml".into();
        let mut out = Vec::new();
        write_annotations(&report, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[..3],
            [
                "::error file=a%2Cb%3Ac%25.yaml,line=4,col=5,title=unknown-field::decorat: unknown \
                 field; did you mean \"decorate\"?",
                "::warning file=b.yaml,line=7,col=5,title=long-job-names::periodics[0].name: too long",
                "::warning file=plugins.yaml,title=validate-owners::50%25 of a:b, c%0Ad",
            ]
        );
        assert_eq!(lines.len(), 4);
    }
}
