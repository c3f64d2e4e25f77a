//! The committed objects and the indexes on them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::super::object::{ApiObject, ObjectKey};
use super::super::resource::ResourceRegistry;
use super::change_log::{ChangeLog, ObjectChange};

/// The table whose objects define other tables.
const CRDS: &str = "customresourcedefinitions.apiextensions.k8s.io";

#[derive(Debug)]
pub(crate) struct CommittedState {
    objects: BTreeMap<ObjectKey, Arc<ApiObject>>,
    uids: HashMap<String, ObjectKey>,
    /// Keys of the objects that name this UID as an owner.
    dependents: HashMap<String, BTreeSet<ObjectKey>>,
    registry: Arc<ResourceRegistry>,
    log: ChangeLog,
}

impl CommittedState {
    /// The state of a database: its objects, and its recent changes in order.
    pub(super) fn load_state(
        objects: impl Iterator<Item = Arc<ApiObject>>,
        events: impl Iterator<Item = ObjectChange>,
    ) -> Self {
        let mut state = Self {
            objects: BTreeMap::new(),
            uids: HashMap::new(),
            dependents: HashMap::new(),
            registry: Arc::default(),
            log: ChangeLog::default(),
        };
        objects.for_each(|object| state.insert_object(object));
        events.for_each(|event| state.log.push(event));
        state.rebuild_registry();
        state
    }

    pub(super) fn apply_change(&mut self, event: ObjectChange) {
        self.remove_object(&event.key);
        if let Some(new) = &event.new {
            self.insert_object(new.clone());
        }
        let registers = &*event.key.resource == CRDS;
        self.log.push(event);
        if registers {
            self.rebuild_registry();
        }
    }

    fn insert_object(&mut self, object: Arc<ApiObject>) {
        self.uids.insert(object.uid.clone(), object.key.clone());
        for owner in &object.owners {
            self.dependents
                .entry(owner.clone())
                .or_default()
                .insert(object.key.clone());
        }
        self.objects.insert(object.key.clone(), object);
    }

    fn remove_object(&mut self, key: &ObjectKey) {
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

    fn rebuild_registry(&mut self) {
        let crds: Vec<_> = self
            .list_objects(&Arc::from(CRDS), None, None)
            .map(|object| object.to_value())
            .collect();
        self.registry = Arc::new(ResourceRegistry::new(crds.into_iter()));
    }

    pub(crate) fn registry(&self) -> Arc<ResourceRegistry> {
        self.registry.clone()
    }

    /// The version of the last change.
    pub(crate) fn latest_version(&self) -> u64 {
        self.log.latest_version()
    }

    pub(crate) fn get(&self, key: &ObjectKey) -> Option<&Arc<ApiObject>> {
        self.objects.get(key)
    }

    pub(crate) fn by_uid(&self, uid: &str) -> Option<&Arc<ApiObject>> {
        self.uids.get(uid).and_then(|key| self.objects.get(key))
    }

    pub(crate) fn dependent_keys(&self, uid: &str) -> impl Iterator<Item = &ObjectKey> {
        self.dependents.get(uid).into_iter().flatten()
    }

    /// The objects of one table in order, of one namespace or all, after `(namespace, name)`.
    pub(crate) fn list_objects<'a>(
        &'a self,
        resource: &Arc<str>,
        namespace: Option<&'a str>,
        after: Option<(&str, &str)>,
    ) -> impl Iterator<Item = &'a Arc<ApiObject>> + use<'a> {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        let start = match after {
            Some((namespace, name)) => Excluded(ObjectKey::new(resource, namespace, name)),
            None => Included(ObjectKey::new(resource, namespace.unwrap_or_default(), "")),
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

    /// At most `limit` changes after `version`. `None` if some of them were dropped.
    pub(crate) fn changes_after(&self, version: u64, limit: usize) -> Option<Vec<ObjectChange>> {
        Some(
            self.log
                .changes_after(version)?
                .take(limit)
                .cloned()
                .collect(),
        )
    }
}
