//! Describes why nothing happens, for people who wait. Every write is an event for every watcher:
//! what a pod waits for is written once for each kind, not for each message.

use common::{
    kube::ClusterObstacle,
    prowjob::{ProwJob, WAITING_PREFIX},
    storage::token::keys::StorageKeyError,
};
use jiff::{SignedDuration, Timestamp};

use super::{
    DecisionContext, ProwJobChange, ReachedLimit, TransitionDecision, change_decision, time_after,
    wait_decision,
};

/// How long a cluster is silent before that is reported, which costs one write for each of its jobs
/// and one more when it is back: a start and a restart of an API are shorter.
const MIN_REPORTED_SILENCE: SignedDuration = SignedDuration::from_secs(15);

pub(super) fn wait_for_slot(job: &ProwJob, limit: ReachedLimit) -> TransitionDecision {
    let spec = &job.spec;
    let (text, why) = match limit {
        ReachedLimit::Global => (
            "plank.max_concurrency is reached.".to_owned(),
            "plank.max_concurrency is reached",
        ),
        ReachedLimit::Job => (
            format!("max_concurrency of job {} is reached.", spec.job),
            "the job's max_concurrency is reached",
        ),
        ReachedLimit::Queue => (
            format!("job queue {} is full.", spec.job_queue_name),
            "its job queue is full",
        ),
        ReachedLimit::UnknownQueue => (
            format!(
                "job queue {} is not in plank.job_queue_capacities.",
                spec.job_queue_name
            ),
            "its job queue has no capacity",
        ),
        ReachedLimit::Cluster => (
            format!("build cluster {} is full.", spec.cluster_alias()),
            "its build cluster is full",
        ),
    };
    describe_wait(job, &text, why)
}

pub(super) fn wait_for_cluster(case: &DecisionContext<'_>, since: Timestamp) -> TransitionDecision {
    let (seen, now) = (case.seen, case.now);
    let why = "the build cluster's pods are not listed yet";
    let worth_a_word = since.saturating_add(MIN_REPORTED_SILENCE).unwrap_or(since);
    if now < worth_a_word {
        return TransitionDecision {
            look_again_at: Some(worth_a_word),
            ..wait_decision(why)
        };
    }
    let obstacle = seen.cluster_obstacle.unwrap_or(&ClusterObstacle::NotAsked);
    let (alias, obstacle) = (seen.job.spec.cluster_alias(), obstacle.public_text("plank"));
    let text = format!("build cluster {alias} {obstacle}.");
    describe_wait(seen.job, &text, why)
}

/// The wait between two checks for the storage key: a node gets it a while after Deck has made it.
const KEY_POLL_INTERVAL: SignedDuration = SignedDuration::from_secs(2);

pub(super) fn wait_for_key(
    job: &ProwJob,
    error: StorageKeyError,
    now: Timestamp,
) -> TransitionDecision {
    TransitionDecision {
        look_again_at: Some(time_after(now, KEY_POLL_INTERVAL)),
        ..describe_wait(
            job,
            &format!("{error}."),
            "there is no storage key to sign with",
        )
    }
}

/// Waits for an obstacle of its pod, and describes it unless that is recorded already.
pub(super) fn wait_for_obstacle(
    case: &DecisionContext<'_>,
    text: &str,
    why: &'static str,
) -> TransitionDecision {
    let job = case.seen.job;
    if is_described(job)
        && case
            .sighting
            .is_some_and(|sighting| sighting.is_recorded(job))
    {
        return wait_decision(why);
    }
    let text = format!("{WAITING_PREFIX}{text}");
    let sighting = case.sighting.cloned();
    change_decision(ProwJobChange::Describe { text, sighting }, why)
}

/// Waits, and says so unless the description already does.
fn describe_wait(job: &ProwJob, text: &str, why: &'static str) -> TransitionDecision {
    let text = format!("{WAITING_PREFIX}{text}");
    let status = job.status.as_ref();
    if status.is_some_and(|status| status.description == text) {
        return wait_decision(why);
    }
    let sighting = None;
    change_decision(ProwJobChange::Describe { text, sighting }, why)
}

/// Whether the job's description says what it waits for.
pub(super) fn is_described(job: &ProwJob) -> bool {
    let status = job.status.as_ref();
    status.is_some_and(|status| status.description.starts_with(WAITING_PREFIX))
}
