//! Strangers' text in Slack's mrkdwn.

use super::hidden::escape_plain;

/// Plain text on one line. `&`, `<` and `>` are escaped, because Slack's links and mentions consist
/// of them. Bold, italic, struck and code have no escape, so their marks are replaced by characters
/// that look like them. URLs do not become links.
#[must_use]
pub fn escape_slack(text: &str, limit: usize) -> String {
    let line = escape_plain(text, limit);
    let mut written = String::with_capacity(line.len());
    let mut before: Option<char> = None;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        let after = characters.peek().copied();
        let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        match character {
            '&' => written.push_str("&amp;"),
            '<' => written.push_str("&lt;"),
            '>' => written.push_str("&gt;"),
            '*' => written.push('∗'),
            '~' => written.push('∼'),
            '`' => written.push('ˋ'),
            // Within a name an underscore stays.
            '_' if !(is_word(before) && is_word(after)) => written.push('＿'),
            // Some workspaces look up a name after these.
            '@' | '#' => written.extend([character, '\u{200b}']),
            ':' if after == Some('/') => written.push_str(":\u{200b}"),
            character => written.push(character),
        }
        before = Some(character);
    }
    written
}
