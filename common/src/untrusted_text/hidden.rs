//! Characters that readers do not see, or that change what they see of others.

/// Whether the character is not shown: control characters, directions, zero-width
/// characters, fillers, tags.
#[must_use]
pub fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

/// The text on one line without hidden characters, for sinks that show text as it is: a title, the
/// description of a status.
///
/// Ends of lines and tabs become spaces, other hidden characters their number, such as `\u{1b}`.
#[must_use]
pub fn escape_plain(text: &str, limit: usize) -> String {
    let mut line = String::with_capacity(text.len().min(limit));
    for character in truncate_chars(text, limit) {
        match character {
            '\n' | '\r' | '\t' => line.push(' '),
            character => push_escaped(&mut line, character),
        }
    }
    line
}

/// Appends the character, or its number if it is hidden.
pub(super) fn push_escaped(text: &mut String, character: char) {
    if is_hidden(character) {
        text.extend(character.escape_unicode());
    } else {
        text.push(character);
    }
}

/// The first `limit` characters, and `…` if there are more.
pub(super) fn truncate_chars(text: &str, limit: usize) -> impl Iterator<Item = char> {
    let end = text.char_indices().nth(limit).map(|(end, _)| end);
    let shown = &text[..end.unwrap_or(text.len())];
    shown.chars().chain(end.map(|_| '…'))
}
