//! Matches job names against patterns, without the index's lock and once per name.

use std::collections::HashMap;
use std::sync::Arc;

use super::JobPattern;

/// For each name that was known at the time: whether one of the patterns matches it.
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

    /// Whether a pattern matches the name. A name that is new since then is matched now.
    pub(super) fn contains_name(&self, name: &str) -> bool {
        let now = || {
            self.patterns
                .iter()
                .any(|pattern| pattern.matches_name(name))
        };
        self.known.get(name).copied().unwrap_or_else(now)
    }

    /// The names that match, in no order.
    pub(super) fn into_names(self) -> impl Iterator<Item = Arc<str>> {
        let known = self.known.into_iter();
        known.filter_map(|(name, matches)| matches.then_some(name))
    }
}
