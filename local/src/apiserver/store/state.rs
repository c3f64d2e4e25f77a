//! The committed objects and the indexes on them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::super::object::{Key, Object};
use super::super::resource::Registry;
use super::log::{Event, Log};

/// The table whose objects define other tables.
const CRDS: &str = "customresourcedefinitions.apiextensions.k8s.io";

#[derive(Debug)]
pub(crate) struct State {
    objects: BTreeMap<Key, Arc<Object>>,
    uids: HashMap<String, Key>,
    /// Keys of the objects that name this UID as an owner.
    dependents: HashMap<String, BTreeSet<Key>>,
    registry: Arc<Registry>,
    log: Log,
}

impl State {
    /// The state of a database: its objects, and its recent changes in order.
    pub(super) fn load(
        objects: impl Iterator<Item = Arc<Object>>,
        events: impl Iterator<Item = Event>,
    ) -> Self {
        let mut state = Self {
            objects: BTreeMap::new(),
            uids: HashMap::new(),
            dependents: HashMap::new(),
            registry: Arc::default(),
            log: Log::default(),
        };
        objects.for_each(|object| state.insert(object));
        events.for_each(|event| state.log.push(event));
        state.register();
        state
    }

    pub(super) fn apply(&mut self, event: Event) {
        self.remove(&event.key);
        if let Some(new) = &event.new {
            self.insert(new.clone());
        }
        let registers = &*event.key.resource == CRDS;
        self.log.push(event);
        if registers {
            self.register();
        }
    }

    fn insert(&mut self, object: Arc<Object>) {
        self.uids.insert(object.uid.clone(), object.key.clone());
        for owner in &object.owners {
            self.dependents
                .entry(owner.clone())
                .or_default()
                .insert(object.key.clone());
        }
        self.objects.insert(object.key.clone(), object);
    }

    fn remove(&mut self, key: &Key) {
        let Some(object) = self.objects.remove(key) else {
            return;
        };
        self.uids.remove(&object.uid);
        for owner in &object.owners {
            if let Some(keys) = self.dependents.get_mut(owner) {
                keys.remove(key);
                if keys.is_empty() {
                    self.dependents.remove(owner);
                }
            }
        }
    }

    fn register(&mut self) {
        let crds: Vec<_> = self
            .scan(&Arc::from(CRDS), None, None)
            .map(|object| object.value())
            .collect();
        self.registry = Arc::new(Registry::new(crds.into_iter()));
    }

    pub(crate) fn registry(&self) -> Arc<Registry> {
        self.registry.clone()
    }

    /// The version of the last change.
    pub(crate) fn version(&self) -> u64 {
        self.log.version()
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&Arc<Object>> {
        self.objects.get(key)
    }

    pub(crate) fn by_uid(&self, uid: &str) -> Option<&Arc<Object>> {
        self.uids.get(uid).and_then(|key| self.objects.get(key))
    }

    pub(crate) fn dependents(&self, uid: &str) -> impl Iterator<Item = &Key> {
        self.dependents.get(uid).into_iter().flatten()
    }

    /// The objects of one table in order, of one namespace or all, after `(namespace, name)`.
    pub(crate) fn scan<'a>(
        &'a self,
        resource: &Arc<str>,
        namespace: Option<&'a str>,
        after: Option<(&str, &str)>,
    ) -> impl Iterator<Item = &'a Arc<Object>> + use<'a> {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        let start = match after {
            Some((namespace, name)) => Excluded(Key::new(resource, namespace, name)),
            None => Included(Key::new(resource, namespace.unwrap_or_default(), "")),
        };
        let resource = resource.clone();
        self.objects
            .range((start, Unbounded))
            .take_while(move |(key, _)| {
                key.resource == resource
                    && namespace.is_none_or(|namespace| key.namespace == namespace)
            })
            .map(|(_, object)| object)
    }

    /// At most `limit` changes after `version`, or `None` when some are gone.
    pub(crate) fn changes(&self, version: u64, limit: usize) -> Option<Vec<Event>> {
        Some(self.log.after(version)?.take(limit).cloned().collect())
    }
}
