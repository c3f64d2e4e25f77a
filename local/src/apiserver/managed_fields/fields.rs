//! Sets of field paths, and their `fieldsV1` form.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::super::schema::ListType;
use super::typing::{FieldTyping, key_of};

/// Steps as in `fieldsV1`: `f:name`, `k:{"name":"x"}`, `v:"x"`.
pub(super) type FieldPath = Vec<String>;
pub(super) type FieldSet = BTreeSet<FieldPath>;

/// Metadata that no manager owns: the server writes it, or it identifies the object.
const UNOWNED_METADATA: &[&str] = &[
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
    "generateName",
    "selfLink",
];

/// Every field of an object that can be owned, with its value. An element of a keyed list is a
/// field itself.
pub(super) fn list_leaf_fields<'a>(
    typing: FieldTyping<'_>,
    object: &'a Value,
) -> BTreeMap<FieldPath, &'a Value> {
    let mut found = BTreeMap::new();
    for (name, value) in object.as_object().into_iter().flatten() {
        if matches!(name.as_str(), "apiVersion" | "kind") {
            continue;
        }
        let mut path = vec![format!("f:{name}")];
        collect_leaf_fields(
            typing.field_typing(name, true),
            name,
            value,
            &mut path,
            &mut found,
        );
    }
    found.retain(|path, _| {
        let owned = |name: &str| UNOWNED_METADATA.contains(&name);
        !(path[0] == "f:metadata"
            && path
                .get(1)
                .and_then(|step| step.strip_prefix("f:"))
                .is_some_and(owned))
    });
    found
}

fn collect_leaf_fields<'a>(
    typing: FieldTyping<'_>,
    name: &str,
    value: &'a Value,
    path: &mut FieldPath,
    found: &mut BTreeMap<FieldPath, &'a Value>,
) {
    match value {
        Value::Object(map) if !map.is_empty() && !typing.is_atomic_map(name) => {
            for (name, one) in map {
                path.push(format!("f:{name}"));
                collect_leaf_fields(typing.field_typing(name, false), name, one, path, found);
                path.pop();
            }
        }
        Value::Array(items) if !items.is_empty() => match typing.list_type(name, items) {
            ListType::Atomic => {
                found.insert(path.clone(), value);
            }
            ListType::Set => {
                for one in items {
                    path.push(format!("v:{one}"));
                    found.insert(path.clone(), &Value::Null);
                    path.pop();
                }
            }
            ListType::Map(keys) => {
                for one in items {
                    path.push(format!("k:{}", key_of(one, &keys)));
                    found.insert(path.clone(), &Value::Null);
                    collect_leaf_fields(typing.element_typing(), "", one, path, found);
                    path.pop();
                }
            }
        },
        _ => {
            found.insert(path.clone(), value);
        }
    }
}

/// The fields that were added, changed or removed.
pub(super) fn changed_fields(
    before: &BTreeMap<FieldPath, &Value>,
    after: &BTreeMap<FieldPath, &Value>,
) -> FieldSet {
    let differs = |(path, value): &(&FieldPath, &&Value)| before.get(*path) != Some(*value);
    let now = after.iter().filter(differs).map(|(path, _)| path);
    let gone = before.keys().filter(|path| !after.contains_key(*path));
    now.chain(gone).cloned().collect()
}

/// `fieldsV1`: paths as nested objects. `.` marks an inner node that is itself in the set.
pub(super) fn to_fields_v1(fields: &FieldSet) -> Value {
    let mut root = Map::new();
    // Sorted, so a path comes before the paths below it.
    for path in fields {
        let mut at = &mut root;
        for (depth, step) in path.iter().enumerate() {
            if depth > 0 && at.is_empty() && fields.contains(&path[..depth]) {
                at.insert(".".to_owned(), Value::Object(Map::new()));
            }
            let next = at
                .entry(step.clone())
                .or_insert_with(|| Value::Object(Map::new()));
            let Value::Object(next) = next else { break };
            at = next;
        }
    }
    Value::Object(root)
}

pub(super) fn parse_fields_v1(value: &Value) -> FieldSet {
    let mut fields = FieldSet::new();
    collect_paths(value, &mut Vec::new(), &mut fields);
    fields
}

fn collect_paths(value: &Value, path: &mut FieldPath, fields: &mut FieldSet) {
    let Some(map) = value.as_object() else { return };
    if !path.is_empty() && (map.is_empty() || map.contains_key(".")) {
        fields.insert(path.clone());
    }
    for (step, below) in map.iter().filter(|(step, _)| *step != ".") {
        path.push(step.clone());
        collect_paths(below, path, fields);
        path.pop();
    }
}

/// A path as in messages: `.spec.containers[name="x"].image`.
pub(super) fn path_text(path: &FieldPath) -> String {
    let step_text = |step: &String| match (step.strip_prefix("f:"), step.strip_prefix("k:")) {
        (Some(name), _) => format!(".{name}"),
        (_, Some(keys)) => {
            let keys: Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
            let keys: Vec<String> = keys
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            format!("[{}]", keys.join(","))
        }
        _ => format!("[={}]", step.trim_start_matches("v:")),
    };
    path.iter().map(step_text).collect()
}
