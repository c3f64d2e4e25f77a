//! A secret inside a JSON string, by the rules of common JSON libraries.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::replace_chars;

/// What a library escapes besides `\"`, `\\` and control characters, which all have to escape.
struct JsonDialect {
    /// Characters written as `\u` and digits although they need not be.
    numbered: &'static [char],
    /// Whether all that is not ASCII is written as `\u` and digits.
    ascii: bool,
    /// Whether `/` is written as `\/`.
    slash: bool,
    /// Whether `\n`, `\t` and the like are used; else those are written as `\u` and digits.
    short: bool,
}

const PLAIN: JsonDialect = JsonDialect {
    numbered: &[],
    ascii: false,
    slash: false,
    short: true,
};
/// Go's.
const GO: JsonDialect = JsonDialect {
    numbered: &['<', '>', '&', '\u{2028}', '\u{2029}'],
    ..PLAIN
};

const DIALECTS: [JsonDialect; 8] = [
    // serde, JavaScript, jq, and Go without HTML escapes.
    PLAIN,
    GO,
    // Go's v2, and JavaScript with escapes for HTML.
    JsonDialect {
        numbered: &['\u{2028}', '\u{2029}'],
        ..PLAIN
    },
    // Python's and Ruby's.
    JsonDialect {
        ascii: true,
        ..PLAIN
    },
    // PHP's.
    JsonDialect {
        ascii: true,
        slash: true,
        ..PLAIN
    },
    // JavaScript libraries for use within HTML.
    JsonDialect {
        slash: true,
        ..PLAIN
    },
    // Gson's.
    JsonDialect {
        numbered: &['<', '>', '&', '=', '\'', '\u{2028}', '\u{2029}'],
        ..PLAIN
    },
    // .NET's.
    JsonDialect {
        numbered: &['<', '>', '&', '\'', '+', '`', '"', '\u{7f}'],
        ascii: true,
        ..PLAIN
    },
];

/// Writes every control character as `\u` and digits.
const BY_NUMBER: JsonDialect = JsonDialect {
    short: false,
    ..PLAIN
};

pub(super) fn collect_escapes(text: &str, found: &mut BTreeSet<String>) {
    for upper in [false, true] {
        for dialect in &DIALECTS {
            found.insert(escape_string(text, dialect, upper));
        }
        found.insert(escape_string(text, &BY_NUMBER, upper));
    }
}

/// Collects an escaped text inside a JSON string, and that string inside another one.
pub(super) fn collect_nested(written: &str, found: &mut BTreeSet<Vec<u8>>) {
    for dialect in [&PLAIN, &GO] {
        let once = escape_string(written, dialect, false);
        found.insert(escape_string(&once, dialect, false).into_bytes());
        found.insert(once.into_bytes());
    }
}

fn escape_string(text: &str, dialect: &JsonDialect, upper: bool) -> String {
    replace_chars(text, |char| match char {
        _ if dialect.numbered.contains(&char) => Some(escape_by_number(char, upper)),
        '"' => Some("\\\"".to_owned()),
        '\\' => Some("\\\\".to_owned()),
        '\n' if dialect.short => Some("\\n".to_owned()),
        '\r' if dialect.short => Some("\\r".to_owned()),
        '\t' if dialect.short => Some("\\t".to_owned()),
        '\u{8}' if dialect.short => Some("\\b".to_owned()),
        '\u{c}' if dialect.short => Some("\\f".to_owned()),
        '/' if dialect.slash => Some("\\/".to_owned()),
        '\0'..='\u{1f}' => Some(escape_by_number(char, upper)),
        _ if dialect.ascii && !char.is_ascii() => Some(escape_by_number(char, upper)),
        _ => None,
    })
}

/// Writes `\u` and four digits, twice for a character of two UTF-16 units.
fn escape_by_number(char: char, upper: bool) -> String {
    let mut out = String::new();
    for unit in char.encode_utf16(&mut [0; 2]) {
        let written = if upper {
            write!(out, "\\u{unit:04X}")
        } else {
            write!(out, "\\u{unit:04x}")
        };
        written.expect("a string takes whatever is written");
    }
    out
}
