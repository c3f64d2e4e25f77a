//! Edits a pod spec as JSON, and writes JSON as Go writes it.

use common::expansion::escape_literal;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::DecorateError;

pub(super) type SpecObject = Map<String, Value>;

/// The list under `key`, made if it is missing.
pub(super) fn list_mut<'a>(
    object: &'a mut SpecObject,
    key: &str,
) -> Result<&'a mut Vec<Value>, DecorateError> {
    let value = object.entry(key).or_insert(Value::Null);
    if value.is_null() {
        *value = Value::Array(Vec::new());
    }
    value
        .as_array_mut()
        .ok_or_else(|| DecorateError::Malformed(key.to_owned(), "a list"))
}

/// The objects of the list under `key`; none if it is missing.
pub(super) fn objects_mut<'a>(
    object: &'a mut SpecObject,
    key: &str,
) -> Result<Vec<&'a mut SpecObject>, DecorateError> {
    let items = match object.get_mut(key) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(items)) => items,
        Some(_) => return Err(DecorateError::Malformed(key.to_owned(), "a list")),
    };
    items
        .iter_mut()
        .enumerate()
        .map(|(i, item)| {
            item.as_object_mut()
                .ok_or_else(|| DecorateError::Malformed(format!("{key}[{i}]"), "an object"))
        })
        .collect()
}

/// The object under `key`, made if it is missing.
pub(super) fn object_mut<'a>(
    parent: &'a mut SpecObject,
    key: &str,
) -> Result<&'a mut SpecObject, DecorateError> {
    let value = parent.entry(key).or_insert(Value::Null);
    if value.is_null() {
        *value = Value::Object(SpecObject::new());
    }
    value
        .as_object_mut()
        .ok_or_else(|| DecorateError::Malformed(key.to_owned(), "an object"))
}

pub(super) fn str_field<'a>(object: &'a SpecObject, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The strings of the list under `key`; none if it is missing.
pub(super) fn string_list(object: &SpecObject, key: &str) -> Result<Vec<String>, DecorateError> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(value) => serde_json::from_value(value.clone())
            .map_err(|_| DecorateError::Malformed(key.to_owned(), "a list of strings")),
    }
}

/// A variable whose value arrives as it is, whatever `$(…)` and `$$` it holds.
pub(super) fn literal_env_var(name: &str, value: &str) -> Value {
    raw_env_var(name, &escape_literal(value))
}

/// A variable that the kubelet expands.
pub(super) fn raw_env_var(name: &str, value: &str) -> Value {
    json!({"name": name, "value": value})
}

pub(super) fn volume_mount(name: &str, path: &str) -> Value {
    json!({"name": name, "mountPath": path})
}

pub(super) fn read_only_mount(name: &str, path: &str) -> Value {
    json!({"name": name, "mountPath": path, "readOnly": true})
}

pub(super) fn empty_dir_volume(name: &str) -> Value {
    json!({"name": name, "emptyDir": {}})
}

pub(super) fn secret_volume(name: &str, secret: &str) -> Value {
    json!({"name": name, "secret": {"secretName": secret}})
}

/// JSON as Go's encoder writes it: `<`, `>`, `&` and the two Unicode line ends are escaped.
pub(super) fn go_json(value: &impl Serialize) -> String {
    let plain = serde_json::to_string(value).expect("options are JSON");
    let mut escaped = String::with_capacity(plain.len());
    for character in plain.chars() {
        match character {
            '<' => escaped.push_str("\\u003c"),
            '>' => escaped.push_str("\\u003e"),
            '&' => escaped.push_str("\\u0026"),
            '\u{2028}' => escaped.push_str("\\u2028"),
            '\u{2029}' => escaped.push_str("\\u2029"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_what_go_escapes() {
        assert_eq!(
            go_json(&"a<b>&c\u{2028}\"é"),
            r#""a\u003cb\u003e\u0026c\u2028\"é""#
        );
    }
}
