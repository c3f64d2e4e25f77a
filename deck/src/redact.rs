//! Redacts the secrets of objects: the one function for pages, `/prowjob`, `/prowjobs.js` and the
//! stored `prowjob.json` and `podinfo.json`.
//!
//! It takes two steps. First it finds where secrets are, by the names of variables and flags and by
//! the form of URLs, and replaces them. Then it searches the rest of the object for what was
//! replaced, but for the fields that say what the job is. Strings change, and kubectl's copy of the
//! object and termination messages are removed; so a valid object stays valid, and unknown fields
//! stay.

mod redacted_secrets;
mod secret_names;
mod text_secrets;

use serde_json::{Map, Value};

use redacted_secrets::RedactedSecrets;
use secret_names::is_secret;

/// The text that replaces a secret.
pub(crate) const REDACTED: &str = "REDACTED";
/// kubectl's copy of the whole object.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Levels of JSON inside strings that are parsed: two for the options of the pod utilities, and one
/// more.
const MAX_DEPTH: usize = 3;

/// Replaces the secrets of `object`, and removes the termination messages of containers, which
/// nobody has censored.
pub(crate) fn redact_secrets(object: &mut Value) {
    let mut found = RedactedSecrets::default();
    redact_value(object, &mut found, MAX_DEPTH);
    found.redact_everywhere(object);
}

/// Redacts one text, such as a description or a URL.
pub(crate) fn redact_text(text: &str) -> String {
    let mut text = text.to_owned();
    redact_string(&mut text, &mut RedactedSecrets::default(), MAX_DEPTH);
    text
}

/// Redacts an object's JSON; `None` if it is not JSON, and so cannot be searched.
pub(crate) fn redact_json(json: &[u8]) -> Option<Vec<u8>> {
    let mut object = serde_json::from_slice(json).ok()?;
    redact_secrets(&mut object);
    let mut json = serde_json::to_vec_pretty(&object).ok()?;
    json.push(b'\n');
    Some(json)
}

fn redact_value(any: &mut Value, found: &mut RedactedSecrets, depth: usize) {
    match any {
        Value::String(text) => redact_string(text, found, depth),
        Value::Array(list) => redact_array(list, found, depth),
        Value::Object(map) => redact_object(map, found, depth),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn redact_object(map: &mut Map<String, Value>, found: &mut RedactedSecrets, depth: usize) {
    map.remove(LAST_APPLIED);
    if let Some(Value::Object(ended)) = map.get_mut("terminated") {
        ended.remove("message");
    }
    let named_secret = matches!(map.get("name"), Some(Value::String(name)) if is_secret(name));
    let is_a_secret = map.get("kind").is_some_and(|kind| kind == "Secret");
    for (key, inner) in map {
        match key.as_str() {
            // The value of a variable, a header or a parameter.
            "value" if named_secret => redact_all(inner, found),
            "data" | "stringData" if is_a_secret => redact_all(inner, found),
            "annotations" => redact_annotations(inner, found, depth),
            // The fields of JSON inside a string are not known.
            key if depth < MAX_DEPTH && inner.is_string() && names_secret(key) => {
                redact_all(inner, found)
            }
            _ => redact_value(inner, found, depth),
        }
    }
}

/// Whether a field holds a secret, and not the name of a secret or of a key in one.
fn names_secret(field: &str) -> bool {
    let lower = field.to_ascii_lowercase();
    is_secret(field) && lower != "key" && lower != "cookiefile_secret" && !lower.ends_with("name")
}

fn redact_annotations(any: &mut Value, found: &mut RedactedSecrets, depth: usize) {
    let Value::Object(map) = any else {
        return redact_value(any, found, depth);
    };
    map.remove(LAST_APPLIED);
    for (key, inner) in map {
        if is_secret(key) {
            redact_all(inner, found);
        } else {
            redact_value(inner, found, depth);
        }
    }
}

/// The items may be arguments: the value of a flag may be the next item.
fn redact_array(list: &mut [Value], found: &mut RedactedSecrets, depth: usize) {
    let mut flag = false;
    for any in list {
        let Value::String(text) = any else {
            flag = false;
            redact_value(any, found, depth);
            continue;
        };
        let (follows, names_secret) = (flag, text_secrets::is_secret_flag(text));
        flag = names_secret;
        if follows && !names_secret && !text_secrets::is_expanded(text) {
            found.redact_range(text, 0..text.len());
        } else if let Some(secret) = text_secrets::find_assigned_secret(text) {
            found.redact_range(text, secret);
        } else {
            redact_string(text, found, depth);
        }
    }
}

fn redact_string(text: &mut String, found: &mut RedactedSecrets, depth: usize) {
    let begins = text.trim_start().as_bytes().first();
    if depth > 0
        && matches!(begins, Some(b'{' | b'['))
        && let Ok(mut inner) = serde_json::from_str::<Value>(text)
    {
        let before = inner.clone();
        redact_value(&mut inner, found, depth - 1);
        if inner != before {
            *text = inner.to_string();
        }
        return;
    }
    for secret in text_secrets::find_secrets(text).into_iter().rev() {
        found.redact_range(text, secret);
    }
}

/// Redacts every string below, whatever it is.
fn redact_all(any: &mut Value, found: &mut RedactedSecrets) {
    match any {
        Value::String(text) => found.redact_range(text, 0..text.len()),
        Value::Array(list) => list.iter_mut().for_each(|inner| redact_all(inner, found)),
        Value::Object(map) => map.values_mut().for_each(|inner| redact_all(inner, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests;
