//! Addresses without the credentials that stand in them.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The text with `user:password@` of every URL left out, and a user alone where it can be a token:
/// to SSH it is a name like `git`.
pub(crate) fn without_credentials(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        shown.push_str(before);
        shown.push_str("://");
        let ends = |c: char| c == '/' || c == '\'' || c == '"' || c.is_whitespace();
        let authority = &after[..after.find(ends).unwrap_or(after.len())];
        let is_ssh = before.ends_with("ssh");
        let is_secret = |at: &usize| !is_ssh || authority[..*at].contains(':');
        rest = match authority.rfind('@').filter(is_secret) {
            Some(at) => &after[at + 1..],
            None => after,
        };
    }
    shown.push_str(rest);
    shown
}

/// The same of every text in a value; the names of fields stay.
pub(crate) fn redacted<T: Serialize + DeserializeOwned>(value: &T) -> T {
    let json = serde_json::to_value(value).expect("it is written as JSON");
    let json = map_texts(json, &without_credentials);
    serde_json::from_value(json).expect("a text stays a text")
}

/// JSON with every text in it replaced; the names of fields stay.
pub(crate) fn map_texts(value: Value, replace: &impl Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => Value::String(replace(&text)),
        Value::Array(items) => {
            let items = items.into_iter();
            items.map(|item| map_texts(item, replace)).collect()
        }
        Value::Object(fields) => {
            let fields = fields.into_iter();
            fields
                .map(|(name, value)| (name, map_texts(value, replace)))
                .collect()
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_all_but_its_credentials() {
        for (text, expected) in [
            ("https://user:hunter22@h/o/r", "https://h/o/r"),
            (
                "https://token@h/o/r says https://a@b:p@h no",
                "https://h/o/r says https://h no",
            ),
            ("ssh://git@h/o/r", "ssh://git@h/o/r"),
            ("git+ssh://u:hunter22@h/o/r", "git+ssh://h/o/r"),
            ("git@h:o/r", "git@h:o/r"),
            ("https://h/a@b", "https://h/a@b"),
            ("https://u:p@", "https://"),
            ("://@", "://"),
        ] {
            assert_eq!(without_credentials(text), expected, "{text}");
        }
    }
}
