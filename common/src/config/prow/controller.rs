//! Checks of settings that plank and the Jenkins operators have in common.

use std::collections::BTreeMap;

use crate::config::{ConfigPath, section_diagnostics::SectionDiagnostics};

/// The older form for all, and the templates by `org/repo`, `org` or `*`.
pub(super) type ReportTemplates<'a> = (&'a str, &'a BTreeMap<String, String>);

pub(super) fn check_report_templates(
    section: &ConfigPath<'_>,
    (one, by_repo): ReportTemplates<'_>,
    report: &mut SectionDiagnostics<'_>,
) {
    let path = section.key("report_template");
    if !one.is_empty() && !by_repo.is_empty() {
        let message = "report_template and report_templates exclude each other";
        report.add_diagnostic("report-template-twice", &path, message);
    }
    report.check_job_template(&path, one);
    let path = section.key("report_templates");
    for (key, text) in by_repo {
        report.check_job_template(&path.key(key), text);
    }
}

pub(super) fn check_limits(
    section: &ConfigPath<'_>,
    max_concurrency: i64,
    max_goroutines: i64,
    report: &mut SectionDiagnostics<'_>,
) {
    if max_concurrency < 0 {
        let path = section.key("max_concurrency");
        report.add_diagnostic("max-concurrency", &path, "expected 0 (no limit) or more");
    }
    if max_goroutines <= 0 {
        let path = section.key("max_goroutines");
        report.add_diagnostic("max-goroutines", &path, "expected 1 or more");
    }
}
