//! `run_if_changed` and `skip_if_only_changed`: on which changed files a job runs.

use std::{cell::RefCell, collections::HashMap};

use super::GoRegexp;

/// The changed files of one event. Many jobs have the same pattern: each is matched once.
#[derive(Debug, Default)]
pub struct ChangedFiles<'a> {
    files: &'a [String],
    any_match: RefCell<HashMap<GoRegexp, bool>>,
    all_match: RefCell<HashMap<GoRegexp, bool>>,
}

impl<'a> ChangedFiles<'a> {
    /// `files` are paths from the repository's root.
    pub fn new(files: &'a [String]) -> Self {
        Self {
            files,
            ..Self::default()
        }
    }

    fn any_match(&self, pattern: &GoRegexp) -> bool {
        let answer = || self.files.iter().any(|file| pattern.is_match(file));
        remember_match(&self.any_match, pattern, answer)
    }

    fn all_match(&self, pattern: &GoRegexp) -> bool {
        let answer = || self.files.iter().all(|file| pattern.is_match(file));
        remember_match(&self.all_match, pattern, answer)
    }
}

fn remember_match(
    answers: &RefCell<HashMap<GoRegexp, bool>>,
    pattern: &GoRegexp,
    answer: impl Fn() -> bool,
) -> bool {
    if let Some(known) = answers.borrow().get(pattern) {
        return *known;
    }
    let answer = answer();
    answers.borrow_mut().insert(pattern.clone(), answer);
    answer
}

/// At most one of the two is set; patterns match anywhere in a file's path.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RegexpChangeMatcher {
    pub run_if_changed: Option<GoRegexp>,
    pub skip_if_only_changed: Option<GoRegexp>,
}

impl RegexpChangeMatcher {
    /// Whether the job depends on changed files at all.
    pub fn is_set(&self) -> bool {
        self.run_if_changed.is_some() || self.skip_if_only_changed.is_some()
    }

    /// Whether these changed files make the job run; without changed files it never does.
    pub fn runs_against_changes(&self, changes: &ChangedFiles<'_>) -> bool {
        if let Some(run) = &self.run_if_changed {
            return changes.any_match(run);
        }
        if let Some(skip) = &self.skip_if_only_changed {
            return !changes.all_match(skip);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_file_is_enough() {
        let run = RegexpChangeMatcher {
            run_if_changed: Some(GoRegexp::new(r"\.go$").unwrap()),
            skip_if_only_changed: None,
        };
        let skip = RegexpChangeMatcher {
            run_if_changed: None,
            skip_if_only_changed: Some(GoRegexp::new(r"\.md$|^docs/").unwrap()),
        };
        for (changes, runs, not_skipped) in [
            (&[][..], false, false),
            (&["a.go"][..], true, true),
            (&["README.md"][..], false, false),
            (&["README.md", "x/a.go"][..], true, true),
            (&["docs/x", "a.md"][..], false, false),
        ] {
            let files: Vec<String> = changes.iter().map(ToString::to_string).collect();
            let changes = ChangedFiles::new(&files);
            for _ in 0..2 {
                assert_eq!(run.runs_against_changes(&changes), runs, "{files:?}");
                assert_eq!(
                    skip.runs_against_changes(&changes),
                    not_skipped,
                    "{files:?}"
                );
            }
        }
        let files = ["a".to_owned()];
        assert!(!RegexpChangeMatcher::default().runs_against_changes(&ChangedFiles::new(&files)));
    }
}
