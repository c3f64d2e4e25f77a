//! The value of a scalar: YAML 1.1 as Go's yaml.v2 resolves it, and as `sigs.k8s.io/yaml`
//! converts it where a string is expected.

use std::borrow::Cow;

use base64::{Engine, prelude::BASE64_STANDARD};

/// A scalar's value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum YamlScalar<'a> {
    Null,
    Bool(bool),
    Int(i64),
    /// Larger than an `Int` can be.
    Uint(u64),
    Float(f64),
    Text(Cow<'a, str>),
}

/// YAML's own tags for scalars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum YamlTag {
    Null,
    Bool,
    Int,
    Float,
    Str,
    Timestamp,
    Binary,
    /// Any other tag: the text is kept.
    Other,
}

impl YamlTag {
    /// `suffix` follows `tag:yaml.org,2002:`.
    pub(super) fn from_suffix(suffix: &str) -> Self {
        match suffix {
            "null" => Self::Null,
            "bool" => Self::Bool,
            "int" => Self::Int,
            "float" => Self::Float,
            "str" => Self::Str,
            "timestamp" => Self::Timestamp,
            "binary" => Self::Binary,
            _ => Self::Other,
        }
    }
}

/// Resolves a scalar; `plain` is without quotes. The error names what the tag requires.
pub(super) fn resolve_scalar<'a>(
    text: &'a str,
    plain: bool,
    tag: Option<YamlTag>,
) -> Result<YamlScalar<'a>, &'static str> {
    let text_scalar = || YamlScalar::Text(Cow::Borrowed(text));
    let value = match tag {
        None if plain => resolve_plain(text),
        None | Some(YamlTag::Str | YamlTag::Timestamp | YamlTag::Other) => return Ok(text_scalar()),
        Some(YamlTag::Binary) => {
            let packed: String = text.split_ascii_whitespace().collect();
            let bytes = BASE64_STANDARD.decode(packed).ok();
            let decoded = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
            return decoded
                .map(|text| YamlScalar::Text(Cow::Owned(text)))
                .ok_or("base64 of UTF-8");
        }
        Some(_) => resolve_plain(text),
    };
    match (tag, value) {
        (None, value)
        | (Some(YamlTag::Null), value @ YamlScalar::Null)
        | (Some(YamlTag::Bool), value @ YamlScalar::Bool(_))
        | (Some(YamlTag::Int), value @ (YamlScalar::Int(_) | YamlScalar::Uint(_)))
        | (Some(YamlTag::Float), value @ YamlScalar::Float(_)) => Ok(value),
        #[expect(clippy::cast_precision_loss, reason = "what the tag asks for")]
        (Some(YamlTag::Float), YamlScalar::Int(int)) => Ok(YamlScalar::Float(int as f64)),
        (Some(YamlTag::Null), _) => Err("null"),
        (Some(YamlTag::Bool), _) => Err("true or false"),
        (Some(YamlTag::Int), _) => Err("a whole number"),
        _ => Err("a number"),
    }
}

fn resolve_plain(text: &str) -> YamlScalar<'_> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return YamlScalar::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return YamlScalar::Bool(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return YamlScalar::Bool(false);
        }
        ".nan" | ".NaN" | ".NAN" => return YamlScalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return YamlScalar::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return YamlScalar::Float(f64::NEG_INFINITY),
        _ => {}
    }
    let number = match text.as_bytes()[0] {
        b'.' if !text.starts_with("._") => parse_number(text),
        b'0'..=b'9' | b'+' | b'-' => parse_number(text),
        _ => None,
    };
    number.unwrap_or(YamlScalar::Text(Cow::Borrowed(text)))
}

fn parse_number(text: &str) -> Option<YamlScalar<'static>> {
    let digits: Cow<'_, str> = if text.contains('_') {
        Cow::Owned(text.replace('_', ""))
    } else {
        Cow::Borrowed(text)
    };
    parse_integer(&digits).or_else(|| is_decimal(&digits).then(|| parse_float(&digits)).flatten())
}

/// Go's `strconv.ParseInt` with base 0: `0x`, `0o`, `0b` and a leading `0` choose the base.
fn parse_integer(text: &str) -> Option<YamlScalar<'static>> {
    let (negative, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let mut prefix = unsigned.chars();
    let (base, digits) = match (prefix.next(), prefix.next().map(|c| c.to_ascii_lowercase())) {
        (Some('0'), Some('x')) => (16, &unsigned[2..]),
        (Some('0'), Some('o')) => (8, &unsigned[2..]),
        (Some('0'), Some('b')) => (2, &unsigned[2..]),
        (Some('0'), Some(_)) => (8, &unsigned[1..]),
        _ => (10, unsigned),
    };
    if !digits.starts_with(|c: char| c.is_digit(base)) {
        return None;
    }
    let value = u64::from_str_radix(digits, base).ok()?;
    match (negative, i64::try_from(value)) {
        (false, Ok(int)) => Some(YamlScalar::Int(int)),
        (true, Ok(int)) => Some(YamlScalar::Int(-int)),
        (true, Err(_)) => (value == i64::MIN.unsigned_abs()).then_some(YamlScalar::Int(i64::MIN)),
        // `strconv.ParseUint` accepts no sign.
        (false, Err(_)) => (!text.starts_with('+')).then_some(YamlScalar::Uint(value)),
    }
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_decimal(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let some_digits = |text: &str| !text.is_empty() && all_digits(text);
    let mantissa = match mantissa.split_once('.') {
        Some(("", fraction)) => some_digits(fraction),
        Some((whole, fraction)) => some_digits(whole) && all_digits(fraction),
        None => some_digits(mantissa),
    };
    let exponent =
        exponent.is_none_or(|text| some_digits(text.strip_prefix(['-', '+']).unwrap_or(text)));
    mantissa && exponent
}

/// `None` beyond the range of a 64-bit float, which Go refuses.
fn parse_float(text: &str) -> Option<YamlScalar<'static>> {
    let value: f64 = text.parse().ok()?;
    value.is_finite().then_some(YamlScalar::Float(value))
}

