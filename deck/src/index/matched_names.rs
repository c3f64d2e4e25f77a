//! Which names of jobs patterns match: found out beside the index's lock, once a name.

use std::collections::HashMap;
use std::sync::Arc;

use super::JobPattern;

/// The verdict on each name that was known when it was asked.
pub(super) struct MatchedNames<'a> {
    patterns: &'a [JobPattern],
    known: HashMap<Arc<str>, bool>,
}

impl<'a> MatchedNames<'a> {
    pub(super) fn match_names(patterns: &'a [JobPattern], names: Vec<Arc<str>>) -> Self {
        let judge = |name: Arc<str>| {
            let matches = patterns.iter().any(|pattern| pattern.matches_name(&name));
            (name, matches)
        };
        Self {
            patterns,
            known: names.into_iter().map(judge).collect(),
        }
    }

    /// A name that came since is judged now.
    pub(super) fn contains_name(&self, name: &str) -> bool {
        let now = || {
            self.patterns
                .iter()
                .any(|pattern| pattern.matches_name(name))
        };
        self.known.get(name).copied().unwrap_or_else(now)
    }

    /// Those that match, in no order.
    pub(super) fn into_names(self) -> impl Iterator<Item = Arc<str>> {
        let known = self.known.into_iter();
        known.filter_map(|(name, matches)| matches.then_some(name))
    }
}
