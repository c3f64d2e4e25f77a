//! `branches` and `skip_branches`: on which base branches a job runs.

use super::GoRegexp;

/// Patterns match anywhere in the branch's name; `skip_branches` come first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Brancher {
    pub branches: Vec<GoRegexp>,
    pub skip_branches: Vec<GoRegexp>,
}

impl Brancher {
    /// Whether the job runs on a branch.
    pub fn runs_on(&self, branch: &str) -> bool {
        if self.skip_branches.iter().any(|skip| skip.is_match(branch)) {
            return false;
        }
        self.branches.is_empty() || self.branches.iter().any(|only| only.is_match(branch))
    }

    /// Whether the job runs on every branch.
    pub fn is_unrestricted(&self) -> bool {
        self.branches.is_empty() && self.skip_branches.is_empty()
    }

    /// Whether two jobs may run on the same branch. Two lists of `branches` are compared as text,
    /// as in Prow: whether two regular expressions have a match in common is not decided.
    pub fn intersects(&self, other: &Self) -> bool {
        if self.is_unrestricted() || other.is_unrestricted() {
            return true;
        }
        match (self.branches.is_empty(), other.branches.is_empty()) {
            (false, false) => self.branches.iter().any(|a| other.branches.contains(a)),
            (false, true) => self.branches.iter().any(|a| other.runs_on(a.as_str())),
            (true, false) => other.branches.iter().any(|b| self.runs_on(b.as_str())),
            (true, true) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brancher(branches: &[&str], skip: &[&str]) -> Brancher {
        let patterns = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| GoRegexp::new(text).unwrap())
                .collect()
        };
        Brancher {
            branches: patterns(branches),
            skip_branches: patterns(skip),
        }
    }

    #[test]
    fn patterns_are_searched_for_and_skip_goes_first() {
        for (branches, skip, branch, runs) in [
            (&[][..], &[][..], "any", true),
            (&["main"][..], &[][..], "main", true),
            (&["main"][..], &[][..], "my-main-thing", true),
            (&["^main$"][..], &[][..], "my-main", false),
            (&["a", "b"][..], &[][..], "b", true),
            (&[][..], &["release-.*"][..], "release-1.2", false),
            (&[][..], &["release-.*"][..], "main", true),
            (&["main"][..], &["main"][..], "main", false),
        ] {
            assert_eq!(
                brancher(branches, skip).runs_on(branch),
                runs,
                "{branches:?} {skip:?} {branch}"
            );
        }
    }

    #[test]
    fn intersection_takes_branches_as_texts() {
        for (a, b, expected) in [
            (brancher(&[], &[]), brancher(&["x"], &[]), true),
            (brancher(&["x", "y"], &[]), brancher(&["y"], &[]), true),
            (brancher(&["x"], &[]), brancher(&["x.*"], &[]), false),
            (brancher(&["x"], &[]), brancher(&[], &["x"]), false),
            (brancher(&["x"], &[]), brancher(&[], &["y"]), true),
            (brancher(&[], &["x"]), brancher(&[], &["y"]), true),
        ] {
            assert_eq!(a.intersects(&b), expected, "{a:?} {b:?}");
            assert_eq!(b.intersects(&a), expected, "{b:?} {a:?}");
        }
    }
}
