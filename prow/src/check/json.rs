//! One JSON object, for programs.

use std::io::{self, Write};

use common::untrusted_text;
use serde::Serialize;

use super::report::{CheckReport, CheckSeverity, ConfigCounts, diagnostic_message};

#[derive(Serialize)]
struct JsonReport<'a> {
    #[serde(flatten)]
    counts: &'a ConfigCounts,
    findings: Vec<JsonDiagnostic<'a>>,
}

#[derive(Serialize)]
struct JsonDiagnostic<'a> {
    severity: CheckSeverity,
    rule: &'a str,
    file: &'a str,
    /// Counted from 1; 0 when the finding has no position in the file.
    line: u64,
    column: u64,
    path: &'a str,
    message: String,
}

/// Notes are left out: a program can do nothing about them.
pub(super) fn write_json(report: &CheckReport, out: &mut impl Write) -> io::Result<()> {
    let findings = report
        .diagnostics_with_severity()
        .map(|(severity, problem)| JsonDiagnostic {
            severity,
            rule: problem.rule,
            file: &problem.file,
            line: problem.line,
            column: problem.column,
            path: &problem.path,
            message: diagnostic_message(problem),
        });
    let object = JsonReport {
        counts: &report.counts,
        findings: findings.collect(),
    };
    let text = serde_json::to_string_pretty(&object)?;
    writeln!(out, "{}", untrusted_text::escape_json(&text))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::check::report::tests::sample_report;

    #[test]
    fn the_object_has_counts_and_findings() {
        let mut out = Vec::new();
        write_json(&sample_report(), &mut out).unwrap();
        let object: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(
            object,
            json!({
                "files": 3, "presubmits": 2, "postsubmits": 0, "periodics": 1, "presets": 1,
                "repositories": 2,
                "findings": [
                    {"severity": "error", "rule": "unknown-field", "file": "a.yaml", "line": 4,
                     "column": 5, "path": "decorat",
                     "message": "unknown field; did you mean \"decorate\"?"},
                    {"severity": "warning", "rule": "long-job-names", "file": "b.yaml", "line": 7,
                     "column": 5, "path": "periodics[0].name", "message": "too long"},
                    {"severity": "warning", "rule": "validate-owners", "file": "plugins.yaml",
                     "line": 0, "column": 0, "path": "", "message": "50% of a:b, c\nd"},
                ],
            })
        );
    }
}
