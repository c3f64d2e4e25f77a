//! Strangers' text on a terminal.

use std::fmt::Write as _;

use super::hidden::{is_hidden, push_escaped, truncate_chars};

/// The text on one line, with escapes such as `\u{1b}` and `\n` for what a terminal would obey.
#[must_use]
pub fn escape_terminal(text: &str, limit: usize) -> String {
    let mut line = String::with_capacity(text.len().min(limit));
    for character in truncate_chars(text, limit) {
        match character {
            '\n' | '\r' | '\t' => line.extend(character.escape_default()),
            character => push_escaped(&mut line, character),
        }
    }
    line
}

/// As [`escape_terminal`] for a text of several lines, which stay lines.
#[must_use]
pub fn escape_terminal_lines(text: &str, limit: usize) -> String {
    let mut lines = String::with_capacity(text.len().min(limit));
    for character in truncate_chars(text, limit) {
        match character {
            '\n' => lines.push('\n'),
            '\r' | '\t' => lines.extend(character.escape_default()),
            character => push_escaped(&mut lines, character),
        }
    }
    lines
}

/// JSON that contains strangers' text, such as a line of a log. What a terminal would obey is
/// written as JSON's own escapes, so that a JSON parser reads the same.
#[must_use]
pub fn escape_json(document: &str) -> String {
    let mut written = String::with_capacity(document.len());
    let mut units = [0; 2];
    for character in document.chars() {
        // The end of a line is never within a string.
        if character != '\n' && is_hidden(character) {
            for unit in character.encode_utf16(&mut units) {
                let _ = write!(written, "\\u{unit:04x}");
            }
        } else {
            written.push(character);
        }
    }
    written
}
