//! The one step a job takes next, and why. Plain values in, plain values out.
//!
//! A decision is a single step. Whoever applies it looks again afterwards and asks for the
//! next one, so every step leaves a state from which the next follows, and a crash between two
//! steps loses nothing.

mod ended;
#[cfg(test)]
mod law;
mod pending;
mod starting;
mod stopped;
#[cfg(test)]
mod tests;
mod waits;

use common::{
    duration::GoDuration,
    prowjob::{DecorationConfig, ProwJob, ProwJobState},
};
use jiff::{SignedDuration, Timestamp};

pub(crate) use pending::TRIGGERED;

use crate::pod_view::{Phase, PodView};

/// How long past its own deadline the deletion of an aborted job's pod may take before the job
/// is completed without it: a lost node never confirms.
const DELETION_MARGIN: SignedDuration = SignedDuration::from_secs(60);

/// What is known when a decision is made.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    pub job: &'a ProwJob,
    /// The pod under the job's name in the job's cluster. Where the answer "none" matters
    /// (claimed or aborted jobs) the caller has asked the API, not only its cache.
    pub pod: Option<&'a PodView>,
    pub cluster: Cluster,
    /// A newer presubmit about the same thing.
    pub superseded_by: Option<&'a str>,
    /// Of a triggered job: the limit that keeps it from starting.
    pub blocked_by: Option<Limit>,
    /// Why the API, or the job's own spec, says that this pod can never be.
    pub refused: Option<&'a str>,
    /// Why the API does not take this pod now: exceeded quota, too many requests.
    pub delayed: Option<&'a str>,
    /// What the pod's events say of Secrets and `ConfigMap`s.
    pub references: References<'a>,
    /// The pod waits for a Secret with its storage token that is not known to exist.
    pub needs_storage_secret: bool,
}

/// Whether the job's build cluster can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cluster {
    Ready,
    /// Known, but its pods have not been listed since then.
    Unready(Timestamp),
    /// No kubeconfig context has this name.
    Unknown,
}

/// What a pod's events say of the Secrets and `ConfigMap`s it mounts: its status does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum References<'a> {
    NotAsked,
    NoneMissing,
    Missing(&'a str),
}

/// What keeps a job from starting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// `plank.max_concurrency`
    Global,
    /// `max_concurrency` of the job
    Job,
    /// `plank.job_queue_capacities`
    Queue,
    /// The job's queue is not in `plank.job_queue_capacities`.
    UnknownQueue,
    /// `plank.build_cluster_capacities`
    Cluster,
}

/// The parts of the configuration that decide.
#[derive(Clone, Debug)]
pub struct Settings {
    /// From acceptance by a node to all init containers done.
    pub pod_pending_timeout: SignedDuration,
    pub pod_running_timeout: SignedDuration,
    pub pod_unscheduled_timeout: SignedDuration,
    /// Times a job's pod is replaced after its node or the cluster stopped it.
    pub max_revivals: i64,
    /// A pod that cannot start ends its job before the timeouts.
    pub fail_fast: bool,
    /// How long a Secret or `ConfigMap` may be missing.
    pub missing_reference_timeout: SignedDuration,
    pub controllers: Controllers,
}

/// `--enable-controller`: which states are moved on from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Controllers {
    pub plank: bool,
    pub scheduler: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            pod_pending_timeout: SignedDuration::from_mins(10),
            pod_running_timeout: SignedDuration::from_hours(48),
            pod_unscheduled_timeout: SignedDuration::from_mins(5),
            max_revivals: 3,
            fail_fast: true,
            missing_reference_timeout: SignedDuration::from_secs(60),
            controllers: Controllers {
                plank: true,
                scheduler: true,
            },
        }
    }
}

/// One step, when to look again if nothing happens, and the reason for both.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    pub step: Step,
    pub look_again_at: Option<Timestamp>,
    pub why: &'static str,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Nothing to do until something changes or `look_again_at`.
    Wait,
    /// Patch the `ProwJob`, under its resourceVersion.
    Change(Change),
    /// Find out which build cluster a job of state `scheduling` goes to.
    Schedule,
    /// Look whether the pod's events tell of a missing Secret or `ConfigMap`.
    ReadEvents {
        pod_uid: String,
    },
    /// Create the pod that the status names, with the build id it names.
    CreatePod,
    CreateStorageSecret {
        pod_uid: String,
    },
    DeletePod {
        uid: String,
        has_report_finalizer: bool,
    },
}

/// A change of a job's status.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// scheduling → triggered: a build cluster was chosen.
    Schedule { cluster: String },
    /// Says why nothing happens. The state stays.
    Describe(String),
    /// triggered → pending: from now on this job has this build id and gets one pod for it.
    Claim {
        /// Of a pod that is already there; a new one otherwise.
        build_id: Option<String>,
    },
    /// The pod was stopped by the cluster: counts it, and claims anew.
    Revive,
    /// A newer run takes its place. Its pod is ended next.
    Supersede { by: String },
    /// Sets the completion time.
    Complete {
        state: ProwJobState,
        /// `None` leaves it as it is.
        description: Option<String>,
    },
}

