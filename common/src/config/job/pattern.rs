//! A regular expression under Go's rules.
//!
//! Go's `\d`, `\w`, `\s`, `\b` and their negations know ASCII only, Rust's know Unicode; the
//! translation in [`syntax`] makes them explicit. `i` is what both have in common.

mod plain;
mod syntax;

use std::{
    collections::HashMap,
    hash::{Hash, Hasher},
    sync::{Arc, OnceLock},
};

use plain::Plain;
use regex::{Regex, RegexBuilder};

/// Patterns that cost no more are valid when their form is; they are compiled at the first match.
const CHEAP: usize = 4_000;
/// What a pattern may cost. Compiling takes about half a second a million.
const MAX_COST: usize = 300_000;
/// What the patterns of one load that are not cheap may cost together.
const MAX_TOTAL: usize = 1_000_000;
/// Bytes of a compiled pattern.
const MAX_COMPILED: usize = 10 << 20;
/// Characters of a pattern that a message quotes.
const MAX_QUOTED: usize = 200;

/// Compiled once; equal when the source text is.
#[derive(Clone)]
pub struct Pattern(Arc<Inner>);

struct Inner {
    source: String,
    matcher: OnceLock<Matcher>,
}

enum Matcher {
    Plain(Plain),
    Regex(Regex),
}

impl Pattern {
    /// Checks `source`; the error is one line for the author of the pattern.
    pub fn new(source: &str) -> Result<Self, String> {
        Self::within(source, &mut 0).map_err(|error| refuse(source, &error))
    }

    /// Most patterns of a large configuration are not asked for between two reloads: those whose
    /// size is small for sure are compiled when they are. What others cost is added to `spent`.
    fn within(source: &str, spent: &mut usize) -> Result<Self, String> {
        let matcher = OnceLock::new();
        let translated = syntax::translate(source)?;
        if translated.cost > MAX_COST {
            return Err("expression too large".into());
        }
        if translated.cost > CHEAP {
            *spent += translated.cost;
            if *spent > MAX_TOTAL {
                return Err("the large patterns are too many together".into());
            }
            let regex = compile(&translated.text)?;
            matcher.get_or_init(|| Matcher::Regex(regex));
        }
        let source = source.to_owned();
        Ok(Self(Arc::new(Inner { source, matcher })))
    }

    /// For a text that is a pattern for sure, and a cheap one.
    pub(in crate::config) fn known(source: String) -> Self {
        let matcher = OnceLock::new();
        Self(Arc::new(Inner { source, matcher }))
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0.source
    }

    /// Whether the pattern occurs anywhere in `text`.
    pub fn is_match(&self, text: &str) -> bool {
        match self.0.matcher.get_or_init(|| matcher(&self.0.source)) {
            Matcher::Plain(plain) => plain.is_match(text),
            Matcher::Regex(regex) => regex.is_match(text),
        }
    }
}

/// For a pattern that was checked and is cheap.
fn matcher(source: &str) -> Matcher {
    if let Some(plain) = Plain::parse(source) {
        return Matcher::Plain(plain);
    }
    let translated = syntax::translate(source).expect("checked when it was made");
    let regex = compile(&translated.text).expect("a cheap pattern in Rust's notation compiles");
    Matcher::Regex(regex)
}

impl Default for Pattern {
    /// The empty pattern, which occurs everywhere.
    fn default() -> Self {
        Self::known(String::new())
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.source == other.0.source
    }
}

impl Eq for Pattern {}

impl Hash for Pattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.source.hash(state);
    }
}

impl std::fmt::Debug for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.source.fmt(f)
    }
}

/// Patterns of one load, each text checked and compiled once.
#[derive(Debug, Default)]
pub(in crate::config) struct Patterns {
    known: HashMap<String, Result<Pattern, String>>,
    /// What those that are not cheap cost together.
    spent: usize,
}

impl Patterns {
    pub(in crate::config) fn get(&mut self, source: &str) -> Result<Pattern, String> {
        if let Some(known) = self.known.get(source) {
            return known.clone();
        }
        let pattern = Pattern::within(source, &mut self.spent);
        let pattern = pattern.map_err(|error| refuse(source, &error));
        self.known.insert(source.to_owned(), pattern.clone());
        pattern
    }
}

fn compile(text: &str) -> Result<Regex, String> {
    RegexBuilder::new(text)
        .size_limit(MAX_COMPILED)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => format!(
                "expression too large: it needs more than {} MiB",
                MAX_COMPILED >> 20
            ),
            error => {
                let text = error.to_string();
                let last = text.lines().last().unwrap_or_default();
                last.trim_start_matches("error: ").to_owned()
            }
        })
}

fn refuse(source: &str, error: &str) -> String {
    let short = |text: &str| match text.char_indices().nth(MAX_QUOTED) {
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
