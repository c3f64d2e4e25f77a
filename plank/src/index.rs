//! What plank knows of all jobs at once: which runs are about the same thing, and how many are
//! in flight. In memory, from the watch, with what was just claimed already counted.
//!
//! Every change returns the names of jobs that should be looked at because of it; nothing polls.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Mutex, MutexGuard},
};

use common::prowjob::{ProwJob, ProwJobState};
use jiff::Timestamp;

use crate::{identity::Identity, transition::Limit};

/// All unfinished jobs that are plank's.
#[derive(Debug, Default)]
pub struct Index(Mutex<Jobs>);

#[derive(Debug, Default)]
struct Jobs {
    by_name: HashMap<String, Entry>,
    /// Runs about the same thing, oldest first.
    same: HashMap<Identity, BTreeSet<(Age, String)>>,
    /// Triggered jobs, oldest first.
    waiting: BTreeSet<(Age, String)>,
    /// Jobs with a claim, by the name of their job.
    active: HashMap<String, i64>,
    all_active: i64,
    /// `plank.max_concurrency`; 0 is no limit.
    max: i64,
    arrivals: u64,
}

/// When a job was asked for; times are whole seconds, so arrival breaks ties.
type Age = (Timestamp, u64);

#[derive(Clone, Debug)]
struct Entry {
    job: String,
    max: i64,
    identity: Option<Identity>,
    age: Age,
    active: bool,
}

impl Index {
    fn lock(&self) -> MutexGuard<'_, Jobs> {
        self.0.lock().expect("nothing panics under this lock")
    }

    /// Takes in a job as it now is.
    pub fn observe(&self, job: &ProwJob) -> Vec<String> {
        let Some(name) = job.metadata.name.clone() else {
            return Vec::new();
        };
        let mut jobs = self.lock();
        let before = jobs.by_name.get(&name).cloned();
        let unfinished = job.spec.agent.is_kubernetes() && !job.is_complete();
        let active = match job.state() {
            // A claim that is under way is counted until it is given up.
            ProwJobState::Triggered => before.as_ref().is_some_and(|entry| entry.active),
            ProwJobState::Pending => true,
            _ => return jobs.remove(&name),
        };
        if !unfinished {
            return jobs.remove(&name);
        }
        if before.as_ref().is_some_and(|entry| entry.active == active) {
            return Vec::new();
        }
        let age = match &before {
            Some(entry) => entry.age,
            None => jobs.arrived(job),
        };
        let entry = Entry {
            job: job.spec.job.clone(),
            max: job.spec.max_concurrency,
            identity: Identity::of(job),
            age,
            active,
        };
        jobs.take_out(&name);
        jobs.put_in(name, entry)
    }

    /// Forgets a deleted job.
    pub fn remove(&self, name: &str) -> Vec<String> {
        self.lock().remove(name)
    }

    /// Forgets every job that is not in `names`, after a new listing.
    pub fn retain(&self, names: &HashSet<String>) {
        let mut jobs = self.lock();
        let gone = jobs.by_name.keys().filter(|name| !names.contains(*name));
        let gone: Vec<String> = gone.cloned().collect();
        for name in gone {
            jobs.take_out(&name);
        }
    }

    /// Sets `plank.max_concurrency`.
    pub fn set_max(&self, max: i64) -> Vec<String> {
        let mut jobs = self.lock();
        if jobs.max == max {
            return Vec::new();
        }
        jobs.max = max;
        jobs.waiting.iter().map(|(_, name)| name.clone()).collect()
    }

    /// The newest run about the same thing, if it is not this one.
    pub fn superseded_by(&self, name: &str) -> Option<String> {
        let jobs = self.lock();
        let identity = jobs.by_name.get(name)?.identity.as_ref()?;
        let (_, newest) = jobs.same.get(identity)?.last()?;
        (newest != name).then(|| newest.clone())
    }

    /// Counts a triggered job as started, or says what keeps it from starting. To be given up
    /// with [`Index::release`] if the claim fails.
    pub fn reserve(&self, name: &str) -> Result<(), Limit> {
        let mut jobs = self.lock();
        let Some(entry) = jobs.by_name.get(name).cloned() else {
            return Ok(());
        };
        if entry.active {
            return Ok(());
        }
        jobs.admits(&entry)?;
        jobs.take_out(name);
        jobs.put_in(
            name.to_owned(),
            Entry {
                active: true,
                ..entry
            },
        );
        Ok(())
    }

    /// Gives back what [`Index::reserve`] took.
    pub fn release(&self, name: &str) -> Vec<String> {
        let mut jobs = self.lock();
        let Some(entry) = jobs.take_out(name) else {
            return Vec::new();
        };
        jobs.put_in(
            name.to_owned(),
            Entry {
                active: false,
                ..entry
            },
        );
        jobs.next_to_start()
    }
}

