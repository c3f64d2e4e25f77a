//! `run_if_changed` and `skip_if_only_changed`: on which changed files a job runs.

use super::Pattern;

/// At most one of the two is set; patterns are searched for anywhere in a file's path.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RegexpChangeMatcher {
    pub run_if_changed: Option<Pattern>,
    pub skip_if_only_changed: Option<Pattern>,
}

impl RegexpChangeMatcher {
    /// Whether changed files have a say at all.
    pub fn is_set(&self) -> bool {
        self.run_if_changed.is_some() || self.skip_if_only_changed.is_some()
    }

    /// Whether these changed files make the job run; no change at all never does.
    pub fn matches(&self, changes: &[String]) -> bool {
        if let Some(run) = &self.run_if_changed {
            return changes.iter().any(|file| run.is_match(file));
        }
        if let Some(skip) = &self.skip_if_only_changed {
            return changes.iter().any(|file| !skip.is_match(file));
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
            run_if_changed: Some(Pattern::new(r"\.go$").unwrap()),
            skip_if_only_changed: None,
        };
        let skip = RegexpChangeMatcher {
            run_if_changed: None,
            skip_if_only_changed: Some(Pattern::new(r"\.md$|^docs/").unwrap()),
        };
        for (changes, runs, not_skipped) in [
            (&[][..], false, false),
            (&["a.go"][..], true, true),
            (&["README.md"][..], false, false),
            (&["README.md", "x/a.go"][..], true, true),
            (&["docs/x", "a.md"][..], false, false),
        ] {
            let changes: Vec<String> = changes.iter().map(ToString::to_string).collect();
            assert_eq!(run.matches(&changes), runs, "{changes:?}");
            assert_eq!(skip.matches(&changes), not_skipped, "{changes:?}");
        }
        assert!(!RegexpChangeMatcher::default().matches(&["a".into()]));
    }
}
