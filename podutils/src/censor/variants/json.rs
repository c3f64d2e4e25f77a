//! A secret within a JSON string, by the rules of those who write JSON.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::escaped;

/// How a library writes strings, beyond `\"`, `\\`, and control characters, which all must escape.
struct Dialect {
    /// Written by number although they need not be.
    numbered: &'static [char],
    /// Whatever is not ASCII is written by number.
    ascii: bool,
    /// As `\/`.
    slash: bool,
    /// `\n`, `\t` and the like, and `\"`; else those are written by number.
    short: bool,
}

const PLAIN: Dialect = Dialect {
    numbered: &[],
    ascii: false,
    slash: false,
    short: true,
};
/// Go's.
const GO: Dialect = Dialect {
    numbered: &['<', '>', '&', '\u{2028}', '\u{2029}'],
    ..PLAIN
};

const DIALECTS: [Dialect; 8] = [
    // serde, JavaScript's, jq's; Go's without HTML in mind.
    PLAIN,
    GO,
    // Go's v2, and JavaScript that is careful with HTML.
    Dialect {
        numbered: &['\u{2028}', '\u{2029}'],
        ..PLAIN
    },
    // Python's and Ruby's.
    Dialect {
        ascii: true,
        ..PLAIN
    },
    // PHP's.
    Dialect {
        ascii: true,
        slash: true,
        ..PLAIN
    },
    // JavaScript libraries' within HTML.
    Dialect {
        slash: true,
        ..PLAIN
    },
    // Gson's.
    Dialect {
        numbered: &['<', '>', '&', '=', '\'', '\u{2028}', '\u{2029}'],
        ..PLAIN
    },
    // .NET's.
    Dialect {
        numbered: &['<', '>', '&', '\'', '+', '`', '"', '\u{7f}'],
        ascii: true,
        ..PLAIN
    },
];

/// Whatever is a control character, by number.
const BY_NUMBER: Dialect = Dialect {
    short: false,
    ..PLAIN
};

pub(super) fn escapes(text: &str, found: &mut BTreeSet<String>) {
    for upper in [false, true] {
        for dialect in &DIALECTS {
            found.insert(string(text, dialect, upper));
        }
        found.insert(string(text, &BY_NUMBER, upper));
    }
}

/// What is written already, in a string, and that in a string once more.
pub(super) fn within(written: &str, found: &mut BTreeSet<Vec<u8>>) {
    for dialect in [&PLAIN, &GO] {
        let once = string(written, dialect, false);
        found.insert(string(&once, dialect, false).into_bytes());
        found.insert(once.into_bytes());
    }
}

fn string(text: &str, dialect: &Dialect, upper: bool) -> String {
    escaped(text, |char| match char {
        _ if dialect.numbered.contains(&char) => Some(numbered(char, upper)),
        '"' => Some("\\\"".to_owned()),
        '\\' => Some("\\\\".to_owned()),
        '\n' if dialect.short => Some("\\n".to_owned()),
        '\r' if dialect.short => Some("\\r".to_owned()),
        '\t' if dialect.short => Some("\\t".to_owned()),
        '\u{8}' if dialect.short => Some("\\b".to_owned()),
        '\u{c}' if dialect.short => Some("\\f".to_owned()),
        '/' if dialect.slash => Some("\\/".to_owned()),
        '\0'..='\u{1f}' => Some(numbered(char, upper)),
        _ if dialect.ascii && !char.is_ascii() => Some(numbered(char, upper)),
        _ => None,
    })
}

/// As `\u` and four digits, twice of what needs more.
fn numbered(char: char, upper: bool) -> String {
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
