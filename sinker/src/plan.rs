//! Decides what is due for deletion now, and when the next object will be. It deletes nothing.

use std::collections::{HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};

/// A pod without a known `ProwJob` may belong to one that the watch has not delivered yet.
const ORPHAN_GRACE: SignedDuration = SignedDuration::from_secs(30);

/// The fields of a `ProwJob` that deletion depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedProwJob {
    pub name: String,
    pub uid: String,
    /// The job's name in the configuration.
    pub job: String,
    /// The alias of the build cluster that its pods are in.
    pub cluster: String,
    pub periodic: bool,
    /// Start time, else creation time.
    pub started: Option<Timestamp>,
    /// Completion time, if the job is complete.
    pub completed: Option<Timestamp>,
    /// The reporter whose finalizer is on the pod has reported the last state.
    pub reported: bool,
    /// The `ProwJob` is being deleted.
    pub terminating: bool,
}

/// The fields of a pod that deletion depends on. Prow made the pod.
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
    /// The pod has the finalizer of a reporter, which wants to read it before its deletion.
    pub held: bool,
    /// The pod is being deleted.
    pub terminating: bool,
}

/// How long finished objects are kept.
#[derive(Clone, Debug)]
pub struct RetentionLimits {
    pub max_prowjob_age: SignedDuration,
    pub max_pod_age: SignedDuration,
    pub terminated_pod_ttl: SignedDuration,
    /// Build clusters whose pods are not touched.
    pub exclude_clusters: HashSet<String>,
    /// The names of the configured periodics.
    pub periodics: HashSet<String>,
}

/// Why an object is deleted: the `reason` label of the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeletionReason {
    /// The object is too old.
    Aged,
    /// A periodic's run that is too old, and is not the newest of a configured periodic.
    AgedPeriodic,
    /// The pod's job has been complete for long enough.
    Ttled,
    /// The pod's `ProwJob` is gone.
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

/// One object to delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deletion<T> {
    pub target: T,
    pub reason: DeletionReason,
}

/// All actions that are due now, and the time of the next cleanup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CleanupPlan {
    /// Pods whose finalizer can be removed: their job is reported.
    pub release: Vec<ObservedPod>,
    /// Pods whose deletion waits for a report that never comes: their job is gone.
    pub abandoned: Vec<ObservedPod>,
    pub pods: Vec<Deletion<ObservedPod>>,
    pub jobs: Vec<Deletion<ObservedProwJob>>,
    /// The first time at which something more is due, if nothing changes before.
    pub next: Option<Timestamp>,
}

/// Decides about all observed objects.
///
/// A job whose cluster has not listed its pods yet (`unlisted`) is not deleted: its pods are to be
/// deleted for the job's reasons, not as orphans of an unknown job.
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
        // "Older than" is strict, so the exact time is still too early.
        let after = at.checked_add(SignedDuration::from_millis(1)).unwrap_or(at);
        self.next = Some(self.next.map_or(after, |next| next.min(after)));
        None
    }
}

/// The time after which a `ProwJob` is deleted: never while it is incomplete.
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

/// The time after which a pod is deleted: never while its job is incomplete, because plank would
/// start the pod again.
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
        // An old pod of a job that has just completed is due from now on.
        let at = add_age(started, limits.max_pod_age).max(completed);
        (at, DeletionReason::Aged)
    });
    Some(match aged {
        // If both times have passed, the reason is the age, as in Prow.
        Some(aged) if aged.0 < now || aged.0 <= ttled.0 => aged,
        _ => ttled,
    })
}

fn add_age(start: Timestamp, age: SignedDuration) -> Timestamp {
    start.checked_add(age).unwrap_or(Timestamp::MAX)
}

/// The name of each periodic's newest run, complete or not. The scheduler of periodics derives from
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
