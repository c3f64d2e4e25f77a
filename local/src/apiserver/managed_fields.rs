//! `managedFields`: which manager owns which field. Server-side apply reads it for conflicts and
//! for fields to remove.
//!
//! Every write is recorded, not only apply's. Otherwise apply could not find conflicts with other
//! writers.

mod fields;
mod merge;
mod typing;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::object::ensure_child_object;
use super::resource::ServedResource;
use super::status::{StatusError, StatusResult};
use fields::{FieldPath, FieldSet, changed_fields, list_leaf_fields, path_text};
use typing::FieldTyping;

/// Who writes, and by which operation.
#[derive(Debug, Clone)]
pub(crate) struct FieldManager {
    name: String,
    subresource: String,
    /// Only for server-side apply: exactly the applied fields.
    applied: Option<FieldSet>,
}

/// One entry of `managedFields`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ManagedFieldsEntry {
    manager: String,
    operation: String,
    subresource: String,
    api_version: String,
    time: Value,
    fields: FieldSet,
}

impl FieldManager {
    /// The manager of a create, a PUT or a patch.
    pub(crate) fn for_update(name: &str, subresource: &str) -> Self {
        Self {
            name: name.to_owned(),
            subresource: subresource.to_owned(),
            applied: None,
        }
    }

    /// The manager of a server-side apply of `object`.
    pub(crate) fn for_apply(
        name: &str,
        subresource: &str,
        resource: &ServedResource,
        object: &Value,
    ) -> Self {
        let fields = list_leaf_fields(FieldTyping::for_resource(resource), object)
            .into_keys()
            .collect();
        Self {
            applied: Some(fields),
            ..Self::for_update(name, subresource)
        }
    }

    fn operation_type(&self) -> &'static str {
        if self.applied.is_some() {
            "Apply"
        } else {
            "Update"
        }
    }

    fn owns_entry(&self, entry: &ManagedFieldsEntry) -> bool {
        entry.manager == self.name
            && entry.operation == self.operation_type()
            && entry.subresource == self.subresource
    }
}

/// Updates `new`'s managed fields with what `manager` has changed.
pub(crate) fn update_managed_fields(
    resource: &ServedResource,
    old: Option<&Value>,
    new: &mut Value,
    manager: &FieldManager,
    now: &Value,
) {
    let mut entries = old.map(parse_entries).unwrap_or_default();
    let typing = FieldTyping::for_resource(resource);
    let none = json!({});
    let (before, after) = (
        list_leaf_fields(typing, old.unwrap_or(&none)),
        list_leaf_fields(typing, new),
    );
    let changes = changed_fields(&before, &after);
    for entry in entries
        .iter_mut()
        .filter(|entry| !manager.owns_entry(entry))
    {
        entry.fields.retain(|path| !changes.contains(path));
    }
    let mine = entries.iter().position(|entry| manager.owns_entry(entry));
    let owned = mine
        .map(|at| entries[at].fields.clone())
        .unwrap_or_default();
    let fields: FieldSet = match &manager.applied {
        Some(applied) => applied.clone(),
        None => owned
            .union(&changes)
            .filter(|path| after.contains_key(*path))
            .cloned()
            .collect(),
    };
    // A write that changes nothing keeps its old time, so applying twice is one write.
    let touched = mine.is_none() || owned != fields || !changes.is_empty();
    match mine {
        Some(at) => {
            if touched {
                entries[at].time = now.clone();
            }
            entries[at].fields = fields;
        }
        None => entries.push(ManagedFieldsEntry {
            manager: manager.name.clone(),
            operation: manager.operation_type().to_owned(),
            subresource: manager.subresource.clone(),
            api_version: resource.api_version(),
            time: now.clone(),
            fields,
        }),
    }
    let written: Vec<Value> = entries
        .iter()
        .filter(|entry| !entry.fields.is_empty())
        .map(ManagedFieldsEntry::to_value)
        .collect();
    let meta = ensure_child_object(new, "metadata");
    if written.is_empty() {
        meta.remove("managedFields");
    } else {
        meta.insert("managedFields".to_owned(), json!(written));
    }
}

/// The object after `manager` has applied `applied`: the applied fields set, and those it no longer
/// applies removed.
///
/// Fails with the conflicts if that changes fields of other managers, unless `force` is set.
pub(crate) fn server_side_apply(
    resource: &ServedResource,
    old: &Value,
    applied: &Value,
    manager: &FieldManager,
    force: bool,
) -> StatusResult<Value> {
    let typing = FieldTyping::for_resource(resource);
    let entries = parse_entries(old);
    let mut merged = old.clone();
    merge::merge_applied(typing, &mut merged, applied);

    let now_applied = manager.applied.clone().unwrap_or_default();
    let before = entries
        .iter()
        .find(|entry| manager.owns_entry(entry))
        .map(|entry| entry.fields.clone());
    let others: BTreeSet<&FieldPath> = entries
        .iter()
        .filter(|entry| !manager.owns_entry(entry))
        .flat_map(|entry| &entry.fields)
        .collect();
    let given_up = before
        .iter()
        .flatten()
        .filter(|path| !now_applied.contains(*path));
    merge::remove_given_up(&mut merged, given_up, &others);

    let changes = changed_fields(
        &list_leaf_fields(typing, old),
        &list_leaf_fields(typing, &merged),
    );
    let conflicts: Vec<(String, String)> = entries
        .iter()
        .filter(|entry| !manager.owns_entry(entry))
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
        Err(StatusError::apply_conflict(&conflicts))
    }
}

fn parse_entries(object: &Value) -> Vec<ManagedFieldsEntry> {
    object["metadata"]["managedFields"]
        .as_array()
        .into_iter()
        .flatten()
        .map(ManagedFieldsEntry::parse_entry)
        .collect()
}

impl ManagedFieldsEntry {
    fn parse_entry(value: &Value) -> Self {
        let text = |field: &str| value[field].as_str().unwrap_or_default().to_owned();
        Self {
            manager: text("manager"),
            operation: text("operation"),
            subresource: text("subresource"),
            api_version: text("apiVersion"),
            time: value["time"].clone(),
            fields: fields::parse_fields_v1(&value["fieldsV1"]),
        }
    }

    fn to_value(&self) -> Value {
        let mut value = json!({
            "manager": self.manager, "operation": self.operation, "apiVersion": self.api_version,
            "time": self.time, "fieldsType": "FieldsV1", "fieldsV1": fields::to_fields_v1(&self.fields),
        });
        if !self.subresource.is_empty() {
            value["subresource"] = json!(self.subresource);
        }
        value
    }
}

#[cfg(test)]
mod tests;