/// Decides the next step of a job.
pub fn transition(seen: &Observed<'_>, settings: &Settings, now: Timestamp) -> Decision {
    let job = seen.job;
    let (state, complete_job) = (job.state(), job.is_complete());
    if state == ProwJobState::Scheduling && !complete_job && settings.controllers.scheduler {
        return Decision {
            step: Step::Schedule,
            ..wait("it needs a build cluster")
        };
    }
    if !job.spec.agent.is_kubernetes() {
        return wait("another controller's agent runs it");
    }
    if complete_job {
        return completed(seen);
    }
    match (state, settings.controllers) {
        (ProwJobState::Triggered | ProwJobState::Pending, on) if on.plank => {
            if let Some(by) = seen.superseded_by {
                let by = by.to_owned();
                let why = "a newer presubmit tests the same pull request";
                return change(Change::Supersede { by }, why);
            }
        }
        (ProwJobState::Aborted, on) if on.plank => {}
        _ => return wait("the state is not to be moved on here"),
    }
    match seen.cluster {
        Cluster::Unknown => {
            let alias = job.spec.cluster_alias();
            let text = format!("Terminal error: no client for build cluster {alias:?}.");
            return complete(ProwJobState::Error, text, "unknown build cluster");
        }
        Cluster::Unready(since) => return waits::for_cluster(job, since, now),
        Cluster::Ready => {}
    }
    match state {
        ProwJobState::Triggered => triggered(seen),
        ProwJobState::Pending => pending::pending(seen, settings, now),
        _ => aborted(seen, now),
    }
}

fn triggered(seen: &Observed<'_>) -> Decision {
    if let Some(pod) = seen.pod {
        return match (is_for(pod, seen.job), &pod.build_id) {
            (true, Some(build_id)) => {
                let build_id = Some(build_id.clone());
                change(Change::Claim { build_id }, "its pod is already there")
            }
            _ => foreign(seen.job),
        };
    }
    match seen.blocked_by {
        Some(limit) => waits::for_slot(seen.job, limit),
        None => change(
            Change::Claim { build_id: None },
            "nothing keeps it from starting",
        ),
    }
}

fn aborted(seen: &Observed<'_>, now: Timestamp) -> Decision {
    let done = |why| {
        let change = Change::Complete {
            state: ProwJobState::Aborted,
            description: None,
        };
        self::change(change, why)
    };
    let Some(pod) = seen.pod.filter(|pod| is_for(pod, seen.job)) else {
        return done("aborted, and its pod is gone");
    };
    let Some(deadline) = pod.deleting else {
        return delete(pod, "aborted");
    };
    let deadline = after(deadline, DELETION_MARGIN);
    if now >= deadline {
        return done("aborted, and its pod's deletion is never confirmed");
    }
    Decision {
        look_again_at: Some(deadline),
        ..wait("aborted, and its pod is ending")
    }
}

/// A complete job owns no pod that could still do something: what was left by a crash between
/// completing and deleting is deleted.
fn completed(seen: &Observed<'_>) -> Decision {
    let done = wait("complete");
    let Some(pod) = seen.pod.filter(|pod| is_for(pod, seen.job)) else {
        return done;
    };
    if pod.deleting.is_some() || pod.phase.is_final() {
        return done;
    }
    match (seen.job.state(), pod.phase) {
        (ProwJobState::Aborted, _) => delete(pod, "aborted"),
        (ProwJobState::Error, Phase::Pending | Phase::Unset) => {
            delete(pod, "the job ended before its pod started")
        }
        _ => done,
    }
}

/// The pod under a job's name is nobody's to take over.
fn foreign(job: &ProwJob) -> Decision {
    let name = job.metadata.name.as_deref().unwrap_or_default();
    let text = format!(
        "Pod can not be created: a pod named {name} that was not made for this run already exists"
    );
    complete(ProwJobState::Error, text, "another pod has the name")
}

fn is_for(pod: &PodView, job: &ProwJob) -> bool {
    pod.job.is_some() && pod.job == job.metadata.name
}

fn wait(why: &'static str) -> Decision {
    Decision {
        step: Step::Wait,
        look_again_at: None,
        why,
    }
}

fn change(change: Change, why: &'static str) -> Decision {
    Decision {
        step: Step::Change(change),
        ..wait(why)
    }
}

fn complete(state: ProwJobState, description: impl Into<String>, why: &'static str) -> Decision {
    let description = Some(description.into());
    change(Change::Complete { state, description }, why)
}

fn delete(pod: &PodView, why: &'static str) -> Decision {
    Decision {
        step: Step::DeletePod {
            uid: pod.uid.clone(),
            has_report_finalizer: pod.has_report_finalizer,
        },
        ..wait(why)
    }
}

/// The job's own value, which has the installation's defaults merged in, beats plank's.
fn timeout(
    decoration: Option<&DecorationConfig>,
    default: SignedDuration,
    field: impl Fn(&DecorationConfig) -> Option<GoDuration>,
) -> SignedDuration {
    let own = decoration.and_then(field);
    own.map_or(default, |own| SignedDuration::from_nanos(own.nanos()))
}

fn after(since: Timestamp, duration: SignedDuration) -> Timestamp {
    since.saturating_add(duration).unwrap_or(since)
}
