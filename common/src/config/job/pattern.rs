//! A regular expression under Go's rules.
//!
//! Go's `\d`, `\w`, `\s`, `\b` and their negations know ASCII only, Rust's know Unicode; the
//! translation makes them explicit. `i` is what both have in common. `\Q…\E` is quoted away.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use regex::Regex;

/// Compiled once; equal when the source text is.
#[derive(Clone)]
pub struct Pattern(Arc<Inner>);

struct Inner {
    source: String,
    /// Filled at the first match for a pattern whose form is known to be valid.
    regex: OnceLock<Regex>,
}

impl Pattern {
    /// Compiles `source`; the error is one line for the author of the pattern.
    pub fn new(source: &str) -> Result<Self, String> {
        let regex = compile(source)?;
        Ok(Self(Arc::new(Inner {
            source: source.to_owned(),
            regex: OnceLock::from(regex),
        })))
    }

    /// A pattern that is known to be valid, compiled when it is first needed: most of a large
    /// configuration's triggers are never asked for between two reloads.
    pub(in crate::config) fn deferred(source: String) -> Self {
        Self(Arc::new(Inner {
            source,
            regex: OnceLock::new(),
        }))
    }

    /// Whether the pattern was made by [`Pattern::deferred`] and not needed since.
    pub(in crate::config) fn is_deferred(&self) -> bool {
        self.0.regex.get().is_none()
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0.source
    }

    /// Whether the pattern occurs anywhere in `text`.
    pub fn is_match(&self, text: &str) -> bool {
        self.0
            .regex
            .get_or_init(|| compile(&self.0.source).expect("a deferred pattern is valid"))
            .is_match(text)
    }
}

impl Default for Pattern {
    /// The empty pattern, which occurs everywhere.
    fn default() -> Self {
        Self::deferred(String::new())
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.source == other.0.source
    }
}

impl std::fmt::Debug for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.source.fmt(f)
    }
}

/// Patterns of one load, each text compiled once.
#[derive(Debug, Default)]
pub(in crate::config) struct Patterns(HashMap<String, Result<Pattern, String>>);

impl Patterns {
    pub(in crate::config) fn get(&mut self, source: &str) -> Result<Pattern, String> {
        if let Some(known) = self.0.get(source) {
            return known.clone();
        }
        let pattern = Pattern::new(source);
        self.0.insert(source.to_owned(), pattern.clone());
        pattern
    }
}

fn compile(source: &str) -> Result<Regex, String> {
    Regex::new(&translate(source)).map_err(|error| {
        let text = error.to_string();
        let last = text.lines().last().unwrap_or_default();
        format!(
            "{source:?} is no regular expression: {}",
            last.trim_start_matches("error: ")
        )
    })
}

/// Go's notation in Rust's.
fn translate(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    let mut in_class = false;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '\\' => {
                let Some(escaped) = rest.chars().next() else {
                    out.push('\\');
                    break;
                };
                rest = &rest[escaped.len_utf8()..];
                if escaped == 'Q' && !in_class {
                    let (literal, after) = rest.split_once("\\E").unwrap_or((rest, ""));
                    out.push_str(&regex::escape(literal));
                    rest = after;
                } else {
                    push_escape(&mut out, escaped, in_class);
                }
            }
            '[' if in_class => {
                // Only a POSIX class nests in Go; any other bracket is itself.
                out.push_str(if rest.starts_with(':') { "[" } else { "\\[" });
                if rest.starts_with(':')
                    && let Some(end) = rest.find(":]")
                {
                    out.push_str(&rest[..end + 2]);
                    rest = &rest[end + 2..];
                }
            }
            '[' => {
                in_class = true;
                out.push('[');
                for first in ["^", "]"] {
                    if let Some(after) = rest.strip_prefix(first) {
                        out.push_str(if first == "]" { "\\]" } else { "^" });
                        rest = after;
                    }
                }
            }
            ']' => {
                in_class = false;
                out.push(']');
            }
            // Rust's set operators are plain characters in Go.
            '&' | '~' if in_class => {
                out.push('\\');
                out.push(c);
            }
            '-' if in_class && rest.starts_with('-') => out.push_str("\\-"),
            c => out.push(c),
        }
    }
    out
}

fn push_escape(out: &mut String, escaped: char, in_class: bool) {
    let inner = match escaped.to_ascii_lowercase() {
        'd' => "0-9",
        'w' => "0-9A-Za-z_",
        's' => r"\t\n\f\r ",
        'b' if !in_class => {
            out.push_str(if escaped == 'b' {
                r"(?-u:\b)"
            } else {
                r"(?-u:\B)"
            });
            return;
        }
        _ => {
            out.push('\\');
            out.push(escaped);
            return;
        }
    };
    match (in_class, escaped.is_ascii_lowercase()) {
        (true, true) => out.push_str(inner),
        (_, false) => out.push_str(&format!("[^{inner}]")),
        (false, true) => out.push_str(&format!("[{inner}]")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn perl_classes_know_ascii_only() {
        for (pattern, text, found) in [
            (r"^\w$", "é", false),
            (r"^\W$", "é", true),
            (r"^\d$", "٣", false),
            (r"^[\d.]+$", "1.2", true),
            (r"^[^\s]$", "\u{a0}", true),
            (r"^[\D]$", "x", true),
            (r"\bx\b", "éxé", true),
            (r"^é+$", "éé", true),
            (r"^\Qa.b\E$", "axb", false),
            (r"^\Qa.b\E$", "a.b", true),
            (r"^[[]$", "[", true),
            (r"^[]]$", "]", true),
            (r"^[[:alpha:]]+$", "ab", true),
            (r"^[a&&b]+$", "&", true),
            (r"\\d", r"\d", true),
        ] {
            let compiled = Pattern::new(pattern).unwrap();
            assert_eq!(compiled.is_match(text), found, "{pattern} on {text:?}");
        }
    }

    #[test]
    fn a_broken_pattern_is_told_in_one_line() {
        assert_eq!(
            Pattern::new("a(b").unwrap_err(),
            r#""a(b" is no regular expression: unclosed group"#
        );
    }
}
