//! `config.yaml` and `plugins.yaml` have further parts: how those are put together, and where what
//! they say stands. Paths are those of the whole, the place is that of the file that brought it.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use serde::Serialize;
use serde_json::{Map, Value};

use super::{Path, Segment, findings::Findings};

/// The files that made one whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Places {
    /// The file that the command line names: all that is not in `moved`.
    pub(super) main: Arc<str>,
    /// What came from a further file: where it is in the whole, the file, and where it is there.
    pub(super) moved: Vec<(Vec<Segment>, Arc<str>, Vec<Segment>)>,
}

impl Places {
    /// The file of a path in the whole, and the path there.
    pub(super) fn of(&self, path: &Path<'_>) -> (Arc<str>, Vec<Segment>) {
        let path = path.segments();
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
pub(super) const TWICE: &str = "supplemental-twice";

/// Puts the content of a further part beside what is there.
pub(super) struct Merge<'a> {
    pub(super) places: &'a mut Places,
    /// The further part.
    pub(super) file: Arc<str>,
    pub(super) findings: &'a mut Findings,
}

impl Merge<'_> {
    /// Entries of a list; none is in the way of another.
    pub(super) fn append<T>(&mut self, into: &mut Vec<T>, from: Vec<T>, section: &[&str]) {
        let section: Vec<_> = section
            .iter()
            .map(|key| Segment::Key((*key).to_owned()))
            .collect();
        for (index, entry) in from.into_iter().enumerate() {
            let at = |index| [&section[..], &[Segment::Index(index)]].concat();
            let there = at(index);
            self.places
                .moved
                .push((at(into.len()), Arc::clone(&self.file), there));
            into.push(entry);
        }
    }

    /// Entries of a mapping: each key is in one file.
    pub(super) fn entries<T>(
        &mut self,
        into: &mut BTreeMap<String, T>,
        from: BTreeMap<String, T>,
        at: &[&str],
    ) {
        for (key, entry) in from {
            let path = below(at, &key);
            match into.entry(key) {
                Entry::Occupied(_) => self.twice(&path),
                Entry::Vacant(place) => {
                    place.insert(entry);
                    self.moved(path);
                }
            }
        }
    }

    /// A value that one file may have.
    pub(super) fn one<T>(&mut self, into: &mut Option<T>, from: Option<T>, path: &[Segment]) {
        match (&into, from) {
            (_, None) => {}
            (Some(_), Some(_)) => self.twice(path),
            (None, from) => {
                *into = from;
                self.moved(path.to_vec());
            }
        }
    }

    pub(super) fn twice(&mut self, path: &[Segment]) {
        let (first, _) = self.places.of(&Path::Below(path));
        self.refuse(TWICE, path, format!("is already in {first}"));
    }

    pub(super) fn refuse(&mut self, rule: &'static str, path: &[Segment], message: String) {
        self.findings
            .add(rule, &self.file, &Path::Below(path), message);
    }

    /// What stands at `path` in the part stands there in the whole.
    pub(super) fn moved(&mut self, path: Vec<Segment>) {
        let file = Arc::clone(&self.file);
        self.places.moved.push((path.clone(), file, path));
    }
}

/// The keys whose values differ between two of a kind.
pub(super) fn differing<T: Serialize>(one: &T, other: &T) -> Vec<String> {
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
pub(super) fn below(at: &[&str], key: &str) -> Vec<Segment> {
    let keys = at.iter().copied().chain([key]);
    keys.map(|key| Segment::Key(key.to_owned())).collect()
}
