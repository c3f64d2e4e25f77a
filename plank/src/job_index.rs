//! What plank knows of all jobs at once: which runs are about the same thing, and which may
//! start. In memory, from the watch, with what was just claimed already counted.
//!
//! Every change returns the names of jobs that should be looked at because of it; nothing polls.

mod admission;
mod presubmit_runs;

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard},
};

use common::prowjob::{ProwJob, ProwJobState};
use jiff::Timestamp;

use admission::Admission;
pub use admission::{StartLimits, StartSlot};
use presubmit_runs::PresubmitRuns;

/// All unfinished jobs that are plank's.
#[derive(Debug, Default)]
pub struct PlankJobIndex(Mutex<IndexedJobs>);

#[derive(Debug, Default)]
struct IndexedJobs {
    ages: HashMap<String, JobAge>,
    arrivals: u64,
    runs: PresubmitRuns,
    admission: Admission,
}

/// When a job was asked for; times are whole seconds, so arrival breaks ties.
type JobAge = (Timestamp, u64);

impl PlankJobIndex {
    fn lock_jobs(&self) -> MutexGuard<'_, IndexedJobs> {
        self.0.lock().expect("nothing panics under this lock")
    }

    /// Takes in a job as a change of ours has left it. The watch may still tell of an earlier
    /// state; a job that has ended keeps its age until then, so as not to come back as a new one.
    pub fn observe_own_change(&self, job: &ProwJob) -> Vec<String> {
        if is_open(job) {
            return self.observe_job(job);
        }
        let name = job.metadata.name.as_deref().unwrap_or_default();
        let mut jobs = self.lock_jobs();
        jobs.runs.end_run(name);
        jobs.admission.remove_job(name)
    }

    /// Takes in a job as the watch tells it.
    pub fn observe_job(&self, job: &ProwJob) -> Vec<String> {
        let Some(name) = job.metadata.name.as_deref() else {
            return Vec::new();
        };
        let mut jobs = self.lock_jobs();
        let state = job.state();
        if !is_open(job) {
            return jobs.end_job(name);
        }
        let age = jobs.age_of(name, job);
        if state == ProwJobState::Pending {
            jobs.admission.add_pending(name, job, age);
        } else {
            jobs.admission.add_triggered(name, job, age);
        }
        jobs.runs.insert_run(name, job, age)
    }

    /// Takes in a job of a list, the ended ones included; [`PlankJobIndex::finish_listing`] ends the list.
    pub fn observe_listed_job(&self, job: &ProwJob) {
        let name = job.metadata.name.as_deref().unwrap_or_default();
        if !is_open(job) && job.spec.agent.is_kubernetes() {
            // Asked for in the same second, neither is newer.
            let age = (requested_at(job), 0);
            self.lock_jobs().runs.note_ended_run(name, job, age);
        }
        self.observe_job(job);
    }

    /// Forgets a deleted job.
    pub fn remove_job(&self, name: &str) -> Vec<String> {
        self.lock_jobs().delete_job(name)
    }

    /// All jobs are listed anew: forgets those not in `names`, and from the first time on gives
    /// slots to those that wait.
    pub fn finish_listing(&self, names: &HashSet<String>) -> Vec<String> {
        let mut jobs = self.lock_jobs();
        let gone = jobs.ages.keys().filter(|name| !names.contains(*name));
        let gone: Vec<String> = gone.cloned().collect();
        let mut news: Vec<String> = gone.iter().flat_map(|name| jobs.delete_job(name)).collect();
        jobs.runs.finish_listing();
        news.extend(jobs.admission.open_admission());
        news
    }

    pub fn set_limits(&self, limits: StartLimits) -> Vec<String> {
        self.lock_jobs().admission.set_limits(limits)
    }

    /// Whether pods of this build cluster are known, so that jobs there can start.
    pub fn set_ready(&self, cluster: &str, ready: bool) -> Vec<String> {
        self.lock_jobs().admission.set_ready(cluster, ready)
    }

    /// The newest run about the same thing, if it is not this one.
    pub fn superseded_by(&self, name: &str) -> Option<String> {
        self.lock_jobs().runs.newer_run(name)
    }

    /// Whether a triggered job may start. A slot is its own until it ends, or is given up with
    /// [`PlankJobIndex::defer_job`].
    pub fn request_slot(&self, name: &str) -> StartSlot {
        self.lock_jobs().admission.request_slot(name)
    }

    /// Gives up the slot of a job that did not start after all; it asks again.
    pub fn defer_job(&self, name: &str) -> Vec<String> {
        self.lock_jobs().admission.defer_job(name)
    }
}

impl IndexedJobs {
    fn age_of(&mut self, name: &str, job: &ProwJob) -> JobAge {
        if let Some(age) = self.ages.get(name) {
            return *age;
        }
        self.arrivals += 1;
        let age = (requested_at(job), self.arrivals);
        self.ages.insert(name.to_owned(), age);
        age
    }

    fn end_job(&mut self, name: &str) -> Vec<String> {
        self.runs.end_run(name);
        self.release_job(name)
    }

    fn delete_job(&mut self, name: &str) -> Vec<String> {
        self.runs.delete_run(name);
        self.release_job(name)
    }

    fn release_job(&mut self, name: &str) -> Vec<String> {
        if self.ages.remove(name).is_none() {
            return Vec::new();
        }
        self.admission.remove_job(name)
    }
}

/// Whether plank has to start it, or waits for its pod.
fn is_open(job: &ProwJob) -> bool {
    let started = matches!(job.state(), ProwJobState::Triggered | ProwJobState::Pending);
    job.spec.agent.is_kubernetes() && !job.is_complete() && started
}

fn requested_at(job: &ProwJob) -> Timestamp {
    let status = job.status.as_ref();
    let started = status.and_then(|status| status.start_time.as_ref());
    let time = started.or(job.metadata.creation_timestamp.as_ref());
    time.map(|time| time.0).unwrap_or_default()
}

#[cfg(test)]
mod tests;
