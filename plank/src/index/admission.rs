//! Which triggered jobs may start: limits, counted in memory, first in, first out within each.
//!
//! A slot is given the moment it is free, to the oldest job that no limit keeps; the job is told
//! by its name being returned. So nothing polls, and a newcomer never overtakes within a limit.
//! What is blocked by one limit holds up nobody who is not.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet},
};

use common::{config::Plank, prowjob::ProwJob};

use super::Age;
use crate::transition::Limit;

/// The limits of the configuration; a job's own `max_concurrency` is in its spec.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// `plank.max_concurrency`; 0 is no limit.
    pub global: i64,
    /// `plank.job_queue_capacities`: 0 blocks, less is no limit.
    pub queues: BTreeMap<String, i64>,
    /// `plank.build_cluster_capacities`: the same, by cluster.
    pub clusters: BTreeMap<String, i64>,
}

impl From<&Plank> for Limits {
    fn from(plank: &Plank) -> Self {
        Self {
            global: plank.max_concurrency,
            queues: plank.job_queue_capacities.clone(),
            clusters: plank.build_cluster_capacities.clone(),
        }
    }
}

/// Whether a job may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    Held,
    Waits(Limit),
    /// Its cluster's pods, or all jobs, are not listed yet.
    NotYet,
}

/// What decides whether a job may start: jobs of one class are as good as each other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Class {
    job: String,
    max: i64,
    queue: String,
    cluster: String,
}

impl Class {
    fn of(job: &ProwJob) -> Self {
        Self {
            job: job.spec.job.clone(),
            max: job.spec.max_concurrency,
            queue: job.spec.job_queue_name.clone(),
            cluster: job.spec.cluster_alias().to_owned(),
        }
    }
}

#[derive(Clone, Debug)]
struct Entry {
    class: Class,
    age: Age,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In line.
    Waiting,
    /// Its start failed; it stands in line again when it is tried again.
    Parked,
    /// It has a slot.
    Held,
}

#[derive(Debug, Default)]
pub(super) struct Admission {
    limits: Limits,
    /// All jobs are known.
    open: bool,
    /// Clusters whose pods are known.
    ready: HashSet<String>,
    jobs: HashMap<String, Entry>,
    /// No first of a line may start: who could, already has.
    lines: HashMap<Class, BTreeSet<(Age, String)>>,
    held: i64,
    held_by_job: HashMap<String, i64>,
    held_by_queue: HashMap<String, i64>,
    held_by_cluster: HashMap<String, i64>,
}

impl Admission {
    /// Jobs that got a slot by new limits.
    pub(super) fn set_limits(&mut self, limits: Limits) -> Vec<String> {
        if self.limits == limits {
            return Vec::new();
        }
        self.limits = limits;
        // A job that still waits may now wait for another limit.
        let lines = self.lines.values();
        let mut news: Vec<String> = lines.flatten().map(|(_, name)| name.clone()).collect();
        news.extend(self.grant());
        news
    }

    /// All jobs are known: from now on slots are given.
    pub(super) fn open(&mut self) -> Vec<String> {
        self.open = true;
        self.grant()
    }

    pub(super) fn set_ready(&mut self, cluster: &str, ready: bool) -> Vec<String> {
        if ready {
            self.ready.insert(cluster.to_owned());
            self.grant()
        } else {
            self.ready.remove(cluster);
            Vec::new()
        }
    }

    /// Takes in a job that waits to start.
    pub(super) fn triggered(&mut self, name: &str, job: &ProwJob, age: Age) {
        let class = Class::of(job);
        match self.jobs.get(name) {
            // A claim that is under way is counted until it is given up.
            Some(entry) if entry.class == class => return,
            Some(_) => drop(self.take_out(name)),
            None => {}
        }
        self.put_in(name, class, age, Place::Waiting);
        self.try_to_hold(name);
    }

    /// Takes in a job that has started.
    pub(super) fn pending(&mut self, name: &str, job: &ProwJob, age: Age) {
        if self
            .jobs
            .get(name)
            .is_some_and(|it| it.place == Place::Held)
        {
            return;
        }
        self.take_out(name);
        self.put_in(name, Class::of(job), age, Place::Held);
    }

    /// Forgets a job; who has its slot now.
    pub(super) fn remove(&mut self, name: &str) -> Vec<String> {
        match self.take_out(name) {
            Some(entry) if entry.place == Place::Held => self.grant(),
            _ => Vec::new(),
        }
    }

