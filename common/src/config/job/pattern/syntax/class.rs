//! Translates brackets. Rust's nested classes and set operators are plain characters in Go.

use std::fmt::Write as _;

use super::{
    RegexpTranslator,
    escape::{MATCH_NOTHING, parse_char_escape, parse_class_escape},
    text_before,
};

/// The ASCII classes of POSIX.
const POSIX: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];
/// Code points that are no characters.
const SURROGATES: std::ops::RangeInclusive<u32> = 0xD800..=0xDFFF;

impl<'a> RegexpTranslator<'a> {
    pub(super) fn translate_class(&mut self) -> Result<(), String> {
        let whole = self.rest;
        let mut rest = &whole[1..];
        let negated = rest.starts_with('^');
        if negated {
            rest = &rest[1..];
        }
        let mut items = String::new();
        let mut cost = if negated { 24 } else { 4 };
        let mut first = true;
        while first || !rest.starts_with(']') {
            first = false;
            if let Some((name, after)) = parse_posix_class(rest)? {
                items.push_str(&name);
                cost += 24;
                rest = after;
                continue;
            }
            if rest.starts_with('\\')
                && let Some((text, more, after)) = parse_class_escape(rest)?
            {
                items.push_str(&text);
                cost += more;
                rest = after;
                continue;
            }
            let (range, after) = parse_range(rest, whole)?;
            cost += if *range.end() < 0x80 { 0 } else { 24 };
            push_range(&mut items, range);
            rest = after;
        }
        self.rest = &rest[1..];
        let text = match (items.is_empty(), negated) {
            (true, false) => MATCH_NOTHING.to_owned(),
            (true, true) => r"[\x{0}-\x{10FFFF}]".to_owned(),
            (false, false) => format!("[{items}]"),
            (false, true) => format!("[^{items}]"),
        };
        self.push_atom(&text, cost);
        Ok(())
    }
}

/// `[:alpha:]` or `[:^alpha:]`, and what follows it.
fn parse_posix_class(text: &str) -> Result<Option<(String, &str)>, String> {
    let Some((name, rest)) = text
        .strip_prefix("[:")
        .and_then(|inside| inside.split_once(":]"))
    else {
        return Ok(None);
    };
    let plain = name.strip_prefix('^').unwrap_or(name);
    if !POSIX.contains(&plain) {
        let what = text_before(text, rest);
        return Err(format!("invalid character class range: `{what}`"));
    }
    // In Go, letters that differ in case only are added before a class is negated. Rust does so
    // only for a class in brackets of its own.
    Ok(Some(if plain.len() < name.len() {
        (format!("[^[:{plain}:]]"), rest)
    } else {
        (format!("[:{plain}:]"), rest)
    }))
}

/// `a` or `a-z`, and what follows it. `whole` is the text from the opening bracket on.
fn parse_range<'a>(
    text: &'a str,
    whole: &str,
) -> Result<(std::ops::RangeInclusive<u32>, &'a str), String> {
    let (low, mut rest) = parse_class_char(text, whole)?;
    let mut high = low;
    if let Some(after) = rest.strip_prefix('-')
        && !after.is_empty()
        && !after.starts_with(']')
    {
        (high, rest) = parse_class_char(after, whole)?;
        if high < low {
            let what = text_before(text, rest);
            return Err(format!("invalid character class range: `{what}`"));
        }
    }
    Ok((low..=high, rest))
}

fn parse_class_char<'a>(text: &'a str, whole: &str) -> Result<(u32, &'a str), String> {
    if text.starts_with('\\') {
        return parse_char_escape(text);
    }
    let mut chars = text.chars();
    match chars.next() {
        Some(c) => Ok((c.into(), chars.as_str())),
        None => Err(format!("missing closing ]: `{whole}`")),
    }
}

/// Writes a range without the surrogates at its ends.
fn push_range(items: &mut String, range: std::ops::RangeInclusive<u32>) {
    let (mut low, mut high) = range.into_inner();
    if SURROGATES.contains(&low) {
        low = SURROGATES.end() + 1;
    }
    if SURROGATES.contains(&high) {
        high = SURROGATES.start() - 1;
    }
    if low <= high {
        let _ = write!(items, r"\x{{{low:X}}}-\x{{{high:X}}}");
    }
}
