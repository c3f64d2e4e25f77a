//! The input of a decision.

use common::{kube::ClusterObstacle, prowjob::ProwJob, storage::token::keys::StorageKeyError};
use jiff::{SignedDuration, Timestamp};

use super::ObservedObstacle;
use crate::pod_view::PodView;

/// What is known about a job when a decision is made.
#[derive(Clone, Copy, Debug)]
pub struct ObservedJob<'a> {
    pub job: &'a ProwJob,
    /// The job was read from the API, not from a cache.
    pub is_fresh: bool,
    /// The pod under the job's name in the job's cluster. Where its absence matters (claimed or
    /// aborted jobs) the caller has asked the API, not only its cache.
    pub pod: Option<&'a PodView>,
    /// A pod was just created: its first event comes by then, or the pod is to be read.
    pub pod_announced: Option<Timestamp>,
    pub cluster: ClusterReadiness,
    /// Why the cluster is not ready, if that is known.
    pub cluster_obstacle: Option<&'a ClusterObstacle>,
    /// A newer presubmit with the same supersede key.
    pub superseded_by: Option<&'a str>,
    /// Matters for a triggered job without a pod.
    pub start: StartPermission,
    /// Why the API, or the job's own spec, rules out this pod, or this change, for good.
    pub refused: Option<&'a str>,
    /// Why the API does not accept this pod now: exceeded quota, too many requests.
    pub delayed: Option<&'a str>,
    /// What the pod's events say about Secrets and `ConfigMap`s.
    pub references: ReferenceCheck<'a>,
    pub token: StorageTokenState<'a>,
    /// The failed deletion of the pod.
    pub undeleted: Option<FailedDeletion<'a>>,
    /// The obstacle at the job's last decision.
    pub before: Option<&'a ObservedObstacle>,
}

impl<'a> ObservedJob<'a> {
    /// A job as the API has it, whose cluster is ready and which nothing blocks.
    pub fn new(job: &'a ProwJob, pod: Option<&'a PodView>) -> Self {
        Self {
            job,
            is_fresh: true,
            pod,
            pod_announced: None,
            cluster: ClusterReadiness::Ready,
            cluster_obstacle: None,
            superseded_by: None,
            start: StartPermission::Now,
            refused: None,
            delayed: None,
            references: ReferenceCheck::NotAsked,
            token: StorageTokenState::NotNeeded,
            undeleted: None,
            before: None,
        }
    }
}

/// Whether the job's build cluster can be worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClusterReadiness {
    Ready,
    /// Known, but its pods have not been listed since then.
    Unready(Timestamp),
    /// No kubeconfig context has this name.
    Unknown,
}

/// Whether a triggered job may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartPermission {
    Now,
    Waits(ReachedLimit),
    /// Its pod needs a token, and there is no key to sign one with.
    NoKey(StorageKeyError),
    /// What decides it is not all known. When it is, the job is reconciled again.
    NotKnown,
}

/// What a pod's events say about the Secrets and `ConfigMap`s it mounts: its status does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReferenceCheck<'a> {
    NotAsked,
    NoneMissing,
    Missing {
        message: &'a str,
        /// When the first such event came; `None` if it does not say.
        since: Option<Timestamp>,
    },
}

/// The Secret with a pod's token for Deck's storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageTokenState<'a> {
    NotNeeded,
    /// Not known to exist.
    Missing,
    /// It could not be created, and is tried again.
    Delayed,
    /// It can never be created.
    Refused(&'a str),
}

/// A deletion that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailedDeletion<'a> {
    /// When it first failed.
    pub since: Timestamp,
    pub why: &'a str,
}

/// The limit that keeps a job from starting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReachedLimit {
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

/// The settings that decisions depend on.
#[derive(Clone, Debug)]
pub struct TransitionSettings {
    /// From acceptance by a node until all init containers are done.
    pub pod_pending_timeout: SignedDuration,
    pub pod_running_timeout: SignedDuration,
    pub pod_unscheduled_timeout: SignedDuration,
    /// How often a job's pod is replaced after its node or the cluster stopped it.
    pub max_revivals: i64,
    /// Whether a pod that cannot start ends its job before the timeouts.
    pub fail_fast: bool,
    /// How long a Secret or `ConfigMap` may be missing.
    pub missing_reference_timeout: SignedDuration,
    pub controllers: EnabledControllers,
}

/// `--enable-controller`: the controllers that run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnabledControllers {
    pub plank: bool,
    pub scheduler: bool,
}

impl Default for TransitionSettings {
    fn default() -> Self {
        Self {
            pod_pending_timeout: SignedDuration::from_mins(10),
            pod_running_timeout: SignedDuration::from_hours(48),
            pod_unscheduled_timeout: SignedDuration::from_mins(5),
            max_revivals: 3,
            fail_fast: true,
            missing_reference_timeout: SignedDuration::from_secs(60),
            controllers: EnabledControllers {
                plank: true,
                scheduler: true,
            },
        }
    }
}
