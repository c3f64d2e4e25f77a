//! Presubmit runs with the same supersede key: the newest supersedes the others, even when it has
//! ended before them.

use std::collections::{BTreeSet, HashMap};

use common::prowjob::ProwJob;

use super::JobAge;
use crate::supersede_key::SupersedeKey;

#[derive(Debug, Default)]
pub(super) struct PresubmitRuns {
    /// Runs that have not ended.
    by_name: HashMap<String, (SupersedeKey, JobAge)>,
    same: HashMap<SupersedeKey, SameKeyRuns>,
}

#[derive(Debug)]
struct SameKeyRuns {
    /// Unfinished runs, oldest first; empty only during a listing.
    open: BTreeSet<(JobAge, String)>,
    /// The newest of all runs, whether it has ended or not.
    newest: (JobAge, String),
}

impl PresubmitRuns {
    /// Adds a new run; returns the unfinished runs with its key that are superseded.
    pub(super) fn insert_run(&mut self, name: &str, job: &ProwJob, age: JobAge) -> Vec<String> {
        if self.by_name.contains_key(name) {
            return Vec::new();
        }
        let Some(identity) = SupersedeKey::from_job(job) else {
            return Vec::new();
        };
        let same = self.note_run(identity.clone(), name, age);
        same.open.insert((age, name.to_owned()));
        let newest = &same.newest.1;
        let older = same.open.iter().map(|(_, name)| name);
        let older = older.filter(|name| *name != newest).cloned().collect();
        self.by_name.insert(name.to_owned(), (identity, age));
        older
    }

    /// Records, during a listing, a run that has ended.
    pub(super) fn note_ended_run(&mut self, name: &str, job: &ProwJob, age: JobAge) {
        if let Some(identity) = SupersedeKey::from_job(job) {
            self.note_run(identity, name, age);
        }
    }

    fn note_run(&mut self, identity: SupersedeKey, name: &str, age: JobAge) -> &mut SameKeyRuns {
        let this = (age, name.to_owned());
        let same = self.same.entry(identity).or_insert_with(|| SameKeyRuns {
            open: BTreeSet::new(),
            newest: this.clone(),
        });
        if same.newest < this {
            same.newest = this;
        }
        same
    }

    /// Ends the listing: drops keys without an unfinished run.
    pub(super) fn finish_listing(&mut self) {
        self.same.retain(|_, same| !same.open.is_empty());
        self.same.shrink_to_fit();
    }

    /// Ends a run; the runs that it supersedes stay superseded.
    pub(super) fn end_run(&mut self, name: &str) {
        self.take_run(name);
    }

    /// Forgets a deleted run, as if it had never existed.
    pub(super) fn delete_run(&mut self, name: &str) {
        if let Some(same) = self.take_run(name)
            && same.newest.1 == name
            && let Some(last) = same.open.last()
        {
            same.newest = last.clone();
        }
    }

    /// Removes a run; returns the unfinished runs with its key, if there are any.
    fn take_run(&mut self, name: &str) -> Option<&mut SameKeyRuns> {
        let (identity, age) = self.by_name.remove(name)?;
        let open = &mut self.same.get_mut(&identity)?.open;
        open.remove(&(age, name.to_owned()));
        if open.is_empty() {
            self.same.remove(&identity);
        }
        self.same.get_mut(&identity)
    }

    pub(super) fn newer_run(&self, name: &str) -> Option<String> {
        let (identity, _) = self.by_name.get(name)?;
        let (_, newest) = &self.same.get(identity)?.newest;
        (newest != name).then(|| newest.clone())
    }
}
