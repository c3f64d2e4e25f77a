//! Strategic merge: a merge patch with directives that knows which lists of the built-in kinds are
//! keyed.

use axum::body::Bytes;
use serde_json::{Map, Value};

use super::super::status::{StatusError, StatusResult};

/// The key of a list's elements, by the list's field name. Other lists are replaced as a whole.
/// `ports` has two keys, a container's and a service's; the one that its elements have is used.
const MERGE_KEYS: &[(&str, &[&str])] = &[
    ("containers", &["name"]),
    ("initContainers", &["name"]),
    ("ephemeralContainers", &["name"]),
    ("env", &["name"]),
    ("volumes", &["name"]),
    ("volumeMounts", &["mountPath"]),
    ("volumeDevices", &["devicePath"]),
    ("ports", &["containerPort", "port"]),
    ("imagePullSecrets", &["name"]),
    ("secrets", &["name"]),
    ("hostAliases", &["ip"]),
    ("topologySpreadConstraints", &["topologyKey"]),
    ("schedulingGates", &["name"]),
    ("resourceClaims", &["name"]),
    ("conditions", &["type"]),
    ("ownerReferences", &["uid"]),
    ("podIPs", &["ip"]),
    ("addresses", &["type"]),
    ("taints", &["key"]),
];

/// Lists of plain values that are merged as sets.
const MERGE_SETS: &[&str] = &["finalizers"];

const DIRECTIVE: &str = "$patch";
const RETAIN: &str = "$retainKeys";
const ORDER: &str = "$setElementOrder/";
const DELETE: &str = "$deleteFromPrimitiveList/";

pub(crate) fn strategic_merge_patch(object: &Value, body: &Bytes) -> StatusResult<Value> {
    let Value::Object(patch) = super::parse_patch(body)? else {
        return Err(StatusError::bad_request(
            "a strategic merge patch is an object",
        ));
    };
    let mut patched = object.clone();
    let target = patched
        .as_object_mut()
        .ok_or_else(StatusError::internal_error)?;
    merge_map(target, &patch)?;
    Ok(patched)
}

fn merge_map(target: &mut Map<String, Value>, patch: &Map<String, Value>) -> StatusResult<()> {
    match patch
        .get(DIRECTIVE)
        .map(|directive| directive.as_str().unwrap_or_default())
    {
        None | Some("merge") => {}
        Some("replace") => {
            *target = without_directives(patch);
            return Ok(());
        }
        Some("delete") => {
            target.clear();
            return Ok(());
        }
        Some(other) => {
            return Err(StatusError::bad_request(format!(
                "unknown patch directive {other:?}"
            )));
        }
    }
    if let Some(kept) = patch.get(RETAIN).and_then(Value::as_array) {
        target.retain(|name, _| kept.iter().any(|one| one == name));
    }
    for (name, doomed) in list_directives(patch, DELETE) {
        if let Some(list) = target.get_mut(name).and_then(Value::as_array_mut) {
            list.retain(|one| !doomed.contains(one));
        }
    }
    for (name, change) in patch.iter().filter(|(name, _)| !name.starts_with('$')) {
        merge_field(target, name, change)?;
    }
    for (name, order) in list_directives(patch, ORDER) {
        if let Some(list) = target.get_mut(name).and_then(Value::as_array_mut) {
            let in_patch = patch
                .get(name)
                .and_then(Value::as_array)
                .map(Vec::as_slice)
                .unwrap_or_default();
            set_order(list, order, merge_key(name, order), in_patch);
        }
    }
    Ok(())
}

fn list_directives<'a>(
    patch: &'a Map<String, Value>,
    prefix: &'static str,
) -> impl Iterator<Item = (&'a str, &'a Vec<Value>)> {
    patch
        .iter()
        .filter_map(move |(name, value)| Some((name.strip_prefix(prefix)?, value.as_array()?)))
}

