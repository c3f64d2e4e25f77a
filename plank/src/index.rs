//! What plank knows of all jobs at once: which runs are about the same thing, and which may
//! start. In memory, from the watch, with what was just claimed already counted.
//!
//! Every change returns the names of jobs that should be looked at because of it; nothing polls.

mod admission;
mod runs;

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard},
};

use common::prowjob::{ProwJob, ProwJobState};
use jiff::Timestamp;

use admission::Admission;
pub use admission::{Limits, Slot};
use runs::Runs;

/// All unfinished jobs that are plank's.
#[derive(Debug, Default)]
pub struct Index(Mutex<Jobs>);

#[derive(Debug, Default)]
struct Jobs {
    ages: HashMap<String, Age>,
    arrivals: u64,
    runs: Runs,
    admission: Admission,
}

/// When a job was asked for; times are whole seconds, so arrival breaks ties.
type Age = (Timestamp, u64);

impl Index {
    fn lock(&self) -> MutexGuard<'_, Jobs> {
        self.0.lock().expect("nothing panics under this lock")
    }

    /// Takes in a job as a change of ours has left it. The watch may still tell of an earlier
    /// state; a job that has ended keeps its age until then, so as not to come back as a new one.
    pub fn learn(&self, job: &ProwJob) -> Vec<String> {
        if is_open(job) {
            return self.observe(job);
        }
        let name = job.metadata.name.as_deref().unwrap_or_default();
        let mut jobs = self.lock();
        jobs.runs.end(name);
        jobs.admission.remove(name)
    }

    /// Takes in a job as the watch tells it.
    pub fn observe(&self, job: &ProwJob) -> Vec<String> {
        let Some(name) = job.metadata.name.as_deref() else {
            return Vec::new();
        };
        let mut jobs = self.lock();
        let state = job.state();
        if !is_open(job) {
            return jobs.end(name);
        }
        let age = jobs.age_of(name, job);
        if state == ProwJobState::Pending {
            jobs.admission.pending(name, job, age);
        } else {
            jobs.admission.triggered(name, job, age);
        }
        jobs.runs.put_in(name, job, age)
    }

    /// Takes in a job of a list, the ended ones included; [`Index::listed`] ends the list.
    pub fn list(&self, job: &ProwJob) {
        let name = job.metadata.name.as_deref().unwrap_or_default();
        if !is_open(job) && job.spec.agent.is_kubernetes() {
            // Asked for in the same second, neither is newer.
            let age = (asked_for(job), 0);
            self.lock().runs.list_ended(name, job, age);
        }
        self.observe(job);
    }

    /// Forgets a deleted job.
    pub fn remove(&self, name: &str) -> Vec<String> {
        self.lock().delete(name)
    }

    /// All jobs are listed anew: forgets those not in `names`, and from the first time on gives
    /// slots to those that wait.
    pub fn listed(&self, names: &HashSet<String>) -> Vec<String> {
        let mut jobs = self.lock();
        let gone = jobs.ages.keys().filter(|name| !names.contains(*name));
        let gone: Vec<String> = gone.cloned().collect();
        let mut news: Vec<String> = gone.iter().flat_map(|name| jobs.delete(name)).collect();
        jobs.runs.listed();
        news.extend(jobs.admission.open());
        news
    }

    pub fn set_limits(&self, limits: Limits) -> Vec<String> {
        self.lock().admission.set_limits(limits)
    }

    /// Whether pods of this build cluster are known, so that jobs there can start.
    pub fn set_ready(&self, cluster: &str, ready: bool) -> Vec<String> {
        self.lock().admission.set_ready(cluster, ready)
    }

    /// The newest run about the same thing, if it is not this one.
    pub fn superseded_by(&self, name: &str) -> Option<String> {
        self.lock().runs.newer_than(name)
    }

    /// Whether a triggered job may start. A slot is its own until it ends, or is given up with
    /// [`Index::park`].
    pub fn slot(&self, name: &str) -> Slot {
        self.lock().admission.slot(name)
    }

    /// Gives up the slot of a job that did not start after all; it asks again.
    pub fn park(&self, name: &str) -> Vec<String> {
        self.lock().admission.park(name)
    }
}

impl Jobs {
    fn age_of(&mut self, name: &str, job: &ProwJob) -> Age {
        if let Some(age) = self.ages.get(name) {
            return *age;
        }
        self.arrivals += 1;
        let age = (asked_for(job), self.arrivals);
        self.ages.insert(name.to_owned(), age);
        age
    }

    fn end(&mut self, name: &str) -> Vec<String> {
        self.runs.end(name);
        self.leave(name)
    }

    fn delete(&mut self, name: &str) -> Vec<String> {
        self.runs.delete(name);
        self.leave(name)
    }

    fn leave(&mut self, name: &str) -> Vec<String> {
        if self.ages.remove(name).is_none() {
            return Vec::new();
        }
        self.admission.remove(name)
    }
}

/// Whether plank has to start it, or waits for its pod.
fn is_open(job: &ProwJob) -> bool {
    let started = matches!(job.state(), ProwJobState::Triggered | ProwJobState::Pending);
    job.spec.agent.is_kubernetes() && !job.is_complete() && started
}

fn asked_for(job: &ProwJob) -> Timestamp {
    let status = job.status.as_ref();
    let started = status.and_then(|status| status.start_time.as_ref());
    let time = started.or(job.metadata.creation_timestamp.as_ref());
    time.map(|time| time.0).unwrap_or_default()
}

#[cfg(test)]
mod tests;
