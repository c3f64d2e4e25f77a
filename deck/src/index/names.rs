//! Which names of jobs patterns match: found out beside the index's lock, once a name.

use std::collections::HashMap;
use std::sync::Arc;

use super::Pattern;

/// The verdict on each name that was known when it was asked.
pub(super) struct MatchedNames<'a> {
    patterns: &'a [Pattern],
    known: HashMap<Arc<str>, bool>,
}

impl<'a> MatchedNames<'a> {
    pub(super) fn of(patterns: &'a [Pattern], names: Vec<Arc<str>>) -> Self {
        let judge = |name: Arc<str>| {
            let matches = patterns.iter().any(|pattern| pattern.matches(&name));
            (name, matches)
        };
        Self {
            patterns,
            known: names.into_iter().map(judge).collect(),
        }
    }

    /// A name that came since is judged now.
    pub(super) fn has(&self, name: &str) -> bool {
        let now = || self.patterns.iter().any(|pattern| pattern.matches(name));
        self.known.get(name).copied().unwrap_or_else(now)
    }

    /// Those that match, in no order.
    pub(super) fn into_names(self) -> impl Iterator<Item = Arc<str>> {
        let known = self.known.into_iter();
        known.filter_map(|(name, matches)| matches.then_some(name))
    }
}