impl Jobs {
    fn arrived(&mut self, job: &ProwJob) -> Age {
        self.arrivals += 1;
        let started = job
            .status
            .as_ref()
            .and_then(|status| status.start_time.as_ref());
        let time = started.or(job.metadata.creation_timestamp.as_ref());
        (time.map(|time| time.0).unwrap_or_default(), self.arrivals)
    }

    fn admits(&self, entry: &Entry) -> Result<(), Limit> {
        if self.max > 0 && self.all_active >= self.max {
            return Err(Limit::Global);
        }
        if entry.max > 0 {
            let active = self.active.get(&entry.job).copied().unwrap_or_default();
            let older = self.waiting.iter().take_while(|(age, _)| *age < entry.age);
            let older = older
                .filter(|(_, name)| self.by_name[name].job == entry.job)
                .count();
            if active + i64::try_from(older).unwrap_or(i64::MAX) >= entry.max {
                return Err(Limit::Job);
            }
        }
        Ok(())
    }

    /// The first waiting job that nothing keeps from starting.
    fn next_to_start(&self) -> Vec<String> {
        let free = |name: &&String| self.admits(&self.by_name[*name]).is_ok();
        self.waiting
            .iter()
            .map(|(_, name)| name)
            .find(free)
            .cloned()
            .into_iter()
            .collect()
    }

    fn remove(&mut self, name: &str) -> Vec<String> {
        match self.take_out(name) {
            Some(_) => self.next_to_start(),
            None => Vec::new(),
        }
    }

    fn take_out(&mut self, name: &str) -> Option<Entry> {
        let entry = self.by_name.remove(name)?;
        let key = (entry.age, name.to_owned());
        if entry.active {
            self.all_active -= 1;
            if let Some(count) = self.active.get_mut(&entry.job) {
                *count -= 1;
                if *count == 0 {
                    self.active.remove(&entry.job);
                }
            }
        }
        self.waiting.remove(&key);
        if let Some(identity) = &entry.identity
            && let Some(runs) = self.same.get_mut(identity)
        {
            runs.remove(&key);
            if runs.is_empty() {
                self.same.remove(identity);
            }
        }
        Some(entry)
    }

    /// The older runs about the same thing, which are to be looked at.
    fn put_in(&mut self, name: String, entry: Entry) -> Vec<String> {
        let key = (entry.age, name.clone());
        if entry.active {
            self.all_active += 1;
            *self.active.entry(entry.job.clone()).or_default() += 1;
        } else {
            self.waiting.insert(key.clone());
        }
        let mut older = Vec::new();
        if let Some(identity) = &entry.identity {
            let runs = self.same.entry(identity.clone()).or_default();
            runs.insert(key);
            older = runs
                .iter()
                .rev()
                .skip(1)
                .map(|(_, name)| name.clone())
                .collect();
        }
        self.by_name.insert(name, entry);
        older
    }
}

#[cfg(test)]
mod tests;
