//! Where a mistake in `plugins.yaml` is told: paths are those of the whole, the place is that of
//! the file that brought it.

use std::sync::Arc;

use crate::config::{Path, Pattern, Segment, findings::Findings, problem::nearest};

/// The files that made one `plugins.yaml`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Places {
    /// The file named by `--plugin-config`: all that is not in `moved`.
    pub(super) main: Arc<str>,
    /// What came from a further file: where it is in the whole, the file, and where it is there.
    pub(super) moved: Vec<(Vec<Segment>, Arc<str>, Vec<Segment>)>,
}

impl Places {
    /// The file of a path in the whole, and the path there.
    pub(super) fn of(&self, path: &Path<'_>) -> (Arc<str>, Vec<Segment>) {
        let path = path.segments();
        let found = self
            .moved
            .iter()
            .filter(|(whole, ..)| path.starts_with(whole))
            .max_by_key(|(whole, ..)| whole.len());
        match found {
            Some((whole, file, there)) => {
                let below = &path[whole.len()..];
                (Arc::clone(file), [there, below].concat())
            }
            None => (Arc::clone(&self.main), path),
        }
    }
}

/// Takes the mistakes that the sections' rules find.
pub(super) struct Report<'a> {
    pub(super) places: &'a Places,
    pub(super) findings: &'a mut Findings,
}

impl Report<'_> {
    pub(super) fn add(&mut self, rule: &'static str, path: &Path<'_>, message: impl Into<String>) {
        self.add_with_hint(rule, path, message, None);
    }

    pub(super) fn add_with_hint(
        &mut self,
        rule: &'static str,
        path: &Path<'_>,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        let (file, there) = self.places.of(path);
        self.findings
            .add_with_hint(rule, &file, &Path::Below(&there), message, hint);
    }

    /// A text that has to be a regular expression under Go's rules.
    pub(super) fn pattern(&mut self, path: &Path<'_>, source: &str) -> Option<Pattern> {
        match Pattern::new(source) {
            Ok(pattern) => Some(pattern),
            Err(message) => {
                self.add("regexp", path, message);
                None
            }
        }
    }

    /// A repository or organisation may be in one entry only; `repos` are each entry's.
    pub(super) fn listed_once<'r>(
        &mut self,
        section: &str,
        repos: impl Iterator<Item = &'r Vec<String>>,
    ) {
        let section = Path::Root.key(section);
        let mut seen = std::collections::BTreeMap::new();
        for (index, repos) in repos.enumerate() {
            let entry = section.index(index);
            let list = entry.key("repos");
            for (at, repo) in repos.iter().enumerate() {
                let Some(first) = seen.insert(repo, index) else {
                    continue;
                };
                self.add(
                    "repository-twice",
                    &list.index(at),
                    format!("{repo:?} is already listed in {}", section.index(first)),
                );
            }
        }
    }
}

/// `did you mean …?`, where one of `known` is near.
pub(super) fn meant<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(name, known).map(|name| format!("did you mean {name:?}?"))
}