impl YamlScalar<'_> {
    /// A whole number of 32 bits, if it is one.
    pub(super) fn into_int32(self) -> Option<i32> {
        match self {
            Self::Int(int) => i32::try_from(int).ok(),
            #[expect(
                clippy::cast_possible_truncation,
                reason = "only what is exact is cast"
            )]
            Self::Float(float) => {
                let is_exact = float.fract() == 0.0 && float.abs() <= f64::from(i32::MAX);
                is_exact.then_some(float as i32)
            }
            _ => None,
        }
    }

    /// The text that a string field gets: that of the resolved value, not the original text.
    pub(super) fn into_text(self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Bool(flag) => flag.to_string(),
            Self::Int(int) => int.to_string(),
            Self::Uint(int) => int.to_string(),
            Self::Float(value) => float_text(value),
            Self::Text(text) => text.into_owned(),
        }
    }
}

/// Go's `strconv.FormatFloat(value, 'g', -1, 32)`, in single precision.
fn float_text(value: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "as sigs.k8s.io/yaml does")]
    let single = value as f32;
    if single.is_nan() {
        return "NaN".to_owned();
    }
    if single.is_infinite() {
        return if single > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{single:e}");
    let (mantissa, exponent) = scientific.split_once('e').expect("Rust writes an exponent");
    let exponent: i32 = exponent.parse().expect("Rust writes a whole exponent");
    if (-4..6).contains(&exponent) {
        single.to_string()
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{mantissa}e{sign}{:02}", exponent.abs())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// A word, its JSON, and its text, as `sigs.k8s.io/yaml` printed them.
    const WORDS: &str = include_str!("scalars.tsv");

    fn read(word: &str) -> Result<YamlScalar<'static>, &'static str> {
        let (tag, rest) = match word.strip_prefix("!!") {
            Some(tagged) => {
                let (tag, rest) = tagged.split_once(' ').unwrap_or((tagged, ""));
                (Some(YamlTag::from_suffix(tag)), rest)
            }
            None => match word.strip_prefix('!') {
                Some(own) => (Some(YamlTag::Other), own.split_once(' ').unwrap().1),
                None => (None, word),
            },
        };
        let unquoted = rest.trim_matches(['"', '\'']);
        let scalar = resolve_scalar(unquoted, unquoted.len() == rest.len(), tag)?;
        Ok(match scalar {
            YamlScalar::Text(text) => YamlScalar::Text(Cow::Owned(text.into_owned())),
            YamlScalar::Null => YamlScalar::Null,
            YamlScalar::Bool(flag) => YamlScalar::Bool(flag),
            YamlScalar::Int(int) => YamlScalar::Int(int),
            YamlScalar::Uint(int) => YamlScalar::Uint(int),
            YamlScalar::Float(float) => YamlScalar::Float(float),
        })
    }

    #[test]
    fn words_are_understood_as_in_go() {
        for line in WORDS.lines() {
            let [word, json, text] = line.split('\t').collect::<Vec<_>>()[..] else {
                panic!("{line:?} has no three columns");
            };
            let Ok(scalar) = read(word) else {
                assert_eq!(json, "error", "{word:?}");
                continue;
            };
            match (&scalar, serde_json::from_str(json)) {
                (YamlScalar::Null, Ok(Value::Null)) => {}
                (YamlScalar::Bool(flag), Ok(Value::Bool(expected))) => assert_eq!(*flag, expected),
                (YamlScalar::Int(int), Ok(Value::Number(number))) => {
                    assert!(
                        (*int as f64 - number.as_f64().unwrap()).abs() < 1e4,
                        "{word:?}"
                    );
                }
                (YamlScalar::Uint(int), Ok(Value::Number(number))) => {
                    assert!(
                        (*int as f64 - number.as_f64().unwrap()).abs() < 1e4,
                        "{word:?}"
                    );
                }
                (YamlScalar::Float(float), Ok(Value::Number(number))) => {
                    assert_eq!(*float, number.as_f64().unwrap(), "{word:?}");
                }
                (YamlScalar::Float(float), Err(_)) => assert!(!float.is_finite(), "{word:?}"),
                (YamlScalar::Text(text), Ok(Value::String(expected))) => {
                    assert_eq!(*text, expected)
                }
                (scalar, expected) => panic!("{word:?}: {scalar:?}, expected {expected:?}"),
            }
            assert_eq!(scalar.into_text(), text, "{word:?}");
        }
    }
}
