//! Runs about the same thing: the newest supersedes the others.

use std::collections::{BTreeSet, HashMap};

use common::prowjob::ProwJob;

use super::Age;
use crate::identity::Identity;

#[derive(Debug, Default)]
pub(super) struct Runs {
    by_name: HashMap<String, (Identity, Age)>,
    /// Oldest first.
    same: HashMap<Identity, BTreeSet<(Age, String)>>,
}

impl Runs {
    /// The older runs about the same thing, where this one is new.
    pub(super) fn put_in(&mut self, name: &str, job: &ProwJob, age: Age) -> Vec<String> {
        if self.by_name.contains_key(name) {
            return Vec::new();
        }
        let Some(identity) = Identity::of(job) else {
            return Vec::new();
        };
        let runs = self.same.entry(identity.clone()).or_default();
        runs.insert((age, name.to_owned()));
        self.by_name.insert(name.to_owned(), (identity, age));
        let older = runs.iter().rev().skip(1);
        older.map(|(_, name)| name.clone()).collect()
    }

    pub(super) fn take_out(&mut self, name: &str) {
        let Some((identity, age)) = self.by_name.remove(name) else {
            return;
        };
        if let Some(runs) = self.same.get_mut(&identity) {
            runs.remove(&(age, name.to_owned()));
            if runs.is_empty() {
                self.same.remove(&identity);
            }
        }
    }

    pub(super) fn newer_than(&self, name: &str) -> Option<String> {
        let (identity, _) = self.by_name.get(name)?;
        let (_, newest) = self.same.get(identity)?.last()?;
        (newest != name).then(|| newest.clone())
    }
}
