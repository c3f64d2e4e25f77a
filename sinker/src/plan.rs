//! What is no longer needed, and when the next thing will not be. Decides only; nothing here
//! deletes.

use std::collections::{HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};

/// A pod without its `ProwJob` may belong to one that this process has not heard of yet.
const ORPHAN_GRACE: SignedDuration = SignedDuration::from_secs(30);

/// A `ProwJob`, as far as deletion cares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    pub name: String,
    pub uid: String,
    /// The job's name in the configuration.
    pub job: String,
    /// The alias of the build cluster that its pods are in.
    pub cluster: String,
    pub periodic: bool,
    /// When it was made.
    pub started: Option<Timestamp>,
    /// Set when it is complete.
    pub completed: Option<Timestamp>,
    /// Its last state was told by the reporter that holds pods back.
    pub reported: bool,
    /// Its deletion is under way.
    pub terminating: bool,
}

/// A pod that Prow made, as far as deletion cares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodRun {
    /// The build cluster's alias.
    pub cluster: String,
    pub name: String,
    pub uid: String,
    /// The name of its `ProwJob`.
    pub prowjob: String,
    pub created: Option<Timestamp>,
    pub started: Option<Timestamp>,
    /// A reporter wants to see the pod before it goes.
    pub held: bool,
    /// Its deletion is under way.
    pub terminating: bool,
}

/// How long what is finished is kept.
#[derive(Clone, Debug)]
pub struct Limits {
    pub max_prowjob_age: SignedDuration,
    pub max_pod_age: SignedDuration,
    pub terminated_pod_ttl: SignedDuration,
    /// Build clusters whose pods are left alone.
    pub exclude_clusters: HashSet<String>,
    /// Names of the periodics that are configured.
    pub periodics: HashSet<String>,
}

/// Why something is deleted: the `reason` label of the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// Too long ago.
    Aged,
    /// A periodic's run, too long ago, and not its newest.
    AgedPeriodic,
    /// Its job is complete for long enough.
    Ttled,
    /// Its `ProwJob` is gone.
    Orphaned,
}

impl Reason {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aged => "aged",
            Self::AgedPeriodic => "aged-periodic",
            Self::Ttled => "ttled",
            Self::Orphaned => "orphaned",
        }
    }
}

/// One thing to delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deletion<T> {
    pub target: T,
    pub reason: Reason,
}

/// Everything to do now, and when to look again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Pods that nobody needs to hold back any longer: their job is reported.
    pub release: Vec<PodRun>,
    /// Pods whose deletion waits for a report that nobody will make: their job is gone.
    pub abandoned: Vec<PodRun>,
    pub pods: Vec<Deletion<PodRun>>,
    pub jobs: Vec<Deletion<Run>>,
    /// The first moment at which more is due, if nothing changes before.
    pub next: Option<Timestamp>,
}

/// Decides about everything that is observed.
///
/// A job waits for the first list of its cluster's pods, of which `unlisted` names the clusters
/// that still owe one: its pods go for its reasons, not as orphans for whose job nobody can tell.
pub fn plan<'a>(
    now: Timestamp,
    jobs: impl IntoIterator<Item = &'a Run>,
    pods: impl IntoIterator<Item = &'a PodRun>,
    unlisted: &HashSet<String>,
    limits: &Limits,
) -> Plan {
    let jobs: HashMap<&str, &Run> = jobs
        .into_iter()
        .map(|job| (job.name.as_str(), job))
        .collect();
    let newest = newest_of_periodics(jobs.values().copied());
    let mut plan = Plan::default();
    for pod in pods {
        if limits.exclude_clusters.contains(&pod.cluster) {
            continue;
        }
        let job = jobs.get(pod.prowjob.as_str()).copied();
        if pod.held && job.is_some_and(|job| job.completed.is_some() && job.reported) {
            plan.release.push(pod.clone());
        }
        let abandoned = pod.terminating && pod.held && job.is_none();
        let due = pod_due(now, pod, job, limits).filter(|_| !pod.terminating || abandoned);
        if let Some(reason) = plan.now_or_next(now, due) {
            let target = pod.clone();
            if abandoned {
                plan.abandoned.push(target);
            } else {
                plan.pods.push(Deletion { target, reason });
            }
        }
    }
    for job in jobs.values() {
        let kept = job.periodic
            && limits.periodics.contains(&job.job)
            && newest.get(job.job.as_str()) == Some(&job.name.as_str());
        let waits = kept || job.terminating || unlisted.contains(&job.cluster);
        let due = job_due(job, limits).filter(|_| !waits);
        if let Some(reason) = plan.now_or_next(now, due) {
            let target = (*job).clone();
            plan.jobs.push(Deletion { target, reason });
        }
    }
    plan.jobs.sort_by(|a, b| a.target.name.cmp(&b.target.name));
    plan
}

impl Plan {
    fn now_or_next(&mut self, now: Timestamp, due: Option<(Timestamp, Reason)>) -> Option<Reason> {
        let (at, reason) = due?;
        if at < now {
            return Some(reason);
        }
        // "Older than" is strict, so that the moment itself is still too early.
        let after = at.checked_add(SignedDuration::from_millis(1)).unwrap_or(at);
        self.next = Some(self.next.map_or(after, |next| next.min(after)));
        None
    }
}

/// After which moment a `ProwJob` is deleted: never while it is incomplete.
fn job_due(job: &Run, limits: &Limits) -> Option<(Timestamp, Reason)> {
    job.completed?;
    let reason = if job.periodic {
        Reason::AgedPeriodic
    } else {
        Reason::Aged
    };
    Some((after(job.started?, limits.max_prowjob_age), reason))
}

/// After which moment a pod is deleted: never while its job is incomplete, since plank would
/// start it anew.
fn pod_due(
    now: Timestamp,
    pod: &PodRun,
    job: Option<&Run>,
    limits: &Limits,
) -> Option<(Timestamp, Reason)> {
    let Some(job) = job else {
        return Some((after(pod.created?, ORPHAN_GRACE), Reason::Orphaned));
    };
    let completed = job.completed?;
    let ttled = (after(completed, limits.terminated_pod_ttl), Reason::Ttled);
    let aged = pod.started.map(|started| {
        // An old pod of a job that is complete only now is due from now on.
        let at = after(started, limits.max_pod_age).max(completed);
        (at, Reason::Aged)
    });
    Some(match aged {
        // Both are over: age is named, as in Prow.
        Some(aged) if aged.0 < now || aged.0 <= ttled.0 => aged,
        _ => ttled,
    })
}

fn after(start: Timestamp, age: SignedDuration) -> Timestamp {
    start.checked_add(age).unwrap_or(Timestamp::MAX)
}

/// The name of each periodic's last run, complete or not. The scheduler of periodics reads off
/// it when a job last ran.
fn newest_of_periodics<'a>(jobs: impl Iterator<Item = &'a Run>) -> HashMap<&'a str, &'a str> {
    let mut newest: HashMap<&str, &Run> = HashMap::new();
    for job in jobs.filter(|job| job.periodic) {
        let last = newest.entry(&job.job).or_insert(job);
        if (job.started, &job.name) > (last.started, &last.name) {
            *last = job;
        }
    }
    newest
        .into_iter()
        .map(|(periodic, job)| (periodic, job.name.as_str()))
        .collect()
}

#[cfg(test)]
mod tests;
