//! What is wrong with a configuration: where it is, and how to fix it.

use std::fmt;

/// One error or warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The rule that was broken: a short name that does not change, such as `duplicate-job`.
    pub rule: &'static str,
    pub file: String,
    /// From 1; 0 if the diagnostic has no position in the file.
    pub line: u64,
    /// In characters, from 1; 0 if the diagnostic has no position in the file.
    pub column: u64,
    /// The path in the document, such as `presubmits."org/repo"[0].spec`; empty for all of it.
    pub path: String,
    /// What was found and what was expected.
    pub message: String,
    /// How to fix it, if that is known.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// A diagnostic about a file as a whole.
    pub fn in_file(
        rule: &'static str,
        file: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            rule,
            file: file.into(),
            line: 0,
            column: 0,
            path: String::new(),
            message: message.into(),
            hint: None,
        }
    }
}

/// `file:line:column: path: message; hint`.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", self.path)?;
        }
        write!(f, ": {}", self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

/// Every error that was found, in the order of files and lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<Diagnostic>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

impl From<Diagnostic> for ConfigErrors {
    fn from(problem: Diagnostic) -> Self {
        Self(vec![problem])
    }
}

/// One segment of a path in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathSegment {
    Key(String),
    Index(usize),
}

/// The path of a value in its document, built on the stack while walking down.
#[derive(Clone, Copy, Debug)]
pub enum ConfigPath<'a> {
    Root,
    Key(&'a ConfigPath<'a>, &'a str),
    Index(&'a ConfigPath<'a>, usize),
    /// Segments that were kept from an earlier walk.
    Below(&'a [PathSegment]),
}

impl<'a> ConfigPath<'a> {
    pub fn key(&'a self, key: &'a str) -> Self {
        Self::Key(self, key)
    }

    pub fn index(&'a self, index: usize) -> Self {
        Self::Index(self, index)
    }

    /// The segments from the root.
    pub fn to_segments(&self) -> Vec<PathSegment> {
        match self {
            Self::Root => Vec::new(),
            Self::Below(segments) => segments.to_vec(),
            Self::Key(parent, key) => {
                let mut segments = parent.to_segments();
                segments.push(PathSegment::Key((*key).to_owned()));
                segments
            }
            Self::Index(parent, index) => {
                let mut segments = parent.to_segments();
                segments.push(PathSegment::Index(*index));
                segments
            }
        }
    }
}

impl fmt::Display for ConfigPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format_path(&self.to_segments()))
    }
}

/// Formats a path, as in `presubmits."org/repo"[0].name`. Keys that are no plain words are quoted.
pub(super) fn format_path(segments: &[PathSegment]) -> String {
    let mut text = String::new();
    for segment in segments {
        match segment {
            PathSegment::Index(index) => text.push_str(&format!("[{index}]")),
            PathSegment::Key(key) => {
                if !text.is_empty() {
                    text.push('.');
                }
                let plain = !key.is_empty()
                    && key
                        .chars()
                        .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
                if plain {
                    text.push_str(key);
                } else {
                    text.push_str(&format!("{key:?}"));
                }
            }
        }
    }
    text
}

/// The name in `known` that `name` was probably meant to be.
pub(crate) fn nearest_name<'a>(
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let lower = name.to_lowercase();
    let limit = name.chars().count() / 3 + 1;
    known
        .into_iter()
        .map(|candidate| (edit_distance(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance, in characters.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(left != *right);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_reads_as_an_editor_expects_it() {
        let problem = Diagnostic {
            rule: "unknown-field",
            file: "prow-jobs.yaml".into(),
            line: 4,
            column: 5,
            path: "presubmits[0].decorat".into(),
            message: "unknown field".into(),
            hint: Some("did you mean \"decorate\"?".into()),
        };
        assert_eq!(
            problem.to_string(),
            "prow-jobs.yaml:4:5: presubmits[0].decorat: unknown field; did you mean \"decorate\"?"
        );
    }

    #[test]
    fn paths_quote_what_is_no_word() {
        let root = ConfigPath::Root;
        let presubmits = root.key("presubmits");
        let repo = presubmits.key("kubernetes/k8s.io");
        let job = repo.index(3);
        assert_eq!(
            job.key("run_if_changed").to_string(),
            r#"presubmits."kubernetes/k8s.io"[3].run_if_changed"#
        );
    }

    #[test]
    fn the_nearest_name_is_offered_only_when_it_is_near() {
        let known = ["always_run", "decorate", "name", "run_if_changed"];
        for (typed, meant) in [
            ("alway_run", Some("always_run")),
            ("decorated", Some("decorate")),
            ("runIfChanged", Some("run_if_changed")),
            ("Name", Some("name")),
            ("environment", None),
            ("x", None),
        ] {
            assert_eq!(nearest_name(typed, known), meant, "{typed}");
        }
    }
}
