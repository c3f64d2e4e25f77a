//! What was read and what was found.

use common::config::{Problem, check};
use serde::Serialize;

/// How much was read; what could not be read is not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Counts {
    pub(super) files: usize,
    pub(super) presubmits: usize,
    pub(super) postsubmits: usize,
    pub(super) periodics: usize,
    pub(super) presets: usize,
    /// That have central presubmits or postsubmits.
    pub(super) repositories: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    /// The configuration is refused.
    Error,
    /// It loads, and is probably not meant.
    Warning,
}

impl Severity {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) counts: Counts,
    pub(super) errors: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
    /// What is worth a line to a reader and is neither.
    pub(super) notes: Vec<String>,
}

impl Report {
    /// Errors, then warnings, each in the order of files and lines.
    pub(super) fn findings(&self) -> impl Iterator<Item = (Severity, &Problem)> {
        let errors = self.errors.iter().map(|found| (Severity::Error, found));
        let warnings = self.warnings.iter().map(|found| (Severity::Warning, found));
        errors.chain(warnings)
    }

    /// Whether the program ends with 1.
    pub(super) fn fails(&self, strict: bool) -> bool {
        let mut warnings = self.warnings.iter();
        !self.errors.is_empty() || (strict && warnings.any(|it| check::is_strict(it.rule)))
    }
}

/// A finding's message with the way out, where one is known.
pub(super) fn message(problem: &Problem) -> String {
    match &problem.hint {
        Some(hint) => format!("{}; {hint}", problem.message),
        None => problem.message.clone(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// One of each kind.
    pub(in crate::check) fn sample() -> Report {
        let problem = |rule, file: &str, line, path: &str, message: &str| Problem {
            rule,
            line,
            column: if line == 0 { 0 } else { 5 },
            path: path.into(),
            ..Problem::in_file(rule, file, message)
        };
        Report {
            counts: Counts {
                files: 3,
                presubmits: 2,
                postsubmits: 0,
                periodics: 1,
                presets: 1,
                repositories: 2,
            },
            errors: vec![Problem {
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
        let mut report = sample();
        assert!(report.fails(false));
        report.errors.clear();
        assert!(!report.fails(false) && report.fails(true));
        for warning in &mut report.warnings {
            warning.rule = "duplicate-keys";
        }
        assert!(!report.fails(true), "checkconfig says nothing of them");
        report.warnings.clear();
        assert!(!report.fails(true));
    }
}
