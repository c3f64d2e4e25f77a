//! The variants of a secret: the forms in which programs print it.

mod base64;
mod json;
mod markup;
mod parts;
mod shell;
mod url;

use std::collections::BTreeSet;

use parts::{SecretPart, split_secret};

/// Values of fewer bytes are not searched for in hexadecimal: such numbers are too common.
const HEX_FROM: usize = 4;

/// The byte strings that have to be masked to hide `raw`: the value and its parts (lines, and the
/// strings of a JSON document), each as it is and in the forms in which programs print it.
///
/// Empty if the value is no secret: blank, `true` or `false`, or, trimmed, shorter than
/// `minimum_length` bytes.
#[must_use]
pub fn secret_variants(raw: &[u8], minimum_length: usize) -> Vec<Vec<u8>> {
    let trimmed = raw.trim_ascii();
    if is_blank_or_bool(trimmed) || trimmed.len() < minimum_length {
        return Vec::new();
    }
    let mut found = BTreeSet::new();
    for part in split_secret(trimmed) {
        if part.bytes().len() >= minimum_length {
            collect_shapes(&part, &mut found);
        }
    }
    // A line's end that was encoded with the value changes the last characters.
    base64::collect_whole(raw, &mut found);
    found.into_iter().collect()
}

/// Whether a value is no secret only because it is, trimmed, shorter than `minimum_length` bytes.
/// Such a value stays in clear, which callers should report.
#[must_use]
pub fn is_too_short(raw: &[u8], minimum_length: usize) -> bool {
    let trimmed = raw.trim_ascii();
    !is_blank_or_bool(trimmed) && trimmed.len() < minimum_length
}

fn is_blank_or_bool(trimmed: &[u8]) -> bool {
    trimmed.is_empty()
        || trimmed.eq_ignore_ascii_case(b"true")
        || trimmed.eq_ignore_ascii_case(b"false")
}

/// Collects every variant of a part.
fn collect_shapes(part: &SecretPart, found: &mut BTreeSet<Vec<u8>>) {
    let value = part.bytes();
    found.insert(value.to_vec());
    url::collect_escapes(value, found);
    if let Ok(text) = std::str::from_utf8(value) {
        let mut written = BTreeSet::new();
        json::collect_escapes(text, &mut written);
        markup::collect_escapes(text, part.is_quoted_twice(), &mut written);
        shell::collect_quotes(text, &mut written);
        // A log line is often JSON, which escapes whatever text is in it once more.
        for text in written {
            if part.is_quoted_twice() {
                json::collect_nested(&text, found);
            }
            found.insert(text.into_bytes());
        }
    }
    if part.is_alone_encoded() {
        base64::collect_whole(value, found);
        base64::collect_within(value, found);
        if value.len() >= HEX_FROM {
            found.insert(encode_hex(value, "0123456789abcdef"));
            found.insert(encode_hex(value, "0123456789ABCDEF"));
        }
    }
}

fn encode_hex(value: &[u8], digits: &str) -> Vec<u8> {
    let digit = |nibble: u8| digits.as_bytes()[usize::from(nibble)];
    let bytes = value.iter();
    bytes
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// Replaces some characters of a text; `None` leaves a character as it is.
fn replace_chars(text: &str, escape: impl Fn(char) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match escape(char) {
            Some(written) => out.push_str(&written),
            None => out.push(char),
        }
    }
    out
}

#[cfg(test)]
mod tests;
