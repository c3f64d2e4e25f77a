//! Makes one plain, bounded line of a stranger's bytes.

use crate::untrusted_text::is_hidden;

/// How many bytes of a raw line are read.
const MAX_RAW: usize = 4096;

/// What a terminal would show of a line: no colours, no other control characters, the text after
/// the last carriage return, at most `max` bytes, with `…` at the end if it was cut.
///
/// Characters that reorder or hide text are removed, so that readers see what the text contains.
pub(super) fn plain_line(raw: &[u8], max: usize) -> String {
    let raw = raw.trim_ascii_end();
    // Before the line is cut: of a progress bar the last state counts, however long the line is.
    let shown = raw
        .rsplit(|byte| *byte == b'\r')
        .find(|part| !part.is_empty());
    let raw = shown.unwrap_or_default();
    let cut = raw.len() > MAX_RAW;
    let shown = String::from_utf8_lossy(&raw[..raw.len().min(MAX_RAW)]);
    let mut text = String::with_capacity(shown.len());
    let mut characters = shown.chars();
    while let Some(character) = characters.next() {
        match character {
            '\u{1b}' => skip_escape(&mut characters),
            '\u{9b}' => skip_sequence(&mut characters),
            '\t' | '\n' => text.push(' '),
            hidden if is_hidden(hidden) => {}
            plain => text.push(plain),
        }
    }
    text.truncate(text.trim_end().len());
    if cut && text.len() <= max {
        text.push('…');
    }
    truncate_bytes(&text, max)
}

/// Skips what follows an escape character.
fn skip_escape(characters: &mut std::str::Chars<'_>) {
    match characters.next() {
        Some('[') => skip_sequence(characters),
        // A string such as a link or a title ends with BEL or `ESC \`.
        Some(']' | 'P' | 'X' | '^' | '_') => {
            while let Some(character) = characters.next() {
                if character == '\u{7}' {
                    break;
                }
                if character == '\u{1b}' {
                    characters.next();
                    break;
                }
            }
        }
        _ => {}
    }
}

fn skip_sequence(characters: &mut std::str::Chars<'_>) {
    characters.find(|character| ('\u{40}'..='\u{7e}').contains(character));
}

/// Truncates to at most `max` bytes.
pub(super) fn truncate_bytes(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(max.saturating_sub('…'.len_utf8()));
    format!("{}…", text[..end].trim_end())
}

/// Truncates to at most `max` characters.
pub(super) fn truncate_chars(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let kept: String = text.chars().take(max.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// What similar lines have in common: the text without numbers, hashes, addresses and times.
pub(super) fn normalize_line(text: &str) -> String {
    let mut shape = String::with_capacity(text.len());
    for word in text.split_inclusive(|character: char| !character.is_ascii_alphanumeric()) {
        let core = word.trim_end_matches(|character: char| !character.is_ascii_alphanumeric());
        let digits = core.strip_prefix("0x").unwrap_or(core);
        let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_hex && core.len() >= 6 {
            shape.push('#');
            shape.push_str(&word[core.len()..]);
            continue;
        }
        for character in word.chars() {
            if !character.is_ascii_digit() {
                shape.push(character);
            } else if !shape.ends_with('#') {
                shape.push('#');
            }
        }
    }
    shape
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_a_terminal_shows() {
        for (raw, expected) in [
            ("plain  \r\n", "plain"),
            ("\u{1b}[1;31merror\u{1b}[0m: x", "error: x"),
            ("\u{1b}]8;;http://a\u{7}link\u{1b}]8;;\u{1b}\\!", "link!"),
            ("10%\r50%\r100% done\r", "100% done"),
            ("a\tb\u{8}\u{0}", "a b"),
            ("safe\u{202e}txt.exe\u{200b}", "safetxt.exe"),
            ("\u{1b}[", ""),
            ("ünï…", "ünï…"),
        ] {
            assert_eq!(plain_line(raw.as_bytes(), 100), expected, "{raw:?}");
        }
        assert_eq!(plain_line(b"\xff\xfe ok", 100), "\u{fffd}\u{fffd} ok");
        assert_eq!(plain_line("ääää".as_bytes(), 7), "ää…");
        assert_eq!(plain_line(&b"x".repeat(1 << 20), 10), "xxxxxxx…");
        assert_eq!(truncate_chars("abcdef", 4), "abc…");
    }

    #[test]
    fn lines_that_say_the_same_have_one_shape() {
        let same = |a: &str, b: &str| assert_eq!(normalize_line(a), normalize_line(b));
        same(
            "12:01:59.123 error at 0x7ffd12",
            "09:44:00.001 error at 0x7ffa99",
        );
        same("commit 3f2a9bc failed", "commit deadbeef0 failed");
        assert_ne!(
            normalize_line("cannot find a"),
            normalize_line("cannot find b")
        );
    }
}
