//! A regular expression under Go's rules.
//!
//! Go's `\d`, `\w`, `\s`, `\b` and their negations know ASCII only, Rust's know Unicode; the
//! translation in [`syntax`] makes them explicit. `i` is what both have in common.

mod plain_pattern;
mod syntax;

use std::{
    collections::HashMap,
    hash::{Hash, Hasher},
    sync::{Arc, OnceLock},
};

use plain_pattern::PlainPattern;
use regex::{Regex, RegexBuilder};

/// Patterns that cost no more are valid when their form is; they are compiled at the first match.
const MAX_CHEAP_COST: usize = 4_000;
/// What a pattern may cost. Compiling takes about half a second a million.
const MAX_COST: usize = 300_000;
/// What the patterns of one load that are not cheap may cost together.
const MAX_TOTAL_COST: usize = 1_000_000;
/// Bytes of a compiled pattern.
const MAX_COMPILED_BYTES: usize = 10 << 20;
/// Characters of a pattern that a message quotes.
const MAX_QUOTED_CHARS: usize = 200;

/// Compiled once; equal when the source text is.
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

    /// Most patterns of a large configuration are not asked for between two reloads: those whose
    /// size is small for sure are compiled when they are. What others cost is added to `spent`.
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

    /// For a text that is a pattern for sure, and a cheap one.
    pub(in crate::config) fn new_unchecked(source: String) -> Self {
        let matcher = OnceLock::new();
        Self(Arc::new(GoRegexpInner { source, matcher }))
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0.source
    }

    /// Whether the pattern occurs anywhere in `text`.
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
    /// The empty pattern, which occurs everywhere.
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

/// Patterns of one load, each text checked and compiled once.
#[derive(Debug, Default)]
pub(in crate::config) struct GoRegexpCache {
    known: HashMap<String, Result<GoRegexp, String>>,
    /// What those that are not cheap cost together.
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
