//! The shapes a secret takes on its way into a log.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// A single line of a secret that is shorter than this could be anybody's.
const MIN_LINE: usize = 16;

/// What to look for to hide `raw`: the trimmed value, its base64 (and that of `raw`), and its
/// forms in URLs and JSON; of several lines also each long one.
///
/// Empty if the value is no secret: blank, `true` or `false`, or, trimmed, shorter than
/// `minimum_length` bytes.
#[must_use]
pub fn variants(raw: &[u8], minimum_length: usize) -> Vec<Vec<u8>> {
    let trimmed = raw.trim_ascii();
    let lower = trimmed.to_ascii_lowercase();
    if trimmed.is_empty() || trimmed.len() < minimum_length || lower == b"true" || lower == b"false"
    {
        return Vec::new();
    }
    let mut found = vec![trimmed.to_vec()];
    for value in [raw, trimmed] {
        found.push(STANDARD.encode(value).into_bytes());
        // What is longer than a few bytes is told even without its padding.
        if value.len() > 2 {
            found.push(STANDARD_NO_PAD.encode(value).into_bytes());
            found.push(URL_SAFE_NO_PAD.encode(value).into_bytes());
        }
    }
    found.push(percent_encoded(trimmed));
    if let Ok(text) = std::str::from_utf8(trimmed) {
        found.push(json_escaped(text));
    }
    if trimmed.contains(&b'\n') {
        let lines = trimmed.split(|b| *b == b'\n').map(<[u8]>::trim_ascii);
        // The frame of a PEM file is no secret, and masking it would only hide what was there.
        found.extend(
            lines
                .filter(|l| l.len() >= MIN_LINE && !l.starts_with(b"-----"))
                .map(<[u8]>::to_vec),
        );
    }
    found.sort();
    found.dedup();
    found
}

/// As in a URL's query: all but letters, digits and `-._~` as `%XX`.
fn percent_encoded(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    for byte in value {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            out.push(*byte);
        } else {
            out.extend(format!("%{byte:02X}").into_bytes());
        }
    }
    out
}

/// The inside of a JSON string.
fn json_escaped(text: &str) -> Vec<u8> {
    let quoted = serde_json::Value::from(text).to_string();
    quoted.as_bytes()[1..quoted.len() - 1].to_vec()
}

#[cfg(test)]
mod tests {
    use crate::censor::Censor;

    use super::*;

    #[test]
    fn what_is_no_secret() {
        for (raw, minimum) in [("", 0), (" \n", 0), ("true", 0), ("False\n", 0), ("abc", 4)] {
            assert!(variants(raw.as_bytes(), minimum).is_empty(), "{raw:?}");
        }
        assert!(!variants(b"abcd\n", 4).is_empty());
    }

    #[test]
    fn every_shape_is_hidden() {
        let secret = "p\"ss/word+ &1\n";
        let censor = Censor::new(variants(secret.as_bytes(), 0)).unwrap();
        for shape in [
            "p\"ss/word+ &1",
            "cCJzcy93b3JkKyAmMQo=",
            "cCJzcy93b3JkKyAmMQ==",
            "cCJzcy93b3JkKyAmMQ",
            "p%22ss%2Fword%2B%20%261",
            r#"p\"ss/word+ &1"#,
        ] {
            let masked = censor.mask_text(&format!("<{shape}>"));
            assert_eq!(
                masked.trim_end_matches(['=', '>']),
                format!(
                    "<{}",
                    "X".repeat(masked.trim_end_matches(['=', '>']).len() - 1)
                ),
                "{shape}"
            );
        }
    }

    #[test]
    fn a_key_is_hidden_whole_and_line_by_line() {
        let body = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj";
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\n}}\n-----END PRIVATE KEY-----\n");
        let censor = Censor::new(variants(pem.as_bytes(), 0)).unwrap();
        assert!(!censor.mask_text(&pem).contains("MIIE"));
        assert!(!censor.mask_text(&format!("+ {body}\r\n")).contains("MIIE"));
        assert!(!censor.mask_text(&pem.replace('\n', "\\n")).contains("MIIE"));
        assert_eq!(censor.mask_text("fn main() {\n}\n"), "fn main() {\n}\n");
    }
}
