//! `managedFields`: who wrote which field, what apply may take, and what it gives up.

use super::resource::Resource;
use super::status::Result;
use serde_json::Value;

/// Who writes, and how.
#[derive(Debug, Clone)]
pub(crate) struct Manager {
    name: String,
}

impl Manager {
    pub(crate) fn update(name: &str, _subresource: &str) -> Self {
        Self {
            name: name.to_owned(),
        }
    }
    pub(crate) fn apply(name: &str, _subresource: &str) -> Self {
        Self {
            name: name.to_owned(),
        }
    }
}
pub(crate) fn record(
    _r: &Resource,
    _old: Option<&Value>,
    _new: &mut Value,
    m: &Manager,
    _now: &Value,
) {
    let _ = &m.name;
}
pub(crate) fn same(old: &Value, new: &Value) -> bool {
    old == new
}
pub(crate) fn apply(
    _r: &Resource,
    old: &Value,
    applied: &Value,
    _m: &Manager,
    _force: bool,
) -> Result<Value> {
    let mut merged = old.clone();
    json_patch::merge(&mut merged, applied);
    Ok(merged)
}
