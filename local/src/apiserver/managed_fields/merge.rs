//! Sets applied fields in an object, and removes fields that are no longer applied.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::super::schema::ListType;
use super::fields::FieldPath;
use super::typing::{FieldTyping, key_of};

/// Merges `applied` into `object`.
pub(super) fn merge_applied(typing: FieldTyping<'_>, object: &mut Value, applied: &Value) {
    for (name, value) in applied.as_object().into_iter().flatten() {
        let slot = &mut object[name.as_str()];
        merge_field(typing.field_typing(name, true), name, slot, value);
    }
}

fn merge_field(typing: FieldTyping<'_>, name: &str, slot: &mut Value, applied: &Value) {
    match (&mut *slot, applied) {
        (Value::Object(map), Value::Object(applied)) if !typing.is_atomic_map(name) => {
            for (name, one) in applied {
                let slot = map.entry(name.as_str()).or_insert(Value::Null);
                merge_field(typing.field_typing(name, false), name, slot, one);
            }
        }
        (Value::Array(list), Value::Array(applied)) => match typing.list_type(name, applied) {
            ListType::Atomic => list.clone_from(applied),
            ListType::Set => {
                for one in applied {
                    if !list.contains(one) {
                        list.push(one.clone());
                    }
                }
            }
            ListType::Map(keys) => {
                for one in applied {
                    let key = key_of(one, &keys);
                    match list
                        .iter_mut()
                        .find(|element| key_of(element, &keys) == key)
                    {
                        Some(element) => merge_field(typing.element_typing(), "", element, one),
                        None => list.push(one.clone()),
                    }
                }
            }
        },
        _ => slot.clone_from(applied),
    }
}

/// Removes the fields that were given up, unless one of `others` is the field or is below it.
pub(super) fn remove_given_up<'a>(
    object: &mut Value,
    given_up: impl Iterator<Item = &'a FieldPath>,
    others: &BTreeSet<&FieldPath>,
) {
    let kept = |path: &FieldPath| {
        others
            .range::<&FieldPath, _>(path..)
            .next()
            .is_some_and(|other| other.starts_with(path))
    };
    // Deepest first, so that an element is removed after its contents.
    let mut doomed: Vec<&FieldPath> = given_up
        .filter(|path| !kept(path) && !is_key(path))
        .collect();
    doomed.sort_by_key(|path| std::cmp::Reverse(path.len()));
    for path in doomed {
        remove_at(object, path);
    }
}

/// Whether a path leads to the key of a list's element. A key stays as long as its element.
fn is_key(path: &FieldPath) -> bool {
    let [.., element, field] = path.as_slice() else {
        return false;
    };
    let (Some(keys), Some(field)) = (element.strip_prefix("k:"), field.strip_prefix("f:")) else {
        return false;
    };
    serde_json::from_str::<Map<String, Value>>(keys).is_ok_and(|keys| keys.contains_key(field))
}

/// Removes the value at a path, and a map or list that is empty then.
fn remove_at(value: &mut Value, path: &[String]) {
    let Some((step, rest)) = path.split_first() else {
        return;
    };
    match value {
        Value::Object(map) => {
            let Some(name) = step.strip_prefix("f:") else {
                return;
            };
            let Some(inner) = map.get_mut(name) else {
                return;
            };
            if !rest.is_empty() {
                remove_at(inner, rest);
            }
            let empty = inner.as_object().is_some_and(Map::is_empty)
                || inner.as_array().is_some_and(Vec::is_empty);
            if rest.is_empty() || empty {
                map.remove(name);
            }
        }
        Value::Array(list) => {
            let Some(at) = list.iter().position(|element| matches_step(element, step)) else {
                return;
            };
            if rest.is_empty() {
                list.remove(at);
            } else {
                remove_at(&mut list[at], rest);
            }
        }
        _ => {}
    }
}

fn matches_step(element: &Value, step: &str) -> bool {
    if let Some(value) = step.strip_prefix("v:") {
        return serde_json::from_str::<Value>(value).is_ok_and(|value| value == *element);
    }
    let Some(keys) = step.strip_prefix("k:") else {
        return false;
    };
    let keys: Value = serde_json::from_str(keys).unwrap_or_default();
    let names: Vec<String> = keys
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| name.clone())
        .collect();
    key_of(element, &names) == keys
}
