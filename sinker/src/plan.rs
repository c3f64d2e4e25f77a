//! What is no longer needed, and when the next thing will not be. Decides only; nothing here
//! deletes.

use std::collections::{HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};

/// A pod without its `ProwJob` may belong to one that this process has not heard of yet.
const ORPHAN_GRACE: SignedDuration = SignedDuration::from_secs(30);

/// A `ProwJob`, as far as deletion cares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedProwJob {
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
pub struct ObservedPod {
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
pub struct RetentionLimits {
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
pub enum DeletionReason {
    /// Too long ago.
    Aged,
    /// A periodic's run, too long ago, and not its newest.
    AgedPeriodic,
    /// Its job is complete for long enough.
    Ttled,
    /// Its `ProwJob` is gone.
    Orphaned,
}

impl DeletionReason {
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
    pub reason: DeletionReason,
}

/// Everything to do now, and when to look again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CleanupPlan {
    /// Pods that nobody needs to hold back any longer: their job is reported.
    pub release: Vec<ObservedPod>,
    /// Pods whose deletion waits for a report that nobody will make: their job is gone.
    pub abandoned: Vec<ObservedPod>,
    pub pods: Vec<Deletion<ObservedPod>>,
    pub jobs: Vec<Deletion<ObservedProwJob>>,
    /// The first moment at which more is due, if nothing changes before.
    pub next: Option<Timestamp>,
}

/// Decides about everything that is observed.
///
/// A job waits for the first list of its cluster's pods, of which `unlisted` names the clusters
/// that still owe one: its pods go for its reasons, not as orphans for whose job nobody can tell.
pub fn plan_cleanup<'a>(
    now: Timestamp,
    jobs: impl IntoIterator<Item = &'a ObservedProwJob>,
    pods: impl IntoIterator<Item = &'a ObservedPod>,
    unlisted: &HashSet<String>,
    limits: &RetentionLimits,
) -> CleanupPlan {
    let jobs: HashMap<&str, &ObservedProwJob> = jobs
        .into_iter()
        .map(|job| (job.name.as_str(), job))
        .collect();
    let newest = newest_of_periodics(jobs.values().copied());
    let mut plan = CleanupPlan::default();
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
        if let Some(reason) = plan.due_now_or_later(now, due) {
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
        let due = prowjob_due(job, limits).filter(|_| !waits);
        if let Some(reason) = plan.due_now_or_later(now, due) {
            let target = (*job).clone();
            plan.jobs.push(Deletion { target, reason });
        }
    }
    plan.jobs.sort_by(|a, b| a.target.name.cmp(&b.target.name));
    plan
}

impl CleanupPlan {
    fn due_now_or_later(
        &mut self,
        now: Timestamp,
        due: Option<(Timestamp, DeletionReason)>,
    ) -> Option<DeletionReason> {
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
fn prowjob_due(
    job: &ObservedProwJob,
    limits: &RetentionLimits,
) -> Option<(Timestamp, DeletionReason)> {
    job.completed?;
    let reason = if job.periodic {
        DeletionReason::AgedPeriodic
    } else {
        DeletionReason::Aged
    };
    Some((add_age(job.started?, limits.max_prowjob_age), reason))
}

/// After which moment a pod is deleted: never while its job is incomplete, since plank would
/// start it anew.
fn pod_due(
    now: Timestamp,
    pod: &ObservedPod,
    job: Option<&ObservedProwJob>,
    limits: &RetentionLimits,
) -> Option<(Timestamp, DeletionReason)> {
    let Some(job) = job else {
        return Some((
            add_age(pod.created?, ORPHAN_GRACE),
            DeletionReason::Orphaned,
        ));
    };
    let completed = job.completed?;
    let ttled = (
        add_age(completed, limits.terminated_pod_ttl),
        DeletionReason::Ttled,
    );
    let aged = pod.started.map(|started| {
        // An old pod of a job that is complete only now is due from now on.
        let at = add_age(started, limits.max_pod_age).max(completed);
        (at, DeletionReason::Aged)
    });
    Some(match aged {
        // Both are over: age is named, as in Prow.
        Some(aged) if aged.0 < now || aged.0 <= ttled.0 => aged,
        _ => ttled,
    })
}

fn add_age(start: Timestamp, age: SignedDuration) -> Timestamp {
    start.checked_add(age).unwrap_or(Timestamp::MAX)
}

/// The name of each periodic's last run, complete or not. The scheduler of periodics reads off
/// it when a job last ran.
fn newest_of_periodics<'a>(
    jobs: impl Iterator<Item = &'a ObservedProwJob>,
) -> HashMap<&'a str, &'a str> {
    let mut newest: HashMap<&str, &ObservedProwJob> = HashMap::new();
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
