//! Workflow commands, by which GitHub Actions shows a finding beside its line.
//!
//! The form is GitHub's: <https://docs.github.com/actions/reference/workflow-commands-for-github-actions>.

use std::{
    borrow::Cow,
    io::{self, Write},
};

use common::inert::{terminal, terminal_lines};

use super::{
    report::{Report, message},
    text::{MAX_TEXT, summary},
};

/// An annotation a finding, and the summary as a plain line of the log.
pub(super) fn write(report: &Report, out: &mut impl Write) -> io::Result<()> {
    for (severity, problem) in report.findings() {
        write!(out, "::{} ", severity.name())?;
        if !problem.file.is_empty() {
            write!(
                out,
                "file={},",
                property(&terminal(&problem.file, MAX_TEXT))
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
        let text = format!("{place}{}", message(problem));
        let text = terminal_lines(&text, MAX_TEXT);
        writeln!(out, "title={}::{}", property(problem.rule), data(&text))?;
    }
    writeln!(out, "{}", summary(report))
}

fn data(text: &str) -> Cow<'_, str> {
    escape(text, |c| matches!(c, '%' | '\r' | '\n'))
}

fn property(text: &str) -> Cow<'_, str> {
    escape(text, |c| matches!(c, '%' | '\r' | '\n' | ':' | ','))
}

fn escape(text: &str, special: fn(char) -> bool) -> Cow<'_, str> {
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
    use crate::check::report::tests::sample;

    #[test]
    fn every_finding_is_one_command() {
        let mut report = sample();
        report.errors[0].file = "a,b:c%.yaml".into();
        let mut out = Vec::new();
        write(&report, &mut out).unwrap();
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
