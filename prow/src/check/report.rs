//! What was read and what was found.

use common::config::{Diagnostic, checkconfig};
use serde::Serialize;

/// How much was read; what could not be read is not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct ConfigCounts {
    pub(super) files: usize,
    pub(super) presubmits: usize,
    pub(super) postsubmits: usize,
    pub(super) periodics: usize,
    pub(super) presets: usize,
    /// The repositories that have central presubmits or postsubmits.
    pub(super) repositories: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum CheckSeverity {
    /// The configuration is refused.
    Error,
    /// The configuration loads, and this is probably a mistake.
    Warning,
}

impl CheckSeverity {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct CheckReport {
    pub(super) counts: ConfigCounts,
    pub(super) errors: Vec<Diagnostic>,
    pub(super) warnings: Vec<Diagnostic>,
    /// Lines for a reader that are neither.
    pub(super) notes: Vec<String>,
}

impl CheckReport {
    /// Errors, then warnings, each in the order in which they were found.
    pub(super) fn diagnostics_with_severity(
        &self,
    ) -> impl Iterator<Item = (CheckSeverity, &Diagnostic)> {
        let errors = self
            .errors
            .iter()
            .map(|found| (CheckSeverity::Error, found));
        let warnings = self
            .warnings
            .iter()
            .map(|found| (CheckSeverity::Warning, found));
        errors.chain(warnings)
    }

    /// Whether the program ends with 1.
    pub(super) fn is_failure(&self, strict: bool) -> bool {
        let mut warnings = self.warnings.iter();
        !self.errors.is_empty()
            || (strict && warnings.any(|it| checkconfig::is_strict_warning(it.rule)))
    }
}

/// A finding's message, with its hint if it has one.
pub(super) fn diagnostic_message(problem: &Diagnostic) -> String {
    match &problem.hint {
        Some(hint) => format!("{}; {hint}", problem.message),
        None => problem.message.clone(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// One of each kind.
    pub(in crate::check) fn sample_report() -> CheckReport {
        let problem = |rule, file: &str, line, path: &str, message: &str| Diagnostic {
            rule,
            line,
            column: if line == 0 { 0 } else { 5 },
            path: path.into(),
            ..Diagnostic::in_file(rule, file, message)
        };
        CheckReport {
            counts: ConfigCounts {
                files: 3,
                presubmits: 2,
                postsubmits: 0,
                periodics: 1,
                presets: 1,
                repositories: 2,
            },
            errors: vec![Diagnostic {
                hint: Some("did you mean \"decorate\"?".into()),
                ..problem("unknown-field", "a.yaml", 4, "decorat", "unknown field")
            }],
            warnings: vec![
                problem(
                    "long-job-names",
                    "b.yaml",
                    7,
                    "periodics[0].name",
                    "too long",
                ),
                problem("validate-owners", "plugins.yaml", 0, "", "50% of a:b, c\nd"),
            ],
            notes: vec!["known, not used here: config.yaml: gerrit".into()],
        }
    }

    #[test]
    fn warnings_fail_only_when_asked() {
        let mut report = sample_report();
        assert!(report.is_failure(false));
        report.errors.clear();
        assert!(!report.is_failure(false) && report.is_failure(true));
        for warning in &mut report.warnings {
            warning.rule = "duplicate-keys";
        }
        assert!(!report.is_failure(true), "checkconfig says nothing of them");
        report.warnings.clear();
        assert!(!report.is_failure(true));
    }
}
