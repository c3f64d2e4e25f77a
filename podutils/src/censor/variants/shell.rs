//! A secret as shells and other languages quote it (`set -x`, `printf %q`, `repr`).

use std::collections::BTreeSet;

use super::replace_chars;

/// The characters before which bash puts a backslash outside of quotes.
const SPECIAL: &str = " \t!\"#$&'()*,;<>?[\\]^`{|}~";
/// Those among them that some shells leave as they are.
const SOMETIMES: &str = "!#,^{}~";

/// Collects the quoted forms, without the quotes around them.
pub(super) fn collect_quotes(text: &str, found: &mut BTreeSet<String>) {
    let backslash = |special: &str| {
        replace_chars(text, |char| {
            special.contains(char).then(|| format!("\\{char}"))
        })
    };
    let sparing: String = SPECIAL
        .chars()
        .filter(|c| !SOMETIMES.contains(*c))
        .collect();
    found.insert(backslash(SPECIAL));
    found.insert(backslash(&sparing));
    // Inside "…"; bash escapes `!` only where there is a history.
    found.insert(backslash("\\\"$`"));
    found.insert(backslash("\\\"$`!"));
    // Python's and JavaScript's '…'.
    found.insert(backslash("\\'"));
    // Inside '…': the quotes are closed and opened again.
    for quote in ["'\\''", "'\"'\"'", "''"] {
        found.insert(replace_chars(text, |char| {
            (char == '\'').then(|| quote.to_owned())
        }));
    }
    for bytes in [NonAscii::Clear, NonAscii::Octal, NonAscii::Hex] {
        for quote in [true, false] {
            found.insert(quote_ansi_c(text, bytes, quote));
        }
    }
    // Line ends as a terminal gets them.
    found.insert(replace_chars(text, |char| {
        (char == '\n').then(|| "\r\n".to_owned())
    }));
}

/// How bytes that are not ASCII are written.
#[derive(Clone, Copy)]
enum NonAscii {
    Clear,
    Octal,
    Hex,
}

/// Quotes as bash's `$'…'` and Python's `repr` of bytes (without a backslash before quotes).
fn quote_ansi_c(text: &str, bytes: NonAscii, quote: bool) -> String {
    let byte = |byte: u8| match bytes {
        NonAscii::Hex => format!("\\x{byte:02x}"),
        NonAscii::Octal | NonAscii::Clear => format!("\\{byte:03o}"),
    };
    replace_chars(text, |char| match char {
        '\'' if quote => Some("\\'".to_owned()),
        '\\' => Some("\\\\".to_owned()),
        '\n' => Some("\\n".to_owned()),
        '\r' => Some("\\r".to_owned()),
        '\t' => Some("\\t".to_owned()),
        '\x1b' if !matches!(bytes, NonAscii::Hex) => Some("\\E".to_owned()),
        '\0'..='\x1f' | '\x7f' => Some(byte(char as u8)),
        _ if char.is_ascii() || matches!(bytes, NonAscii::Clear) => None,
        _ => Some(char.encode_utf8(&mut [0; 4]).bytes().map(byte).collect()),
    })
}
