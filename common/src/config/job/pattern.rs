//! A regular expression under Go's rules.
//!
//! Go's `\d`, `\w`, `\s`, `\b` and their negations know ASCII only, Rust's know Unicode; the
//! translation in [`syntax`] makes them explicit. `i` is what both have in common.

mod syntax;

use std::{
    collections::HashMap,
    hash::{Hash, Hasher},
    sync::{Arc, OnceLock},
};

use regex::{Regex, RegexBuilder};

/// Patterns that cost less are valid when their form is; they are compiled at the first match.
const CHEAP: usize = 4_000;
/// Bytes of a compiled pattern.
const MAX_COMPILED: usize = 10 << 20;
/// What the patterns of one load that are not cheap may cost together.
const MAX_TOTAL: usize = 10_000_000;
/// Characters of a pattern that a message quotes.
const MAX_QUOTED: usize = 200;

/// Compiled once; equal when the source text is.
#[derive(Clone)]
pub struct Pattern(Arc<Inner>);

struct Inner {
    source: String,
    regex: OnceLock<Regex>,
}

impl Pattern {
    /// Checks `source`; the error is one line for the author of the pattern.
    pub fn new(source: &str) -> Result<Self, String> {
        Self::with_cost(source).map(|(pattern, _)| pattern)
    }

    /// Most patterns of a large configuration are not asked for between two reloads: those whose
    /// size is small for sure are compiled when they are.
    fn with_cost(source: &str) -> Result<(Self, usize), String> {
        let translated = syntax::translate(source).map_err(|error| refuse(source, &error))?;
        let regex = OnceLock::new();
        if translated.cost > CHEAP {
            let compiled = compile(&translated.text).map_err(|error| refuse(source, &error))?;
            regex.get_or_init(|| compiled);
        }
        let source = source.to_owned();
        Ok((Self(Arc::new(Inner { source, regex })), translated.cost))
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0.source
    }

    /// Whether the pattern occurs anywhere in `text`.
    pub fn is_match(&self, text: &str) -> bool {
        let regex = self.0.regex.get_or_init(|| {
            let translated = syntax::translate(&self.0.source).expect("checked when it was made");
            compile(&translated.text).expect("a cheap pattern in Rust's notation compiles")
        });
        regex.is_match(text)
    }
}

impl Default for Pattern {
    /// The empty pattern, which occurs everywhere.
    fn default() -> Self {
        Self(Arc::new(Inner {
            source: String::new(),
            regex: OnceLock::new(),
        }))
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
        let pattern = self.make(source);
        self.known.insert(source.to_owned(), pattern.clone());
        pattern
    }

    fn make(&mut self, source: &str) -> Result<Pattern, String> {
        if self.spent > MAX_TOTAL {
            return Err(refuse(source, "the large patterns are too many together"));
        }
        let (pattern, cost) = Pattern::with_cost(source)?;
        if cost > CHEAP {
            self.spent = self.spent.saturating_add(cost);
        }
        Ok(pattern)
    }
}

fn compile(text: &str) -> Result<Regex, String> {
    RegexBuilder::new(text)
        .size_limit(MAX_COMPILED)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => format!(
                "expression too large: it needs more than {} MiB; repeat less in it",
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
