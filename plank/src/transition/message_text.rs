//! Others' messages in a description.

/// Longest part of another's message that a description carries, in characters.
const MAX_MESSAGE: usize = 600;

pub(super) fn format_reason(reason: &str, message: &str) -> String {
    if message.is_empty() {
        reason.to_owned()
    } else {
        format!("{reason}: {}", shorten_message(message))
    }
}

/// The message on one line, cut.
pub(super) fn shorten_message(message: &str) -> String {
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX_MESSAGE) {
        Some((end, _)) => format!("{} ...", &line[..end]),
        None => line,
    }
}

/// A part of a sentence as a sentence of its own.
pub(super) fn capitalize_first(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(letters).collect()
}
