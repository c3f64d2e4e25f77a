//! Diagnostics about values that were already parsed: kept by file and path. They get their lines
//! only if there are any to report.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    ConfigErrors, ConfigOrigin, ConfigPath, Diagnostic, PathSegment,
    diagnostic::format_path,
    parallel,
    yaml::{self, DocumentTrust, YamlTree},
};

#[derive(Debug, Default)]
pub(super) struct Diagnostics(Vec<UnlocatedDiagnostic>);

#[derive(Debug)]
struct UnlocatedDiagnostic {
    rule: &'static str,
    file: Arc<str>,
    path: Vec<PathSegment>,
    message: String,
    hint: Option<String>,
}

impl Diagnostics {
    pub(super) fn add_diagnostic(
        &mut self,
        rule: &'static str,
        file: &Arc<str>,
        path: &ConfigPath<'_>,
        message: impl Into<String>,
    ) {
        self.add_with_hint(rule, file, path, message, None);
    }

    pub(super) fn add_with_hint(
        &mut self,
        rule: &'static str,
        file: &Arc<str>,
        path: &ConfigPath<'_>,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        self.0.push(UnlocatedDiagnostic {
            rule,
            file: Arc::clone(file),
            path: path.to_segments(),
            message: message.into(),
            hint,
        });
    }

    pub(super) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Adds a diagnostic at the field `key` of a job.
    pub(super) fn add_job_diagnostic(
        &mut self,
        rule: &'static str,
        origin: &ConfigOrigin,
        key: &str,
        message: impl Into<String>,
    ) {
        let root = ConfigPath::Below(&origin.path);
        self.add_diagnostic(rule, &origin.file, &root.key(key), message);
    }

    /// `Ok` without diagnostics, else all of them with positions. `text_of` reads a file again.
    pub(super) fn into_result(
        self,
        text_of: impl Fn(&str) -> Option<String> + Sync,
    ) -> Result<(), ConfigErrors> {
        if self.0.is_empty() {
            return Ok(());
        }
        let mut by_file: BTreeMap<Arc<str>, Vec<UnlocatedDiagnostic>> = BTreeMap::new();
        for finding in self.0 {
            let file = Arc::clone(&finding.file);
            by_file.entry(file).or_default().push(finding);
        }
        let by_file = by_file.into_iter().collect();
        let problems = parallel::parallel_map(
            by_file,
            |_| 0,
            |(file, findings): (_, Vec<UnlocatedDiagnostic>)| {
                let text = text_of(&file).unwrap_or_default();
                let tree = yaml::parse_tree(&file, &text, DocumentTrust::Operator)
                    .ok()
                    .flatten();
                let located = findings
                    .into_iter()
                    .map(|it| it.into_diagnostic(tree.as_ref()));
                located.collect::<Vec<_>>()
            },
        );
        let mut problems = problems.concat();
        problems.sort_by(|a, b| {
            (&a.file, a.line, a.column, &a.message).cmp(&(&b.file, b.line, b.column, &b.message))
        });
        problems.dedup();
        Err(ConfigErrors(problems))
    }
}

impl UnlocatedDiagnostic {
    fn into_diagnostic(self, tree: Option<&YamlTree<'_>>) -> Diagnostic {
        let (line, column) = tree.map_or((0, 0), |tree| tree.locate_path(&self.path));
        Diagnostic {
            rule: self.rule,
            file: self.file.to_string(),
            line,
            column,
            path: format_path(&self.path),
            message: self.message,
            hint: self.hint,
        }
    }
}
