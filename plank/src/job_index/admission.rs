//! Which triggered jobs may start: limits, counted in memory, first in, first out within each.
//!
//! A slot is granted the moment it is free, to the oldest job that no limit blocks; the returned
//! names say which jobs got one. So nothing polls, and a newer job never overtakes within a limit.
//! A job that one limit blocks delays no job that the limit does not concern.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet},
};

use common::{config::PlankConfig, prowjob::ProwJob};

use super::JobAge;
use crate::transition::ReachedLimit;

/// The limits of the configuration; a job's own `max_concurrency` is in its spec.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StartLimits {
    /// `plank.max_concurrency`; 0 is no limit.
    pub global: i64,
    /// `plank.job_queue_capacities`: 0 blocks, a negative value is no limit.
    pub queues: BTreeMap<String, i64>,
    /// `plank.build_cluster_capacities`: the same, by cluster.
    pub clusters: BTreeMap<String, i64>,
}

impl From<&PlankConfig> for StartLimits {
    fn from(plank: &PlankConfig) -> Self {
        Self {
            global: plank.max_concurrency,
            queues: plank.job_queue_capacities.clone(),
            clusters: plank.build_cluster_capacities.clone(),
        }
    }
}

/// Whether a job may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartSlot {
    Held,
    Waits(ReachedLimit),
    /// All jobs, or the pods of its cluster, are not listed yet.
    NotYet,
}

/// The fields that limits look at: jobs of one class have the same limits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct LimitClass {
    job: String,
    max: i64,
    queue: String,
    cluster: String,
}

impl LimitClass {
    fn from_job(job: &ProwJob) -> Self {
        Self {
            job: job.spec.job.clone(),
            max: job.spec.max_concurrency,
            queue: job.spec.job_queue_name.clone(),
            cluster: job.spec.cluster_alias().to_owned(),
        }
    }
}

#[derive(Clone, Debug)]
struct AdmissionEntry {
    class: LimitClass,
    age: JobAge,
    place: SlotState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SlotState {
    /// Waits in a line.
    Waiting,
    /// Its start failed; it waits in line again at its next try.
    Parked,
    /// It has a slot.
    Held,
}

#[derive(Debug, Default)]
pub(super) struct Admission {
    limits: StartLimits,
    /// All jobs are listed.
    open: bool,
    /// Clusters whose pods are known.
    ready: HashSet<String>,
    jobs: HashMap<String, AdmissionEntry>,
    /// Waiting jobs. No first of a line may start, or it had a slot.
    lines: HashMap<LimitClass, BTreeSet<(JobAge, String)>>,
    held: i64,
    held_by_job: HashMap<String, i64>,
    held_by_queue: HashMap<String, i64>,
    held_by_cluster: HashMap<String, i64>,
}

impl Admission {
    /// Sets the limits; returns the jobs that wait or got a slot.
    pub(super) fn set_limits(&mut self, limits: StartLimits) -> Vec<String> {
        if self.limits == limits {
            return Vec::new();
        }
        self.limits = limits;
        // A job that still waits may now wait for another limit.
        let lines = self.lines.values();
        let mut news: Vec<String> = lines.flatten().map(|(_, name)| name.clone()).collect();
        news.extend(self.grant_slots());
        news
    }

    /// All jobs are listed: from now on slots are granted.
    pub(super) fn open_admission(&mut self) -> Vec<String> {
        self.open = true;
        self.grant_slots()
    }

    pub(super) fn set_ready(&mut self, cluster: &str, ready: bool) -> Vec<String> {
        if ready {
            self.ready.insert(cluster.to_owned());
            self.grant_slots()
        } else {
            self.ready.remove(cluster);
            Vec::new()
        }
    }

    /// Adds a job that waits to start.
    pub(super) fn add_triggered(&mut self, name: &str, job: &ProwJob, age: JobAge) {
        let class = LimitClass::from_job(job);
        match self.jobs.get(name) {
            // A claim under way is counted until its slot is given up.
            Some(entry) if entry.class == class => return,
            Some(_) => drop(self.take_entry(name)),
            None => {}
        }
        self.insert_entry(name, class, age, SlotState::Waiting);
        self.try_hold_slot(name);
    }

    /// Adds a job that has started.
    pub(super) fn add_pending(&mut self, name: &str, job: &ProwJob, age: JobAge) {
        if self
            .jobs
            .get(name)
            .is_some_and(|it| it.place == SlotState::Held)
        {
            return;
        }
        self.take_entry(name);
        self.insert_entry(name, LimitClass::from_job(job), age, SlotState::Held);
    }

    /// Forgets a job; returns the jobs that get its slot.
    pub(super) fn remove_job(&mut self, name: &str) -> Vec<String> {
        match self.take_entry(name) {
            Some(entry) if entry.place == SlotState::Held => self.grant_slots(),
            _ => Vec::new(),
        }
    }