fn merge_field(target: &mut Map<String, Value>, name: &str, change: &Value) -> StatusResult<()> {
    match change {
        Value::Null => {
            target.remove(name);
        }
        Value::Object(patch) => match target.get_mut(name) {
            Some(Value::Object(inner)) => {
                merge_map(inner, patch)?;
                if patch
                    .get(DIRECTIVE)
                    .is_some_and(|directive| directive == "delete")
                {
                    target.remove(name);
                }
            }
            _ => {
                let mut inner = Map::new();
                merge_map(&mut inner, patch)?;
                target.insert(name.to_owned(), Value::Object(inner));
            }
        },
        Value::Array(patch) => merge_list(target, name, patch)?,
        plain => {
            target.insert(name.to_owned(), plain.clone());
        }
    }
    Ok(())
}

fn merge_list(target: &mut Map<String, Value>, name: &str, patch: &[Value]) -> StatusResult<()> {
    let empty = || Value::Array(Vec::new());
    let replaces = patch.iter().any(|one| one[DIRECTIVE] == "replace");
    let key = merge_key(name, patch);
    let merges = !replaces && (key.is_some() || MERGE_SETS.contains(&name));
    if !merges {
        let elements = patch
            .iter()
            .filter(|one| one[DIRECTIVE] != "replace")
            .cloned()
            .collect();
        target.insert(name.to_owned(), Value::Array(elements));
        return Ok(());
    }
    let slot = target.entry(name).or_insert_with(empty);
    if !slot.is_array() {
        *slot = empty();
    }
    let list = slot.as_array_mut().expect("made a list above");
    let Some(key) = key else {
        for one in patch {
            if !list.contains(one) {
                list.push(one.clone());
            }
        }
        return Ok(());
    };
    for one in patch {
        let Value::Object(change) = one else {
            return Err(StatusError::bad_request(format!(
                "{name}: the elements of the patch must be objects"
            )));
        };
        let Some(id) = change.get(key) else {
            return Err(StatusError::bad_request(format!(
                "map: {one} does not contain declared merge key: {key}"
            )));
        };
        let at = list.iter().position(|element| element[key] == *id);
        match (at, change.get(DIRECTIVE).and_then(Value::as_str)) {
            (_, Some("delete")) => list.retain(|element| element[key] != *id),
            (Some(at), _) => {
                if let Some(element) = list[at].as_object_mut() {
                    merge_map(element, change)?;
                }
            }
            (None, _) => {
                let mut element = Map::new();
                merge_map(&mut element, change)?;
                list.push(Value::Object(element));
            }
        }
    }
    Ok(())
}

fn merge_key(list: &str, elements: &[Value]) -> Option<&'static str> {
    let (_, keys) = MERGE_KEYS.iter().find(|(name, _)| *name == list)?;
    let carried = keys
        .iter()
        .find(|key| elements.iter().any(|one| one.get(**key).is_some()));
    carried.or(keys.first()).copied()
}

/// Orders the elements that the patch's author knows. Elements that only the server has keep their
/// position.
fn set_order(list: &mut [Value], order: &[Value], key: Option<&'static str>, in_patch: &[Value]) {
    let same = |element: &Value, wanted: &Value| match key {
        Some(key) => element[key] == wanted[key],
        None => element == wanted,
    };
    let rank = |element: &Value| order.iter().position(|wanted| same(element, wanted));
    let known =
        |element: &Value| rank(element).is_some() || in_patch.iter().any(|one| same(element, one));
    let mut ranked: Vec<Value> = list
        .iter()
        .filter(|element| known(element))
        .cloned()
        .collect();
    ranked.sort_by_key(|element| rank(element).unwrap_or(usize::MAX));
    let mut next = ranked.into_iter();
    for slot in list.iter_mut().filter(|element| known(element)) {
        if let Some(element) = next.next() {
            *slot = element;
        }
    }
}

fn without_directives(patch: &Map<String, Value>) -> Map<String, Value> {
    patch
        .iter()
        .filter(|(name, _)| !name.starts_with('$'))
        .map(|(name, one)| (name.clone(), one.clone()))
        .collect()
}

#[cfg(test)]
mod tests;
