//! Sets of field paths, and their `fieldsV1` form.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::super::schema::ListType;
use super::typing::{Typing, key_of};

/// Steps as `fieldsV1` writes them: `f:name`, `k:{"name":"x"}`, `v:"x"`.
pub(super) type Path = Vec<String>;
pub(super) type Fields = BTreeSet<Path>;

/// Metadata that nobody owns: the server writes it, or it is the object's identity.
const UNOWNED: &[&str] = &[
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

/// Every field of an object that can be owned, with its value; an element of a keyed list is one itself.
pub(super) fn leaves<'a>(typing: Typing<'_>, object: &'a Value) -> BTreeMap<Path, &'a Value> {
    let mut found = BTreeMap::new();
    for (name, value) in object.as_object().into_iter().flatten() {
        if matches!(name.as_str(), "apiVersion" | "kind") {
            continue;
        }
        let mut path = vec![format!("f:{name}")];
        walk(typing.field(name, true), name, value, &mut path, &mut found);
    }
    found.retain(|path, _| {
        let owned = |name: &str| UNOWNED.contains(&name);
        !(path[0] == "f:metadata"
            && path
                .get(1)
                .and_then(|step| step.strip_prefix("f:"))
                .is_some_and(owned))
    });
    found
}

fn walk<'a>(
    typing: Typing<'_>,
    name: &str,
    value: &'a Value,
    path: &mut Path,
    found: &mut BTreeMap<Path, &'a Value>,
) {
    match value {
        Value::Object(map) if !map.is_empty() && !typing.is_atomic_map(name) => {
            for (name, one) in map {
                path.push(format!("f:{name}"));
                walk(typing.field(name, false), name, one, path, found);
                path.pop();
            }
        }
        Value::Array(items) if !items.is_empty() => match typing.list(name, items) {
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
                    walk(typing.element(), "", one, path, found);
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
pub(super) fn changed(before: &BTreeMap<Path, &Value>, after: &BTreeMap<Path, &Value>) -> Fields {
    let differs = |(path, value): &(&Path, &&Value)| before.get(*path) != Some(*value);
    let now = after.iter().filter(differs).map(|(path, _)| path);
    let gone = before.keys().filter(|path| !after.contains_key(*path));
    now.chain(gone).cloned().collect()
}

/// `fieldsV1`: paths as nested objects; `.` marks an inner node that is itself in the set.
pub(super) fn to_value(fields: &Fields) -> Value {
    let mut root = Map::new();
    // In order, so that a path comes before what is below it.
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

pub(super) fn parse(value: &Value) -> Fields {
    let mut fields = Fields::new();
    collect(value, &mut Vec::new(), &mut fields);
    fields
}

fn collect(value: &Value, path: &mut Path, fields: &mut Fields) {
    let Some(map) = value.as_object() else { return };
    if !path.is_empty() && (map.is_empty() || map.contains_key(".")) {
        fields.insert(path.clone());
    }
    for (step, below) in map.iter().filter(|(step, _)| *step != ".") {
        path.push(step.clone());
        collect(below, path, fields);
        path.pop();
    }
}

/// A path as messages show it: `.spec.containers[name="x"].image`.
pub(super) fn path_text(path: &Path) -> String {
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
