//! Splits a secret into its parts: lines, the values in them, and the strings of a JSON document.

use serde_json::Value;

/// A single line or string of at least this many bytes is masked wherever it occurs.
const LONG: usize = 8;
/// So is a shorter one of at least this many bytes that has letters and digits. `{`, `true`,
/// `else {` and `return;` are in most logs, and masking them would hide the log. So what is short
/// and has no digit is masked inside the whole secret only.
const MIXED: usize = 6;
/// Bytes of a small secret. Of a larger one, single lines are not searched for in base64 and
/// hexadecimal, and no part inside text that is quoted twice: that would take most of the memory.
const SMALL: usize = 4 << 10;
/// How many levels of JSON within strings of JSON are read.
const DEPTH: u32 = 3;

/// A part of a secret that is searched for by itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SecretPart {
    bytes: Vec<u8>,
    /// Whether the part is its whole secret.
    is_whole: bool,
    /// Whether its secret has at most [`SMALL`] bytes.
    is_of_small: bool,
}

impl SecretPart {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether to search for it in base64 and hexadecimal without the rest of its secret.
    pub(super) fn is_alone_encoded(&self) -> bool {
        self.is_whole || self.is_of_small
    }

    /// Whether to search for it quoted by one program inside text that another program quotes.
    pub(super) fn is_quoted_twice(&self) -> bool {
        self.is_of_small
    }
}

/// Returns the whole value first.
pub(super) fn split_secret(value: &[u8]) -> Vec<SecretPart> {
    let is_of_small = value.len() <= SMALL;
    let mut found = vec![SecretPart {
        bytes: value.to_vec(),
        is_whole: true,
        is_of_small,
    }];
    let mut add = |bytes: &[u8]| {
        found.push(SecretPart {
            bytes: bytes.to_vec(),
            is_whole: false,
            is_of_small,
        });
    };
    collect_lines(value, &mut add);
    collect_json_strings(value, DEPTH, &mut add);
    found
}

fn collect_lines(value: &[u8], add: &mut impl FnMut(&[u8])) {
    let is_one = !value.contains(&b'\n');
    for line in value.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii) {
        if !is_one && stands_alone(line) {
            add(line);
        }
        // A named value may be the name of a cluster or the like, so a plain word is not masked.
        if let Some(named) = named_value(line).filter(|named| is_mixed(named)) {
            add(named);
        }
    }
}

/// The value of `NAME=value` and `name: value`, without quotes.
fn named_value(line: &[u8]) -> Option<&[u8]> {
    let end = line
        .windows(2)
        .position(|pair| pair[0] == b'=' || pair == b": ")?;
    let value = line[end + 1..].trim_ascii();
    let is_quote = |byte: &u8| [b'"', b'\''].contains(byte);
    match value {
        [quote, inner @ .., last] if is_quote(quote) && quote == last => Some(inner),
        _ => Some(value),
    }
}

fn collect_json_strings(value: &[u8], depth: u32, add: &mut impl FnMut(&[u8])) {
    // A number or a bare string is no document.
    if depth == 0 || !matches!(value.first(), Some(b'{' | b'[')) {
        return;
    }
    if let Ok(document) = serde_json::from_slice(value) {
        collect_strings_of(&document, depth, add);
    }
}

fn collect_strings_of(document: &Value, depth: u32, add: &mut impl FnMut(&[u8])) {
    match document {
        Value::String(text) => {
            let text = text.as_bytes().trim_ascii();
            if stands_alone(text) || text.contains(&b'\n') {
                add(text);
            }
            collect_lines(text, add);
            collect_json_strings(text, depth - 1, add);
        }
        Value::Array(items) => items
            .iter()
            .for_each(|item| collect_strings_of(item, depth, add)),
        Value::Object(fields) => fields
            .values()
            .for_each(|item| collect_strings_of(item, depth, add)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn stands_alone(line: &[u8]) -> bool {
    // The frame of a PEM file is no secret; masking it would only hide what kind of key it was.
    if line.starts_with(b"-----") && line.ends_with(b"-----") {
        return false;
    }
    line.len() >= LONG || is_mixed(line)
}

fn is_mixed(line: &[u8]) -> bool {
    let has = |kind: fn(&u8) -> bool| line.iter().any(kind);
    line.len() >= MIXED && has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_alone() {
        for (line, expected) in [
            ("}", false),
            ("true", false),
            ("else {", false),
            ("return;", false),
            ("pass12", true),
            ("pass1", false),
            ("123456", false),
            ("12345678", true),
            ("eight by", true),
            ("-----BEGIN PRIVATE KEY-----", false),
            ("-----no frame", true),
        ] {
            assert_eq!(stands_alone(line.as_bytes()), expected, "{line}");
        }
    }

    fn texts(value: &str) -> Vec<String> {
        let parts = split_secret(value.as_bytes()).into_iter();
        parts
            .map(|part| String::from_utf8(part.bytes).unwrap())
            .collect()
    }

    #[test]
    fn the_strings_of_a_document_are_values_of_their_own() {
        let inner = r#"{"deep":"hunter222"}"#;
        let document = serde_json::json!({
            "short": "abc", "key": "-----BEGIN KEY-----\nfirst line of it\n}\n-----END KEY-----\n",
            "list": ["hunter2222", 7, null], "inner": inner,
        })
        .to_string();
        let texts = texts(&document);
        for expected in ["first line of it", "hunter2222", "hunter222", inner] {
            assert!(
                texts.contains(&expected.to_owned()),
                "{expected}: {texts:?}"
            );
        }
        for no in ["abc", "}", "short", "-----BEGIN KEY-----"] {
            assert!(!texts.contains(&no.to_owned()), "{no}: {texts:?}");
        }
    }

    #[test]
    fn the_value_of_a_name_is_one_of_its_own() {
        for (line, expected) in [
            ("PASSWORD=hunter22", Some("hunter22")),
            ("export TOKEN='a b c 12'", Some("a b c 12")),
            ("  token: \"hunter22\"", Some("hunter22")),
            ("name: cluster", Some("cluster")),
            ("https://a", None),
            ("aHVudGVyMjI=", None),
            ("A=\"", Some("\"")),
            ("", None),
        ] {
            assert_eq!(
                named_value(line.as_bytes()),
                expected.map(str::as_bytes),
                "{line}"
            );
        }
        assert_eq!(
            texts("token: hunter22\nname: cluster"),
            [
                "token: hunter22\nname: cluster",
                "token: hunter22",
                "hunter22",
                "name: cluster"
            ]
        );
        assert_eq!(
            texts("PASSWORD=hunter22"),
            ["PASSWORD=hunter22", "hunter22"]
        );
    }

    #[test]
    fn a_single_line_is_itself() {
        assert_eq!(texts("hunter22"), ["hunter22"]);
        assert_eq!(texts("\"hunter22\""), ["\"hunter22\""]);
        assert_eq!(texts("{\"broken\": \"json\""), ["{\"broken\": \"json\""]);
    }
}
