//! Mistakes found in values that were already read: kept by file and path, and given their line
//! only when there is something to tell.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Errors, Origin, Path, Problem, Segment, parallel,
    problem::show,
    yaml::{self, Tree, Trust},
};

#[derive(Debug, Default)]
pub(super) struct Findings(Vec<Finding>);

#[derive(Debug)]
struct Finding {
    rule: &'static str,
    file: Arc<str>,
    path: Vec<Segment>,
    message: String,
    hint: Option<String>,
}

impl Findings {
    pub(super) fn add(
        &mut self,
        rule: &'static str,
        file: &Arc<str>,
        path: &Path<'_>,
        message: impl Into<String>,
    ) {
        self.add_with_hint(rule, file, path, message, None);
    }

    pub(super) fn add_with_hint(
        &mut self,
        rule: &'static str,
        file: &Arc<str>,
        path: &Path<'_>,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        self.0.push(Finding {
            rule,
            file: Arc::clone(file),
            path: path.segments(),
            message: message.into(),
            hint,
        });
    }

    pub(super) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// At the field `key` of a job.
    pub(super) fn job(
        &mut self,
        rule: &'static str,
        origin: &Origin,
        key: &str,
        message: impl Into<String>,
    ) {
        let root = Path::Below(&origin.path);
        self.add(rule, &origin.file, &root.key(key), message);
    }

    /// Nothing found, or everything with its place. `text_of` gives a file's content again.
    pub(super) fn into_result(
        self,
        text_of: impl Fn(&str) -> Option<String> + Sync,
    ) -> Result<(), Errors> {
        if self.0.is_empty() {
            return Ok(());
        }
        let mut by_file: BTreeMap<Arc<str>, Vec<Finding>> = BTreeMap::new();
        for finding in self.0 {
            let file = Arc::clone(&finding.file);
            by_file.entry(file).or_default().push(finding);
        }
        let by_file = by_file.into_iter().collect();
        let problems = parallel::map(
            by_file,
            |_| 0,
            |(file, findings): (_, Vec<Finding>)| {
                let text = text_of(&file).unwrap_or_default();
                let tree = yaml::tree(&file, &text, Trust::Operator).ok().flatten();
                let located = findings.into_iter().map(|it| it.located(tree.as_ref()));
                located.collect::<Vec<_>>()
            },
        );
        let mut problems = problems.concat();
        problems.sort_by(|a, b| {
            (&a.file, a.line, a.column, &a.message).cmp(&(&b.file, b.line, b.column, &b.message))
        });
        problems.dedup();
        Err(Errors(problems))
    }
}

impl Finding {
    fn located(self, tree: Option<&Tree<'_>>) -> Problem {
        let (line, column) = tree.map_or((0, 0), |tree| tree.locate(&self.path));
        Problem {
            rule: self.rule,
            file: self.file.to_string(),
            line,
            column,
            path: show(&self.path),
            message: self.message,
            hint: self.hint,
        }
    }
}
