//! Regular expressions under Go's rules.
//!
//! Go's `\d`, `\w`, `\s`, `\b` and their negations know ASCII only, Rust's know Unicode; the
//! translation in [`syntax`] writes them out. The flag `i` means the same in both.

mod plain_pattern;
mod syntax;

use std::{
    collections::HashMap,
    hash::{Hash, Hasher},
    sync::{Arc, OnceLock},
};

use plain_pattern::PlainPattern;
use regex::{Regex, RegexBuilder};

/// A pattern up to this cost is valid if its syntax is; it is compiled at the first match.
const MAX_CHEAP_COST: usize = 4_000;
/// Maximum cost of a pattern. Compiling takes about half a second per million.
const MAX_COST: usize = 300_000;
/// Maximum total cost of the patterns of one load that are not cheap.
const MAX_TOTAL_COST: usize = 1_000_000;
/// Maximum size of a compiled pattern in bytes.
const MAX_COMPILED_BYTES: usize = 10 << 20;
/// How many characters of a pattern a message quotes.
const MAX_QUOTED_CHARS: usize = 200;

/// Compiled once. Two patterns are equal if their sources are.
#[derive(Clone)]
pub struct GoRegexp(Arc<GoRegexpInner>);

struct GoRegexpInner {
    source: String,
    matcher: OnceLock<RegexpMatcher>,
}

enum RegexpMatcher {
    Plain(PlainPattern),
    Regex(Regex),
}

impl GoRegexp {
    /// Checks `source`; the error is one line for the author of the pattern.
    pub fn new(source: &str) -> Result<Self, String> {
        Self::new_within_budget(source, &mut 0).map_err(|error| describe_error(source, &error))
    }

    /// A cheap pattern is compiled at its first match: most patterns of a large configuration are
    /// not used between two reloads. The cost of any other pattern is added to `spent`.
    fn new_within_budget(source: &str, spent: &mut usize) -> Result<Self, String> {
        let matcher = OnceLock::new();
        let translated = syntax::translate_regexp(source)?;
        if translated.cost > MAX_COST {
            return Err("expression too large".into());
        }
        if translated.cost > MAX_CHEAP_COST {
            *spent += translated.cost;
            if *spent > MAX_TOTAL_COST {
                return Err("the large patterns are too many together".into());
            }
            let regex = compile_regex(&translated.text)?;
            matcher.get_or_init(|| RegexpMatcher::Regex(regex));
        }
        let source = source.to_owned();
        Ok(Self(Arc::new(GoRegexpInner { source, matcher })))
    }

    /// For text that is certainly a valid and cheap pattern.
    pub(in crate::config) fn new_unchecked(source: String) -> Self {
        let matcher = OnceLock::new();
        Self(Arc::new(GoRegexpInner { source, matcher }))
    }

    /// The source text.
    pub fn as_str(&self) -> &str {
        &self.0.source
    }

    /// Whether the pattern matches anywhere in `text`.
    pub fn is_match(&self, text: &str) -> bool {
        match self.0.matcher.get_or_init(|| build_matcher(&self.0.source)) {
            RegexpMatcher::Plain(plain) => plain.is_match(text),
            RegexpMatcher::Regex(regex) => regex.is_match(text),
        }
    }
}

/// For a pattern that was checked and is cheap.
fn build_matcher(source: &str) -> RegexpMatcher {
    if let Some(plain) = PlainPattern::parse_plain(source) {
        return RegexpMatcher::Plain(plain);
    }
    let translated = syntax::translate_regexp(source).expect("checked when it was made");
    let regex =
        compile_regex(&translated.text).expect("a cheap pattern in Rust's notation compiles");
    RegexpMatcher::Regex(regex)
}

impl Default for GoRegexp {
    /// The empty pattern, which matches everything.
    fn default() -> Self {
        Self::new_unchecked(String::new())
    }
}

impl PartialEq for GoRegexp {
    fn eq(&self, other: &Self) -> bool {
        self.0.source == other.0.source
    }
}

impl Eq for GoRegexp {}

impl Hash for GoRegexp {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.source.hash(state);
    }
}

impl std::fmt::Debug for GoRegexp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.source.fmt(f)
    }
}

/// The patterns of one load. Each source is checked and compiled once.
#[derive(Debug, Default)]
pub(in crate::config) struct GoRegexpCache {
    known: HashMap<String, Result<GoRegexp, String>>,
    /// Total cost of the patterns that are not cheap.
    spent: usize,
}

impl GoRegexpCache {
    pub(in crate::config) fn get_or_compile(&mut self, source: &str) -> Result<GoRegexp, String> {
        if let Some(known) = self.known.get(source) {
            return known.clone();
        }
        let pattern = GoRegexp::new_within_budget(source, &mut self.spent);
        let pattern = pattern.map_err(|error| describe_error(source, &error));
        self.known.insert(source.to_owned(), pattern.clone());
        pattern
    }
}

fn compile_regex(text: &str) -> Result<Regex, String> {
    RegexBuilder::new(text)
        .size_limit(MAX_COMPILED_BYTES)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => format!(
                "expression too large: it needs more than {} MiB",
                MAX_COMPILED_BYTES >> 20
            ),
            error => {
                let text = error.to_string();
                let last = text.lines().last().unwrap_or_default();
                last.trim_start_matches("error: ").to_owned()
            }
        })
}

fn describe_error(source: &str, error: &str) -> String {
    let short = |text: &str| match text.char_indices().nth(MAX_QUOTED_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    };
    format!(
        "{:?} is no regular expression: {}",
        short(source),
        short(error)
    )
}

#[cfg(test)]
mod tests;
