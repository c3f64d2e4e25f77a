//! The normal form: one text for all ways to write the same.
//!
//! Members that are null, false, zero or empty are left out, except those that mean something even
//! when empty; quantities are written as Kubernetes writes them; keys are sorted.

use serde_json::{Map, Value};

use super::quantity;

/// Members for which empty and absent mean different things.
const KEPT: [&str; 27] = [
    "activeDeadlineSeconds",
    "affinity",
    "allowPrivilegeEscalation",
    "automountServiceAccountToken",
    "defaultMode",
    "emptyDir",
    "enableServiceLinks",
    "fsGroup",
    "gcs_credentials_secret",
    "hostUsers",
    "mode",
    "nodeAffinity",
    "optional",
    "podAffinity",
    "podAntiAffinity",
    "privileged",
    "readOnlyRootFilesystem",
    "report",
    "runAsGroup",
    "runAsNonRoot",
    "runAsUser",
    "s3_credentials_secret",
    "securityContext",
    "setHostnameAsFQDN",
    "shareProcessNamespace",
    "terminationGracePeriodSeconds",
    "tolerationSeconds",
];

/// Maps of the user's own keys, kept as they are.
const FREE: [&str; 4] = ["annotations", "labels", "matchLabels", "nodeSelector"];

/// Maps of quantities.
const QUANTITIES: [&str; 3] = ["limits", "overhead", "requests"];

pub(crate) fn write(mut form: Value) -> String {
    prune(&mut form);
    form.sort_all_objects();
    form.to_string()
}

fn prune(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(prune),
        Value::Object(members) => prune_members(members),
        _ => {}
    }
}

/// Containers of decoration, which ours restricts in a pod that does not run as root: the only
/// declared difference of a pod, see "Different from Prow on purpose" in the README.
const UTILITIES: [&str; 4] = ["clonerefs", "initupload", "place-entrypoint", "sidecar"];

fn prune_members(members: &mut Map<String, Value>) {
    let name = members.get("name").and_then(Value::as_str);
    if name.is_some_and(|name| UTILITIES.contains(&name)) {
        members.remove("securityContext");
    }
    for (key, value) in &mut *members {
        if !FREE.contains(&key.as_str()) {
            prune(value);
        }
        let quantities = value
            .as_object_mut()
            .filter(|_| QUANTITIES.contains(&key.as_str()));
        for quantity in quantities.into_iter().flat_map(Map::values_mut) {
            *quantity = canonical(quantity);
        }
        if ["sizeLimit", "default_memory_request"].contains(&key.as_str()) {
            *value = canonical(value);
        }
    }
    if let Some(field) = members.get_mut("resourceFieldRef") {
        // What Kubernetes' own types write for an absent value.
        field["divisor"] = canonical(field.get("divisor").unwrap_or(&Value::from(0)));
    }
    members.retain(|key, value| {
        !value.is_null() && (!is_empty(value) || KEPT.contains(&key.as_str()))
    });
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(yes) => !yes,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
    }
}

/// A value that is no quantity stays as it is.
fn canonical(value: &Value) -> Value {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    quantity::canonical(&text).map_or_else(|| value.clone(), Value::String)
}

/// The first place where two normal forms differ.
pub(crate) fn first_difference(ours: &str, theirs: &str) -> String {
    let parse = |text| serde_json::from_str::<Value>(text).expect("a normal form is JSON");
    difference(&parse(ours), &parse(theirs), String::new())
        .unwrap_or_else(|| "the table is older than the dump".into())
}

fn difference(ours: &Value, theirs: &Value, path: String) -> Option<String> {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            let mut keys: Vec<_> = ours.keys().chain(theirs.keys()).collect();
            keys.sort();
            keys.into_iter().find_map(|key| {
                let member = |of: &Map<String, Value>| of.get(key).cloned().unwrap_or_default();
                difference(&member(ours), &member(theirs), format!("{path}.{key}"))
            })
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            let item = |of: &[Value], index| of.get(index).cloned().unwrap_or_default();
            (0..ours.len().max(theirs.len())).find_map(|index| {
                let path = format!("{path}[{index}]");
                difference(&item(ours, index), &item(theirs, index), path)
            })
        }
        _ if ours == theirs => None,
        _ => Some(format!("{path}\n  ours   {ours}\n  theirs {theirs}")),
    }
}
