//! What a decision is made from.

use common::{kube::Obstacle, prowjob::ProwJob, storage::token::keys::KeyError};
use jiff::{SignedDuration, Timestamp};

use super::Sighting;
use crate::pod_view::PodView;

/// What is known when a decision is made.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    pub job: &'a ProwJob,
    /// The job is as the API has it, not as a cache had it.
    pub is_fresh: bool,
    /// The pod under the job's name in the job's cluster. Where the answer "none" matters
    /// (claimed or aborted jobs) the caller has asked the API, not only its cache.
    pub pod: Option<&'a PodView>,
    /// A pod was just created: its first event comes by then, or it is to be asked for.
    pub pod_announced: Option<Timestamp>,
    pub cluster: Cluster,
    /// Why the cluster is not ready, if that is known.
    pub cluster_obstacle: Option<&'a Obstacle>,
    /// A newer presubmit about the same thing.
    pub superseded_by: Option<&'a str>,
    /// Of a triggered job without a pod.
    pub start: Start,
    /// Why the API, or the job's own spec, says that this pod, or this change, can never be.
    pub refused: Option<&'a str>,
    /// Why the API does not take this pod now: exceeded quota, too many requests.
    pub delayed: Option<&'a str>,
    /// What the pod's events say of Secrets and `ConfigMap`s.
    pub references: References<'a>,
    pub token: Token<'a>,
    /// The pod was to be deleted, and that failed.
    pub undeleted: Option<Undeleted<'a>>,
    /// What was in the way when the job was last looked at.
    pub before: Option<&'a Sighting>,
}

impl<'a> Observed<'a> {
    /// A job whose cluster answers and that nothing keeps, as the API has it.
    pub fn new(job: &'a ProwJob, pod: Option<&'a PodView>) -> Self {
        Self {
            job,
            is_fresh: true,
            pod,
            pod_announced: None,
            cluster: Cluster::Ready,
            cluster_obstacle: None,
            superseded_by: None,
            start: Start::Now,
            refused: None,
            delayed: None,
            references: References::NotAsked,
            token: Token::NotNeeded,
            undeleted: None,
            before: None,
        }
    }
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

/// Whether a triggered job may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    Now,
    Waits(Limit),
    /// Its pod needs a token, and there is no key to sign one with.
    NoKey(KeyError),
    /// Not all is known that decides it. When it is, the job is looked at again.
    NotKnown,
}

/// What a pod's events say of the Secrets and `ConfigMap`s it mounts: its status does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum References<'a> {
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
pub enum Token<'a> {
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
pub struct Undeleted<'a> {
    /// The first failure.
    pub since: Timestamp,
    pub why: &'a str,
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
