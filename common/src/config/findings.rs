//! Mistakes found in values that were already read: kept by file and path, and given their line
//! only when there is something to tell.

use std::{collections::BTreeMap, sync::Arc};

use super::{Errors, Origin, Path, Problem, Segment, problem::show, yaml::Tree};

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
        text_of: impl Fn(&str) -> Option<String>,
    ) -> Result<(), Errors> {
        if self.0.is_empty() {
            return Ok(());
        }
        let mut trees: BTreeMap<Arc<str>, Option<Tree>> = BTreeMap::new();
        let mut problems: Vec<Problem> = self
            .0
            .into_iter()
            .map(|finding| {
                let tree = trees
                    .entry(Arc::clone(&finding.file))
                    .or_insert_with(|| Tree::parse(&text_of(&finding.file)?));
                let (line, column) = tree
                    .as_ref()
                    .map_or((0, 0), |tree| tree.locate(&finding.path));
                Problem {
                    rule: finding.rule,
                    file: finding.file.to_string(),
                    line,
                    column,
                    path: show(&finding.path),
                    message: finding.message,
                    hint: finding.hint,
                }
            })
            .collect();
        problems.sort_by(|a, b| {
            (&a.file, a.line, a.column, &a.message).cmp(&(&b.file, b.line, b.column, &b.message))
        });
        problems.dedup();
        Err(Errors(problems))
    }
}
