//! What plank knows of all jobs together: which runs supersede which, and which jobs may start. It
//! is kept in memory, fed by the watch, and counts plank's own claims at once.
//!
//! Every change returns the names of the jobs to reconcile because of it; nothing polls.

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

/// All unfinished jobs that plank runs.
#[derive(Debug, Default)]
pub struct PlankJobIndex(Mutex<IndexedJobs>);

#[derive(Debug, Default)]
struct IndexedJobs {
    ages: HashMap<String, JobAge>,
    arrivals: u64,
    runs: PresubmitRuns,
    admission: Admission,
}

/// When a job was requested. Times are whole seconds, so the order of arrival breaks ties.
type JobAge = (Timestamp, u64);

impl PlankJobIndex {
    fn lock_jobs(&self) -> MutexGuard<'_, IndexedJobs> {
        self.0.lock().expect("nothing panics under this lock")
    }

    /// Records a job as plank's own change has left it. The watch may still deliver an earlier
    /// state, so a job that has ended keeps its age until then and does not come back as a new one.
    pub fn observe_own_change(&self, job: &ProwJob) -> Vec<String> {
        if is_open(job) {
            return self.observe_job(job);
        }
        let name = job.metadata.name.as_deref().unwrap_or_default();
        let mut jobs = self.lock_jobs();
        jobs.runs.end_run(name);
        jobs.admission.remove_job(name)
    }

    /// Records a job as the watch delivers it.
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

    /// Records a listed job, ended ones too; [`PlankJobIndex::finish_listing`] ends the listing.
    pub fn observe_listed_job(&self, job: &ProwJob) {
        let name = job.metadata.name.as_deref().unwrap_or_default();
        if !is_open(job) && job.spec.agent.is_kubernetes() {
            // Of two jobs requested in the same second, neither is newer.
            let age = (requested_at(job), 0);
            self.lock_jobs().runs.note_ended_run(name, job, age);
        }
        self.observe_job(job);
    }

    /// Forgets a deleted job.
    pub fn remove_job(&self, name: &str) -> Vec<String> {
        self.lock_jobs().delete_job(name)
    }

    /// Ends a listing: forgets jobs that are not in `names`. After the first one, slots are
    /// granted.
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

    /// Sets whether the pods of this build cluster are known, so that jobs there can start.
    pub fn set_ready(&self, cluster: &str, ready: bool) -> Vec<String> {
        self.lock_jobs().admission.set_ready(cluster, ready)
    }

    /// The newest run with the same supersede key, if it is not this one.
    pub fn superseded_by(&self, name: &str) -> Option<String> {
        self.lock_jobs().runs.newer_run(name)
    }

    /// Whether a triggered job may start. It keeps a granted slot until it ends or gives the slot
    /// up with [`PlankJobIndex::defer_job`].
    pub fn request_slot(&self, name: &str) -> StartSlot {
        self.lock_jobs().admission.request_slot(name)
    }

    /// Gives up the slot of a job that did not start after all; the job requests one again.
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

/// Whether plank has to start the job or to wait for its pod.
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
