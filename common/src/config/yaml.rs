//! YAML as Prow accepts it: YAML 1.1 booleans and octals, merge keys, `null` as the default,
//! any scalar where a text is wanted, the first document only.
//!
//! This is the only module that knows the YAML library. Its errors say where and what; the
//! path inside the document comes from [`tree::Tree`], which is built only when something is
//! wrong.

mod tree;

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde_saphyr::{
    Budget, DuplicateKeyPolicy, Error, Localizer, Location, MessageFormatter, Options,
    UserMessageFormatter,
};

pub(super) use tree::Tree;

use super::{Errors, Problem, problem::show};

/// What a document may cost to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// A file of the installation's operator.
    Operator,
    /// A file of a stranger: the library's own limits, and no key twice.
    Stranger,
}

/// Reads an operator's file; an empty one is the default.
pub fn parse<T: DeserializeOwned + Default>(file: &str, text: &str) -> Result<T, Errors> {
    read(file, text, Trust::Operator)
}

pub(super) fn read<T: DeserializeOwned + Default>(
    file: &str,
    text: &str,
    trust: Trust,
) -> Result<T, Errors> {
    let mut bytes = text.as_bytes();
    let mut documents = serde_saphyr::read_with_options::<_, T>(&mut bytes, options(trust));
    match documents.next() {
        None => Ok(T::default()),
        Some(Ok(value)) => Ok(value),
        Some(Err(error)) => Err(explain(file, text, &error).into()),
    }
}

fn options(trust: Trust) -> Options {
    let stranger = trust == Trust::Stranger;
    let mut budget = Budget::default();
    if !stranger {
        // Real installations have a few anchors and hundreds of aliases in one file.
        budget.max_events = 10_000_000;
        budget.max_nodes = 5_000_000;
        budget.enforce_alias_anchor_ratio = false;
    }
    serde_saphyr::options! {
        budget: Some(budget),
        duplicate_keys: if stranger { DuplicateKeyPolicy::Error } else { DuplicateKeyPolicy::LastWins },
        legacy_octal_numbers: true,
        with_snippet: false,
    }
}

/// The library's error in our words.
fn explain(file: &str, text: &str, error: &Error) -> Problem {
    let error = innermost(error);
    let (line, column) = error
        .location()
        .map_or((0, 0), |at| (at.line(), at.column()));
    let place = Tree::parse(text).and_then(|tree| tree.at(line, column));
    let (path, found) = match place {
        Some((path, found)) => (show(&path), found.to_string()),
        None => (String::new(), "something else".to_owned()),
    };
    let message = match expected(error) {
        Some(expected) => format!("found {found}, expected {expected}"),
        None => error.render_with_formatter(&Plain),
    };
    Problem {
        rule: "yaml",
        file: file.to_owned(),
        line,
        column,
        path,
        message,
        hint: None,
    }
}

fn innermost(error: &Error) -> &Error {
    match error.without_snippet() {
        Error::AliasError { error, .. } => innermost(error),
        error => error,
    }
}

/// What a value should have been, when its kind is what is wrong.
fn expected(error: &Error) -> Option<String> {
    Some(match error {
        Error::Unexpected { expected, .. } => plain_kind(expected).to_owned(),
        Error::InvalidScalar { ty, .. } => plain_kind(ty).to_owned(),
        Error::SerdeInvalidType { expected, .. } | Error::SerdeInvalidValue { expected, .. } => {
            plain_kind(expected).to_owned()
        }
        Error::SerdeUnknownVariant { expected, .. } => format!("one of {}", expected.join(", ")),
        Error::NullIntoString { .. } => "a text".to_owned(),
        _ => return None,
    })
}

/// The library's and Rust's words for kinds of values in those of a file's author.
fn plain_kind(kind: &str) -> &str {
    match kind {
        "i64" | "u64" | "i32" | "u32" | "integer" => "a whole number",
        "boolean" | "a boolean" => "true or false",
        "sequence start" | "a sequence" => "a list",
        "mapping start" | "a map" => "a mapping",
        "string scalar" | "a string" => "a text",
        other => other.strip_prefix("struct ").map_or(other, |_| "a mapping"),
    }
}

/// The library's user-facing texts without the place, which is told apart.
struct Plain;

impl MessageFormatter for Plain {
    fn localizer(&self) -> &dyn Localizer {
        &NoPlace
    }

    fn format_message<'a>(&self, error: &'a Error) -> Cow<'a, str> {
        UserMessageFormatter.format_message(error)
    }
}

struct NoPlace;

impl Localizer for NoPlace {
    fn attach_location<'a>(&self, base: Cow<'a, str>, _: Location) -> Cow<'a, str> {
        base
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::*;
    use crate::prowjob::null_default;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Sample {
        #[serde(deserialize_with = "null_default")]
        text: String,
        #[serde(deserialize_with = "null_default")]
        flag: bool,
        #[serde(deserialize_with = "null_default")]
        list: Vec<String>,
        #[serde(deserialize_with = "null_default")]
        map: BTreeMap<String, i64>,
    }

    #[test]
    fn accepts_what_prow_accepts() {
        for (text, expected) in [
            ("", Sample::default()),
            ("# nothing\n", Sample::default()),
            ("---\n", Sample::default()),
            (
                "text: 1500",
                Sample {
                    text: "1500".into(),
                    ..Sample::default()
                },
            ),
            (
                "text: true",
                Sample {
                    text: "true".into(),
                    ..Sample::default()
                },
            ),
            (
                "flag: yes",
                Sample {
                    flag: true,
                    ..Sample::default()
                },
            ),
            ("list:\nmap:\ntext:\nflag:", Sample::default()),
            ("unknown: {a: [1]}", Sample::default()),
            (
                "flag: on\n---\n[broken",
                Sample {
                    flag: true,
                    ..Sample::default()
                },
            ),
            (
                "text: a\ntext: b",
                Sample {
                    text: "b".into(),
                    ..Sample::default()
                },
            ),
            (
                "x: &x {text: merged, flag: true}\n<<: *x\nflag: false",
                Sample {
                    text: "merged".into(),
                    ..Sample::default()
                },
            ),
        ] {
            assert_eq!(parse::<Sample>("f", text).unwrap(), expected, "{text}");
        }
        let octal: BTreeMap<String, Value> = parse("f", "mode: 0777").unwrap();
        assert_eq!(octal["mode"], json!(511));
    }

    #[test]
    fn says_where_what_was_found_and_what_was_expected() {
        for (text, message) in [
            (
                "map:\n  a: many",
                "f:2:6: map.a: found \"many\", expected a whole number",
            ),
            (
                "list: {a: b}",
                "f:1:7: list: found a mapping, expected a list",
            ),
            (
                "flag: maybe",
                "f:1:7: flag: found \"maybe\", expected true or false",
            ),
            ("text: [a]", "f:1:7: text: found a list, expected a text"),
            ("text: [a", "f:1:7: text: unclosed bracket '['"),
        ] {
            assert_eq!(parse::<Sample>("f", text).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn a_strangers_bomb_ends_early() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..10 {
            let below = format!("*a{}, ", level - 1).repeat(9);
            bomb.push_str(&format!("a{level}: &a{level} [{below}]\n"));
        }
        for text in [bomb, "[".repeat(10_000), "a: {".repeat(10_000)] {
            assert!(read::<Value>("f", &text, Trust::Stranger).is_err());
        }
        assert!(read::<Sample>("f", "text: a\ntext: b", Trust::Stranger).is_err());
    }
}
