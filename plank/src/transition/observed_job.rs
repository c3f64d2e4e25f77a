//! What a decision is made from.

use common::{kube::ClusterObstacle, prowjob::ProwJob, storage::token::keys::StorageKeyError};
use jiff::{SignedDuration, Timestamp};

use super::ObservedObstacle;
use crate::pod_view::PodView;

/// What is known when a decision is made.
#[derive(Clone, Copy, Debug)]
pub struct ObservedJob<'a> {
    pub job: &'a ProwJob,
    /// The job is as the API has it, not as a cache had it.
    pub is_fresh: bool,
    /// The pod under the job's name in the job's cluster. Where the answer "none" matters
    /// (claimed or aborted jobs) the caller has asked the API, not only its cache.
    pub pod: Option<&'a PodView>,
    /// A pod was just created: its first event comes by then, or it is to be asked for.
    pub pod_announced: Option<Timestamp>,
    pub cluster: ClusterReadiness,
    /// Why the cluster is not ready, if that is known.
    pub cluster_obstacle: Option<&'a ClusterObstacle>,
    /// A newer presubmit about the same thing.
    pub superseded_by: Option<&'a str>,
    /// Of a triggered job without a pod.
    pub start: StartPermission,
    /// Why the API, or the job's own spec, says that this pod, or this change, can never be.
    pub refused: Option<&'a str>,
    /// Why the API does not take this pod now: exceeded quota, too many requests.
    pub delayed: Option<&'a str>,
    /// What the pod's events say of Secrets and `ConfigMap`s.
    pub references: ReferenceCheck<'a>,
    pub token: StorageTokenState<'a>,
    /// The pod was to be deleted, and that failed.
    pub undeleted: Option<FailedDeletion<'a>>,
    /// What was in the way when the job was last looked at.
    pub before: Option<&'a ObservedObstacle>,
}

impl<'a> ObservedJob<'a> {
    /// A job whose cluster answers and that nothing keeps, as the API has it.
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

/// Whether the job's build cluster can be asked.
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
    /// Not all is known that decides it. When it is, the job is looked at again.
    NotKnown,
}

/// What a pod's events say of the Secrets and `ConfigMap`s it mounts: its status does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReferenceCheck<'a> {
    NotAsked,
    NoneMissing,
    Missing {
        message: &'a str,
        /// The first such event; `None` if it does not say.
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
    /// The first failure.
    pub since: Timestamp,
    pub why: &'a str,
}

/// What keeps a job from starting.
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

/// The parts of the configuration that decide.
#[derive(Clone, Debug)]
pub struct TransitionSettings {
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
    pub controllers: EnabledControllers,
}

/// `--enable-controller`: which states are moved on from here.
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