    /// Whether this job may start now.
    pub(super) fn request_slot(&mut self, name: &str) -> StartSlot {
        let Some(entry) = self.jobs.get(name).cloned() else {
            return StartSlot::NotYet;
        };
        if entry.place == SlotState::Parked {
            self.take_entry(name);
            self.insert_entry(name, entry.class.clone(), entry.age, SlotState::Waiting);
            self.try_hold_slot(name);
        }
        if self.jobs[name].place == SlotState::Held {
            return StartSlot::Held;
        }
        self.find_reached_limit(&entry.class)
            .map_or(StartSlot::NotYet, StartSlot::Waits)
    }

    /// A start failed: others go first until its next try. Returns who gets its slot.
    pub(super) fn defer_job(&mut self, name: &str) -> Vec<String> {
        let Some(entry) = self.take_entry(name) else {
            return Vec::new();
        };
        self.insert_entry(name, entry.class, entry.age, SlotState::Parked);
        self.grant_slots()
    }

    /// The first limit that blocks jobs of this class.
    fn find_reached_limit(&self, class: &LimitClass) -> Option<ReachedLimit> {
        let count =
            |counts: &HashMap<String, i64>, key: &str| counts.get(key).copied().unwrap_or_default();
        if self.limits.global > 0 && self.held >= self.limits.global {
            return Some(ReachedLimit::Global);
        }
        if class.max > 0 && count(&self.held_by_job, &class.job) >= class.max {
            return Some(ReachedLimit::Job);
        }
        if !class.queue.is_empty() {
            match self.limits.queues.get(&class.queue) {
                None => return Some(ReachedLimit::UnknownQueue),
                Some(&capacity)
                    if is_limit_reached(capacity, count(&self.held_by_queue, &class.queue)) =>
                {
                    return Some(ReachedLimit::Queue);
                }
                Some(_) => {}
            }
        }
        let capacity = self.limits.clusters.get(&class.cluster).copied();
        capacity
            .filter(|capacity| {
                is_limit_reached(*capacity, count(&self.held_by_cluster, &class.cluster))
            })
            .map(|_| ReachedLimit::Cluster)
    }

    fn may_start(&self, class: &LimitClass) -> bool {
        self.open && self.ready.contains(&class.cluster) && self.find_reached_limit(class).is_none()
    }

    /// Grants every free slot to the oldest job that may have it.
    fn grant_slots(&mut self) -> Vec<String> {
        let mut granted = Vec::new();
        // Free slots only get fewer in this loop, so a line that is blocked once stays blocked.
        let heads = self.lines.values().filter_map(BTreeSet::first);
        let mut heads: BinaryHeap<_> = heads.cloned().map(Reverse).collect();
        while let Some(Reverse((_, name))) = heads.pop() {
            let class = self.jobs[&name].class.clone();
            if !self.may_start(&class) {
                continue;
            }
            self.hold_slot(&name);
            granted.push(name);
            let next = self.lines.get(&class).and_then(BTreeSet::first);
            heads.extend(next.cloned().map(Reverse));
        }
        granted
    }

    /// Tries one job that joins a line: nothing has changed for the others.
    fn try_hold_slot(&mut self, name: &str) {
        if self.may_start(&self.jobs[name].class) {
            self.hold_slot(name);
        }
    }

    fn hold_slot(&mut self, name: &str) {
        if let Some(entry) = self.take_entry(name) {
            self.insert_entry(name, entry.class, entry.age, SlotState::Held);
        }
    }

    fn insert_entry(&mut self, name: &str, class: LimitClass, age: JobAge, place: SlotState) {
        match place {
            SlotState::Held => self.count_slot(&class, 1),
            SlotState::Waiting => {
                let line = self.lines.entry(class.clone()).or_default();
                line.insert((age, name.to_owned()));
            }
            SlotState::Parked => {}
        }
        self.jobs
            .insert(name.to_owned(), AdmissionEntry { class, age, place });
    }

    fn take_entry(&mut self, name: &str) -> Option<AdmissionEntry> {
        let entry = self.jobs.remove(name)?;
        match entry.place {
            SlotState::Held => self.count_slot(&entry.class, -1),
            SlotState::Waiting => {
                if let Some(line) = self.lines.get_mut(&entry.class) {
                    line.remove(&(entry.age, name.to_owned()));
                    if line.is_empty() {
                        self.lines.remove(&entry.class);
                    }
                }
            }
            SlotState::Parked => {}
        }
        Some(entry)
    }

    fn count_slot(&mut self, class: &LimitClass, by: i64) {
        self.held += by;
        add_count(&mut self.held_by_job, &class.job, by);
        add_count(&mut self.held_by_queue, &class.queue, by);
        add_count(&mut self.held_by_cluster, &class.cluster, by);
    }
}

fn is_limit_reached(capacity: i64, held: i64) -> bool {
    capacity >= 0 && held >= capacity
}

fn add_count(counts: &mut HashMap<String, i64>, key: &str, by: i64) {
    let count = counts.entry(key.to_owned()).or_default();
    *count += by;
    if *count == 0 {
        counts.remove(key);
    }
}
