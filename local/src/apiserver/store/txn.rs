//! One batch of writes: reads see the batch's own changes; a failed job's changes are undone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::super::object::{Key, Object};
use super::super::resource::Registry;
use super::super::status::{Failure, Result};
use super::log::Event;
use super::state::State;

pub(crate) struct Txn<'a> {
    state: &'a State,
    changed: BTreeMap<Key, Option<Arc<Object>>>,
    /// UID → keys written in this batch that name it as owner; may name too many.
    dependents: BTreeMap<String, BTreeSet<Key>>,
    /// UID → key of objects written in this batch; may name too many.
    uids: BTreeMap<String, Key>,
    events: Vec<Event>,
    undo: Vec<(Key, Option<Option<Arc<Object>>>)>,
    now: Timestamp,
    /// Removed in this job: what waited for them is looked at when the job ends.
    removed: Vec<Arc<Object>>,
}

/// What a batch amounts to.
#[derive(Debug)]
pub(super) struct Changes {
    pub(super) events: Vec<Event>,
    pub(super) objects: BTreeMap<Key, Option<Arc<Object>>>,
}

/// A place to go back to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    undo: usize,
    events: usize,
}

impl<'a> Txn<'a> {
    pub(super) fn new(state: &'a State) -> Self {
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

    pub(super) fn begin(&mut self, now: Timestamp) -> Mark {
        self.now = now;
        self.removed.clear();
        Mark {
            undo: self.undo.len(),
            events: self.events.len(),
        }
    }

    pub(super) fn undo(&mut self, mark: Mark) {
        for (key, before) in self.undo.drain(mark.undo..).rev() {
            match before {
                Some(before) => self.changed.insert(key, before),
                None => self.changed.remove(&key),
            };
        }
        self.events.truncate(mark.events);
    }

    pub(super) fn into_changes(self) -> Changes {
        Changes {
            events: self.events,
            objects: self.changed,
        }
    }

    /// When the job was asked for.
    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    pub(crate) fn registry(&self) -> Arc<Registry> {
        self.state.registry()
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Arc<Object>> {
        match self.changed.get(key) {
            Some(changed) => changed.clone(),
            None => self.state.get(key).cloned(),
        }
    }

    pub(crate) fn by_uid(&self, uid: &str) -> Option<Arc<Object>> {
        let written = self.uids.get(uid).and_then(|key| self.get(key));
        let stored = || {
            self.state
                .by_uid(uid)
                .and_then(|object| self.get(&object.key))
        };
        written.or_else(stored).filter(|object| object.uid == uid)
    }

    /// The objects that name `uid` as an owner.
    pub(crate) fn dependents(&self, uid: &str) -> Vec<Arc<Object>> {
        let written = self.dependents.get(uid).into_iter().flatten();
        let keys: BTreeSet<&Key> = self.state.dependents(uid).chain(written).collect();
        let objects = keys.into_iter().filter_map(|key| self.get(key));
        objects
            .filter(|object| object.owners.iter().any(|owner| owner == uid))
            .collect()
    }

    /// The objects of one table, of one namespace or all.
    pub(crate) fn scan(&self, resource: &Arc<str>, namespace: Option<&str>) -> Vec<Arc<Object>> {
        let stored = self
            .state
            .scan(resource, namespace, None)
            .filter(|one| !self.changed.contains_key(&one.key));
        let first = Key::new(resource, namespace.unwrap_or_default(), "");
        let within = |key: &Key| {
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

    /// Whether the namespace holds anything of this table.
    pub(crate) fn has_any(&self, resource: &Arc<str>, namespace: Option<&str>) -> bool {
        let first = Key::new(resource, namespace.unwrap_or_default(), "");
        let within = |key: &Key| {
            key.resource == *resource && namespace.is_none_or(|name| key.namespace == name)
        };
        let mut written = self
            .changed
            .range(first..)
            .take_while(|(key, _)| within(key));
        written.any(|(_, one)| one.is_some())
            || self
                .state
                .scan(resource, namespace, None)
                .any(|one| !self.changed.contains_key(&one.key))
    }

    /// Writes an object under the next version.
    pub(crate) fn put(&mut self, key: Key, mut value: Value) -> Result<Arc<Object>> {
        let version = self.next_version();
        value["metadata"]["resourceVersion"] = Value::String(version.to_string());
        let object = Object::parse(key.clone(), value.to_string().into()).map_err(|error| {
            Failure::bad_request(format!("the object's metadata cannot be read: {error}"))
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
        self.change(Event {
            version,
            key,
            old,
            new: Some(object.clone()),
        });
        Ok(object)
    }

    /// Takes an object away; returns it as watchers are told, with the deletion's version.
    pub(crate) fn remove(&mut self, object: &Object) -> Arc<Object> {
        let version = self.next_version();
        let last = Arc::new(object.at_version(version));
        self.change(Event {
            version,
            key: object.key.clone(),
            old: Some(last.clone()),
            new: None,
        });
        self.removed.push(last.clone());
        last
    }

    /// What this job has removed since this was last asked.
    pub(crate) fn take_removed(&mut self) -> Vec<Arc<Object>> {
        std::mem::take(&mut self.removed)
    }

    fn next_version(&self) -> u64 {
        self.events
            .last()
            .map_or(self.state.version(), |event| event.version)
            + 1
    }

    fn change(&mut self, event: Event) {
        let before = self.changed.insert(event.key.clone(), event.new.clone());
        self.undo.push((event.key.clone(), before));
        self.events.push(event);
    }
}
