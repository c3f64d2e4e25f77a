//! Replaces texts in records, at any depth.

use common::redact::strip_url_credentials;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Removes the credentials from all addresses in a value; the names of fields stay.
pub(crate) fn redact_credentials<T: Serialize + DeserializeOwned>(value: &T) -> T {
    let json = serde_json::to_value(value).expect("it is written as JSON");
    let json = map_texts(json, &strip_url_credentials);
    serde_json::from_value(json).expect("a text stays a text")
}

/// Replaces every text in JSON; the names of fields stay.
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
