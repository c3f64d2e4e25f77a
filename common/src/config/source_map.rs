//! `config.yaml` and `plugins.yaml` have further parts: how those are put together, and where what
//! they say stands. Paths are those of the whole, the place is that of the file that brought it.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use serde::Serialize;
use serde_json::{Map, Value};

use super::{ConfigPath, PathSegment, diagnostics::Diagnostics};

/// The files that made one whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SourceMap {
    /// The file that the command line names: all that is not in `moved`.
    pub(super) main: Arc<str>,
    /// What came from a further file: where it is in the whole, the file, and where it is there.
    pub(super) moved: Vec<(Vec<PathSegment>, Arc<str>, Vec<PathSegment>)>,
}

impl SourceMap {
    /// The file of a path in the whole, and the path there.
    pub(super) fn locate_path(&self, path: &ConfigPath<'_>) -> (Arc<str>, Vec<PathSegment>) {
        let path = path.to_segments();
        let found = self
            .moved
            .iter()
            .filter(|(whole, ..)| path.starts_with(whole))
            .max_by_key(|(whole, ..)| whole.len());
        match found {
            Some((whole, file, there)) => {
                let below = &path[whole.len()..];
                (Arc::clone(file), [there, below].concat())
            }
            None => (Arc::clone(&self.main), path),
        }
    }
}

/// What a further part may not say again.
pub(super) const SUPPLEMENTAL_DUPLICATE: &str = "supplemental-twice";

/// Puts the content of a further part beside what is there.
pub(super) struct SupplementalMerge<'a> {
    pub(super) places: &'a mut SourceMap,
    /// The further part.
    pub(super) file: Arc<str>,
    pub(super) findings: &'a mut Diagnostics,
}

impl SupplementalMerge<'_> {
    /// Entries of a list; none is in the way of another.
    pub(super) fn append_list<T>(&mut self, into: &mut Vec<T>, from: Vec<T>, section: &[&str]) {
        let section: Vec<_> = section
            .iter()
            .map(|key| PathSegment::Key((*key).to_owned()))
            .collect();
        for (index, entry) in from.into_iter().enumerate() {
            let at = |index| [&section[..], &[PathSegment::Index(index)]].concat();
            let there = at(index);
            self.places
                .moved
                .push((at(into.len()), Arc::clone(&self.file), there));
            into.push(entry);
        }
    }

    /// Entries of a mapping: each key is in one file.
    pub(super) fn merge_entries<T>(
        &mut self,
        into: &mut BTreeMap<String, T>,
        from: BTreeMap<String, T>,
        at: &[&str],
    ) {
        for (key, entry) in from {
            let path = key_path(at, &key);
            match into.entry(key) {
                Entry::Occupied(_) => self.refuse_duplicate(&path),
                Entry::Vacant(place) => {
                    place.insert(entry);
                    self.record_source(path);
                }
            }
        }
    }

    /// A value that one file may have.
    pub(super) fn merge_value<T>(
        &mut self,
        into: &mut Option<T>,
        from: Option<T>,
        path: &[PathSegment],
    ) {
        match (&into, from) {
            (_, None) => {}
            (Some(_), Some(_)) => self.refuse_duplicate(path),
            (None, from) => {
                *into = from;
                self.record_source(path.to_vec());
            }
        }
    }

    pub(super) fn refuse_duplicate(&mut self, path: &[PathSegment]) {
        let (first, _) = self.places.locate_path(&ConfigPath::Below(path));
        self.refuse_value(
            SUPPLEMENTAL_DUPLICATE,
            path,
            format!("is already in {first}"),
        );
    }

    pub(super) fn refuse_value(
        &mut self,
        rule: &'static str,
        path: &[PathSegment],
        message: String,
    ) {
        self.findings
            .add_diagnostic(rule, &self.file, &ConfigPath::Below(path), message);
    }

    /// What stands at `path` in the part stands there in the whole.
    pub(super) fn record_source(&mut self, path: Vec<PathSegment>) {
        let file = Arc::clone(&self.file);
        self.places.moved.push((path.clone(), file, path));
    }
}

/// The keys whose values differ between two of a kind.
pub(super) fn differing_keys<T: Serialize>(one: &T, other: &T) -> Vec<String> {
    let keys = |it| match serde_json::to_value(it) {
        Ok(Value::Object(keys)) => keys,
        _ => Map::new(),
    };
    let (one, other) = (keys(one), keys(other));
    let differing = one
        .into_iter()
        .filter(|(key, value)| other.get(key) != Some(value));
    differing.map(|(key, _)| key).collect()
}

/// The keys that lead to an entry.
pub(super) fn key_path(at: &[&str], key: &str) -> Vec<PathSegment> {
    let keys = at.iter().copied().chain([key]);
    keys.map(|key| PathSegment::Key(key.to_owned())).collect()
}
