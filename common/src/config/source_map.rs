//! Merges the supplemental files of `config.yaml` and `plugins.yaml`, and records where each value
//! comes from. Paths are those of the merged configuration; a source is a file and a path in it.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use serde::Serialize;
use serde_json::{Map, Value};

use super::{ConfigPath, PathSegment, diagnostics::Diagnostics};

/// The sources of a merged configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SourceMap {
    /// The file that the command line names: the source of all that is not in `moved`.
    pub(super) main: Arc<str>,
    /// Values from supplemental files: path in the merged configuration, file, path in the file.
    pub(super) moved: Vec<(Vec<PathSegment>, Arc<str>, Vec<PathSegment>)>,
}

impl SourceMap {
    /// The file that a path comes from, and the path in that file.
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

/// The rule for a value that a supplemental file may not set again.
pub(super) const SUPPLEMENTAL_DUPLICATE: &str = "supplemental-twice";

/// Merges a supplemental file into the files before it.
pub(super) struct SupplementalMerge<'a> {
    pub(super) places: &'a mut SourceMap,
    /// The supplemental file.
    pub(super) file: Arc<str>,
    pub(super) findings: &'a mut Diagnostics,
}

impl SupplementalMerge<'_> {
    /// Appends entries to a list; entries cannot conflict.
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

    /// Merges entries of a mapping; a key may be in one file only.
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

    /// Merges a value that one file only may have.
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

    /// Records that the value at `path` comes from the same path of the supplemental file.
    pub(super) fn record_source(&mut self, path: Vec<PathSegment>) {
        let file = Arc::clone(&self.file);
        self.places.moved.push((path.clone(), file, path));
    }
}

/// The keys whose values differ between two objects of one type.
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

/// The path of the entry `key` below `at`.
pub(super) fn key_path(at: &[&str], key: &str) -> Vec<PathSegment> {
    let keys = at.iter().copied().chain([key]);
    keys.map(|key| PathSegment::Key(key.to_owned())).collect()
}
