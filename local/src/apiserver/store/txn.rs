//! One batch of writes. Reads see the batch's own changes; a failed job's changes are undone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::super::object::{ApiObject, ObjectKey};
use super::super::resource::ResourceRegistry;
use super::super::status::{StatusError, StatusResult};
use super::change_log::ObjectChange;
use super::state::CommittedState;

pub(crate) struct Txn<'a> {
    state: &'a CommittedState,
    changed: BTreeMap<ObjectKey, Option<Arc<ApiObject>>>,
    /// UID → keys written in this batch that name it as owner. May have too many keys.
    dependents: BTreeMap<String, BTreeSet<ObjectKey>>,
    /// UID → key of objects written in this batch. May have too many.
    uids: BTreeMap<String, ObjectKey>,
    events: Vec<ObjectChange>,
    undo: Vec<(ObjectKey, Option<Option<Arc<ApiObject>>>)>,
    now: Timestamp,
    /// Removed in this job. When the job ends, the objects that waited for them are checked.
    removed: Vec<Arc<ApiObject>>,
}

#[derive(Debug)]
pub(super) struct BatchChanges {
    pub(super) events: Vec<ObjectChange>,
    pub(super) objects: BTreeMap<ObjectKey, Option<Arc<ApiObject>>>,
}

/// A position to roll back to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Savepoint {
    undo: usize,
    events: usize,
}

impl<'a> Txn<'a> {
    pub(super) fn new(state: &'a CommittedState) -> Self {
        Self {
            state,
            changed: BTreeMap::new(),
            dependents: BTreeMap::new(),
            uids: BTreeMap::new(),
            events: Vec::new(),
            undo: Vec::new(),
            now: Timestamp::UNIX_EPOCH,
            removed: Vec::new(),
        }
    }

    pub(super) fn begin_job(&mut self, now: Timestamp) -> Savepoint {
        self.now = now;
        self.removed.clear();
        Savepoint {
            undo: self.undo.len(),
            events: self.events.len(),
        }
    }

    pub(super) fn rollback_job(&mut self, mark: Savepoint) {
        for (key, before) in self.undo.drain(mark.undo..).rev() {
            match before {
                Some(before) => self.changed.insert(key, before),
                None => self.changed.remove(&key),
            };
        }
        self.events.truncate(mark.events);
    }

    pub(super) fn into_changes(self) -> BatchChanges {
        BatchChanges {
            events: self.events,
            objects: self.changed,
        }
    }

    /// When the job was requested.
    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    pub(crate) fn registry(&self) -> Arc<ResourceRegistry> {
        self.state.registry()
    }

    pub(crate) fn get(&self, key: &ObjectKey) -> Option<Arc<ApiObject>> {
        match self.changed.get(key) {
            Some(changed) => changed.clone(),
            None => self.state.get(key).cloned(),
        }
    }

    pub(crate) fn by_uid(&self, uid: &str) -> Option<Arc<ApiObject>> {
        let written = self.uids.get(uid).and_then(|key| self.get(key));
        let stored = || {
            self.state
                .by_uid(uid)
                .and_then(|object| self.get(&object.key))
        };
        written.or_else(stored).filter(|object| object.uid == uid)
    }

    /// The objects that name `uid` as an owner.
    pub(crate) fn list_dependents(&self, uid: &str) -> Vec<Arc<ApiObject>> {
        let written = self.dependents.get(uid).into_iter().flatten();
        let keys: BTreeSet<&ObjectKey> = self.state.dependent_keys(uid).chain(written).collect();
        let objects = keys.into_iter().filter_map(|key| self.get(key));
        objects
            .filter(|object| object.owners.iter().any(|owner| owner == uid))
            .collect()
    }

    /// The objects of one table, in one namespace or all.
    pub(crate) fn list_objects(
        &self,
        resource: &Arc<str>,
        namespace: Option<&str>,
    ) -> Vec<Arc<ApiObject>> {
        let stored = self
            .state
            .list_objects(resource, namespace, None)
            .filter(|one| !self.changed.contains_key(&one.key));
        let first = ObjectKey::new(resource, namespace.unwrap_or_default(), "");
        let within = |key: &ObjectKey| {
            key.resource == *resource && namespace.is_none_or(|name| key.namespace == name)
        };
        let written = self
            .changed
            .range(first..)
            .take_while(|(key, _)| within(key));
        stored
            .cloned()
            .chain(written.filter_map(|(_, one)| one.clone()))
            .collect()
    }

    /// Whether the namespace has objects of this table.
    pub(crate) fn has_any(&self, resource: &Arc<str>, namespace: Option<&str>) -> bool {
        let first = ObjectKey::new(resource, namespace.unwrap_or_default(), "");
        let within = |key: &ObjectKey| {
            key.resource == *resource && namespace.is_none_or(|name| key.namespace == name)
        };
        let mut written = self
            .changed
            .range(first..)
            .take_while(|(key, _)| within(key));
        written.any(|(_, one)| one.is_some())
            || self
                .state
                .list_objects(resource, namespace, None)
                .any(|one| !self.changed.contains_key(&one.key))
    }

    /// Writes an object under the next version.
    pub(crate) fn put_object(
        &mut self,
        key: ObjectKey,
        mut value: Value,
    ) -> StatusResult<Arc<ApiObject>> {
        let version = self.next_version();
        value["metadata"]["resourceVersion"] = Value::String(version.to_string());
        let object =
            ApiObject::parse_json(key.clone(), value.to_string().into()).map_err(|error| {
                StatusError::bad_request(format!("the object's metadata cannot be read: {error}"))
            })?;
        let object = Arc::new(object);
        let old = self.get(&key);
        for owner in &object.owners {
            self.dependents
                .entry(owner.clone())
                .or_default()
                .insert(key.clone());
        }
        self.uids.insert(object.uid.clone(), key.clone());
        self.record_change(ObjectChange {
            version,
            key,
            old,
            new: Some(object.clone()),
        });
        Ok(object)
    }

    /// Removes an object. Returns it as watchers get it, with the deletion's version.
    pub(crate) fn remove_object(&mut self, object: &ApiObject) -> Arc<ApiObject> {
        let version = self.next_version();
        let last = Arc::new(object.at_version(version));
        self.record_change(ObjectChange {
            version,
            key: object.key.clone(),
            old: Some(last.clone()),
            new: None,
        });
        self.removed.push(last.clone());
        last
    }

    /// The objects that this job has removed since the last call.
    pub(crate) fn take_removed(&mut self) -> Vec<Arc<ApiObject>> {
        std::mem::take(&mut self.removed)
    }

    fn next_version(&self) -> u64 {
        self.events
            .last()
            .map_or(self.state.latest_version(), |event| event.version)
            + 1
    }

    fn record_change(&mut self, event: ObjectChange) {
        let before = self.changed.insert(event.key.clone(), event.new.clone());
        self.undo.push((event.key.clone(), before));
        self.events.push(event);
    }
}
