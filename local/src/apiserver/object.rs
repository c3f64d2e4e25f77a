//! A stored object: its JSON text, and the fields that indexes and selectors need.
//!
//! The text is kept instead of a tree. Lists and watches send it unchanged, and 100,000 objects
//! stay small.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

/// Identifies an object. `resource` is `plural` or `plural.group`; `namespace` is empty for
/// cluster-scoped kinds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ObjectKey {
    pub(crate) resource: Arc<str>,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl ObjectKey {
    pub(crate) fn new(resource: &Arc<str>, namespace: &str, name: &str) -> Self {
        Self {
            resource: resource.clone(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }
}

/// One version of one object. Immutable: a change makes a new one.
#[derive(Debug)]
pub(crate) struct ApiObject {
    pub(crate) key: ObjectKey,
    pub(crate) version: u64,
    pub(crate) uid: String,
    pub(crate) labels: BTreeMap<String, String>,
    /// UIDs of the objects that own this one.
    pub(crate) owners: Vec<String>,
    pub(crate) deleting: bool,
    pub(crate) text: Bytes,
}

#[derive(Deserialize)]
struct PartialObject {
    metadata: PartialObjectMeta,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct PartialObjectMeta {
    uid: String,
    resource_version: String,
    labels: Option<BTreeMap<String, String>>,
    owner_references: Option<Vec<OwnerUid>>,
    deletion_timestamp: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct OwnerUid {
    uid: String,
}

impl ApiObject {
    /// Reads the indexed fields from an object's JSON text.
    pub(crate) fn parse_json(key: ObjectKey, text: Bytes) -> serde_json::Result<Self> {
        let meta = serde_json::from_slice::<PartialObject>(&text)?.metadata;
        Ok(Self {
            key,
            version: meta.resource_version.parse().unwrap_or_default(),
            uid: meta.uid,
            labels: meta.labels.unwrap_or_default(),
            owners: meta
                .owner_references
                .unwrap_or_default()
                .into_iter()
                .map(|owner| owner.uid)
                .collect(),
            deleting: meta.deletion_timestamp.is_some(),
            text,
        })
    }

    /// The object as a tree.
    pub(crate) fn to_value(&self) -> Value {
        serde_json::from_slice(&self.text).expect("stored text was written from a value")
    }

    /// The same object at a later version, as watchers get it when it is deleted.
    pub(crate) fn at_version(&self, version: u64) -> Self {
        let mut value = self.to_value();
        value["metadata"]["resourceVersion"] = Value::String(version.to_string());
        Self::parse_json(self.key.clone(), value.to_string().into())
            .expect("only the version changed")
    }
}

/// The string at `/metadata/<field>`, or "".
pub(crate) fn metadata_field<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or_default()
}

/// The mutable object at `field`, created if it is missing.
pub(crate) fn ensure_child_object<'a>(
    object: &'a mut Value,
    field: &str,
) -> &'a mut serde_json::Map<String, Value> {
    let slot = &mut object[field];
    if !slot.is_object() {
        *slot = Value::Object(serde_json::Map::new());
    }
    slot.as_object_mut().expect("made an object above")
}
