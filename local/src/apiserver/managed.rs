//! `managedFields`: who wrote which field, what apply may take, and what it gives up.
//!
//! Every write is recorded, not only apply's, or apply could not see whom it conflicts with.

mod fields;
mod merge;
mod typing;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::object::child;
use super::resource::Resource;
use super::status::{Failure, Result};
use fields::{Fields, Path, changed, leaves, path_text};
use typing::Typing;

/// Who writes, and how.
#[derive(Debug, Clone)]
pub(crate) struct Manager {
    name: String,
    subresource: String,
    /// With server-side apply: exactly the fields that were applied.
    applied: Option<Fields>,
}

/// One entry of `managedFields`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    manager: String,
    operation: String,
    subresource: String,
    api_version: String,
    time: Value,
    fields: Fields,
}

impl Manager {
    /// A create, a PUT or a patch.
    pub(crate) fn update(name: &str, subresource: &str) -> Self {
        Self {
            name: name.to_owned(),
            subresource: subresource.to_owned(),
            applied: None,
        }
    }

    /// Server-side apply of `object`.
    pub(crate) fn apply(
        name: &str,
        subresource: &str,
        resource: &Resource,
        object: &Value,
    ) -> Self {
        let fields = leaves(Typing::of(resource), object).into_keys().collect();
        Self {
            applied: Some(fields),
            ..Self::update(name, subresource)
        }
    }

    fn operation(&self) -> &'static str {
        if self.applied.is_some() {
            "Apply"
        } else {
            "Update"
        }
    }

    fn wrote(&self, entry: &Entry) -> bool {
        entry.manager == self.name
            && entry.operation == self.operation()
            && entry.subresource == self.subresource
    }
}

/// Brings `new`'s managed fields up to date with what `manager` has changed.
pub(crate) fn record(
    resource: &Resource,
    old: Option<&Value>,
    new: &mut Value,
    manager: &Manager,
    now: &Value,
) {
    let mut entries = old.map(entries_of).unwrap_or_default();
    let typing = Typing::of(resource);
    let none = json!({});
    let (before, after) = (leaves(typing, old.unwrap_or(&none)), leaves(typing, new));
    let changes = changed(&before, &after);
    for entry in entries.iter_mut().filter(|entry| !manager.wrote(entry)) {
        entry.fields.retain(|path| !changes.contains(path));
    }
    let mine = entries.iter().position(|entry| manager.wrote(entry));
    let owned = mine
        .map(|at| entries[at].fields.clone())
        .unwrap_or_default();
    let fields: Fields = match &manager.applied {
        Some(applied) => applied.clone(),
        None => owned
            .union(&changes)
            .filter(|path| after.contains_key(*path))
            .cloned()
            .collect(),
    };
    // Who changes nothing leaves no new time behind, so that doing a thing twice is one write.
    let touched = mine.is_none() || owned != fields || !changes.is_empty();
    match mine {
        Some(at) => {
            if touched {
                entries[at].time = now.clone();
            }
            entries[at].fields = fields;
        }
        None => entries.push(Entry {
            manager: manager.name.clone(),
            operation: manager.operation().to_owned(),
            subresource: manager.subresource.clone(),
            api_version: resource.api_version(),
            time: now.clone(),
            fields,
        }),
    }
    let written: Vec<Value> = entries
        .iter()
        .filter(|entry| !entry.fields.is_empty())
        .map(Entry::to_value)
        .collect();
    let meta = child(new, "metadata");
    if written.is_empty() {
        meta.remove("managedFields");
    } else {
        meta.insert("managedFields".to_owned(), json!(written));
    }
}

/// The object after `manager` has applied `applied`: its fields in, those it no longer names out.
///
/// Fails with the conflicts when it would change fields of others, unless it may `force` them.
pub(crate) fn apply(
    resource: &Resource,
    old: &Value,
    applied: &Value,
    manager: &Manager,
    force: bool,
) -> Result<Value> {
    let typing = Typing::of(resource);
    let entries = entries_of(old);
    let mut merged = old.clone();
    merge::merge(typing, &mut merged, applied);

    let now_applied = manager.applied.clone().unwrap_or_default();
    let before = entries
        .iter()
        .find(|entry| manager.wrote(entry))
        .map(|entry| entry.fields.clone());
    let others: BTreeSet<&Path> = entries
        .iter()
        .filter(|entry| !manager.wrote(entry))
        .flat_map(|entry| &entry.fields)
        .collect();
    let given_up = before
        .iter()
        .flatten()
        .filter(|path| !now_applied.contains(*path));
    merge::remove(&mut merged, given_up, &others);

    let changes = changed(&leaves(typing, old), &leaves(typing, &merged));
    let conflicts: Vec<(String, String)> = entries
        .iter()
        .filter(|entry| !manager.wrote(entry))
        .flat_map(|entry| {
            entry
                .fields
                .intersection(&changes)
                .map(|path| (entry.manager.clone(), path_text(path)))
        })
        .collect();
    if conflicts.is_empty() || force {
        Ok(merged)
    } else {
        Err(Failure::apply_conflict(&conflicts))
    }
}

fn entries_of(object: &Value) -> Vec<Entry> {
    object["metadata"]["managedFields"]
        .as_array()
        .into_iter()
        .flatten()
        .map(Entry::parse)
        .collect()
}

impl Entry {
    fn parse(value: &Value) -> Self {
        let text = |field: &str| value[field].as_str().unwrap_or_default().to_owned();
        Self {
            manager: text("manager"),
            operation: text("operation"),
            subresource: text("subresource"),
            api_version: text("apiVersion"),
            time: value["time"].clone(),
            fields: fields::parse(&value["fieldsV1"]),
        }
    }

    fn to_value(&self) -> Value {
        let mut value = json!({
            "manager": self.manager, "operation": self.operation, "apiVersion": self.api_version,
            "time": self.time, "fieldsType": "FieldsV1", "fieldsV1": fields::to_value(&self.fields),
        });
        if !self.subresource.is_empty() {
            value["subresource"] = json!(self.subresource);
        }
        value
    }
}

#[cfg(test)]
mod tests;