    /// Whether this job may start now.
    pub(super) fn slot(&mut self, name: &str) -> Slot {
        let Some(entry) = self.jobs.get(name).cloned() else {
            return Slot::NotYet;
        };
        if entry.place == Place::Parked {
            self.take_out(name);
            self.put_in(name, entry.class.clone(), entry.age, Place::Waiting);
            self.try_to_hold(name);
        }
        if self.jobs[name].place == Place::Held {
            return Slot::Held;
        }
        self.limit_of(&entry.class)
            .map_or(Slot::NotYet, Slot::Waits)
    }

    /// A start failed: others go first until it is tried again. Who has its slot now.
    pub(super) fn park(&mut self, name: &str) -> Vec<String> {
        let Some(entry) = self.take_out(name) else {
            return Vec::new();
        };
        self.put_in(name, entry.class, entry.age, Place::Parked);
        self.grant()
    }

    /// The first limit that keeps jobs of this class.
    fn limit_of(&self, class: &Class) -> Option<Limit> {
        let count =
            |counts: &HashMap<String, i64>, key: &str| counts.get(key).copied().unwrap_or_default();
        if self.limits.global > 0 && self.held >= self.limits.global {
            return Some(Limit::Global);
        }
        if class.max > 0 && count(&self.held_by_job, &class.job) >= class.max {
            return Some(Limit::Job);
        }
        if !class.queue.is_empty() {
            match self.limits.queues.get(&class.queue) {
                None => return Some(Limit::UnknownQueue),
                Some(&capacity)
                    if is_reached(capacity, count(&self.held_by_queue, &class.queue)) =>
                {
                    return Some(Limit::Queue);
                }
                Some(_) => {}
            }
        }
        let capacity = self.limits.clusters.get(&class.cluster).copied();
        capacity
            .filter(|capacity| is_reached(*capacity, count(&self.held_by_cluster, &class.cluster)))
            .map(|_| Limit::Cluster)
    }

    fn may_start(&self, class: &Class) -> bool {
        self.open && self.ready.contains(&class.cluster) && self.limit_of(class).is_none()
    }

    /// Gives every free slot to the oldest that may have it.
    fn grant(&mut self) -> Vec<String> {
        let mut granted = Vec::new();
        // Slots only get fewer on the way, so a line that is blocked once is done.
        let heads = self.lines.values().filter_map(BTreeSet::first);
        let mut heads: BinaryHeap<_> = heads.cloned().map(Reverse).collect();
        while let Some(Reverse((_, name))) = heads.pop() {
            let class = self.jobs[&name].class.clone();
            if !self.may_start(&class) {
                continue;
            }
            self.hold(&name);
            granted.push(name);
            let next = self.lines.get(&class).and_then(BTreeSet::first);
            heads.extend(next.cloned().map(Reverse));
        }
        granted
    }

    /// For one who joins a line: nobody else's chances have changed.
    fn try_to_hold(&mut self, name: &str) {
        if self.may_start(&self.jobs[name].class) {
            self.hold(name);
        }
    }

    fn hold(&mut self, name: &str) {
        if let Some(entry) = self.take_out(name) {
            self.put_in(name, entry.class, entry.age, Place::Held);
        }
    }

    fn put_in(&mut self, name: &str, class: Class, age: Age, place: Place) {
        match place {
            Place::Held => self.count(&class, 1),
            Place::Waiting => {
                let line = self.lines.entry(class.clone()).or_default();
                line.insert((age, name.to_owned()));
            }
            Place::Parked => {}
        }
        self.jobs
            .insert(name.to_owned(), Entry { class, age, place });
    }

    fn take_out(&mut self, name: &str) -> Option<Entry> {
        let entry = self.jobs.remove(name)?;
        match entry.place {
            Place::Held => self.count(&entry.class, -1),
            Place::Waiting => {
                if let Some(line) = self.lines.get_mut(&entry.class) {
                    line.remove(&(entry.age, name.to_owned()));
                    if line.is_empty() {
                        self.lines.remove(&entry.class);
                    }
                }
            }
            Place::Parked => {}
        }
        Some(entry)
    }

    fn count(&mut self, class: &Class, by: i64) {
        self.held += by;
        add(&mut self.held_by_job, &class.job, by);
        add(&mut self.held_by_queue, &class.queue, by);
        add(&mut self.held_by_cluster, &class.cluster, by);
    }
}

fn is_reached(capacity: i64, held: i64) -> bool {
    capacity >= 0 && held >= capacity
}

fn add(counts: &mut HashMap<String, i64>, key: &str, by: i64) {
    let count = counts.entry(key.to_owned()).or_default();
    *count += by;
    if *count == 0 {
        counts.remove(key);
    }
}
