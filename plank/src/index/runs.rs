//! Runs about the same thing: the newest supersedes the others, and goes on doing so when it has
//! ended before they have.

use std::collections::{BTreeSet, HashMap};

use common::prowjob::ProwJob;

use super::Age;
use crate::identity::Identity;

#[derive(Debug, Default)]
pub(super) struct Runs {
    /// Those that have not ended.
    by_name: HashMap<String, (Identity, Age)>,
    same: HashMap<Identity, Same>,
}

#[derive(Debug)]
struct Same {
    /// Oldest first; none only while jobs are listed.
    open: BTreeSet<(Age, String)>,
    /// Of all, whether it has ended or not.
    newest: (Age, String),
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
        let same = self.take_note(identity.clone(), name, age);
        same.open.insert((age, name.to_owned()));
        let newest = &same.newest.1;
        let older = same.open.iter().map(|(_, name)| name);
        let older = older.filter(|name| *name != newest).cloned().collect();
        self.by_name.insert(name.to_owned(), (identity, age));
        older
    }

    /// While jobs are listed: this one has ended.
    pub(super) fn list_ended(&mut self, name: &str, job: &ProwJob, age: Age) {
        if let Some(identity) = Identity::of(job) {
            self.take_note(identity, name, age);
        }
    }

    fn take_note(&mut self, identity: Identity, name: &str, age: Age) -> &mut Same {
        let this = (age, name.to_owned());
        let same = self.same.entry(identity).or_insert_with(|| Same {
            open: BTreeSet::new(),
            newest: this.clone(),
        });
        if same.newest < this {
            same.newest = this;
        }
        same
    }

    /// All are listed: what has ended no longer matters where nothing goes on.
    pub(super) fn listed(&mut self) {
        self.same.retain(|_, same| !same.open.is_empty());
        self.same.shrink_to_fit();
    }

    /// It has ended; what it supersedes stays superseded.
    pub(super) fn end(&mut self, name: &str) {
        self.take_out(name);
    }

    /// It is deleted: as if it had never been.
    pub(super) fn delete(&mut self, name: &str) {
        if let Some(same) = self.take_out(name)
            && same.newest.1 == name
            && let Some(last) = same.open.last()
        {
            same.newest = last.clone();
        }
    }

    /// The runs about the same thing that go on without it, if there are any.
    fn take_out(&mut self, name: &str) -> Option<&mut Same> {
        let (identity, age) = self.by_name.remove(name)?;
        let open = &mut self.same.get_mut(&identity)?.open;
        open.remove(&(age, name.to_owned()));
        if open.is_empty() {
            self.same.remove(&identity);
        }
        self.same.get_mut(&identity)
    }

    pub(super) fn newer_than(&self, name: &str) -> Option<String> {
        let (identity, _) = self.by_name.get(name)?;
        let (_, newest) = &self.same.get(identity)?.newest;
        (newest != name).then(|| newest.clone())
    }
}
