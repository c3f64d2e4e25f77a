//! Why nothing happens, in words for whoever waits. Every write is an event for everyone who
//! watches: what a pod waits for is written once for each kind, not for each message.

use common::{
    kube::Obstacle,
    prowjob::{ProwJob, WAITING},
    storage::token::keys::KeyError,
};
use jiff::{SignedDuration, Timestamp};

use super::{Case, Change, Decision, Limit, after, change, wait};

/// Before a cluster's silence is worth a word, which is one write for each of its jobs and one
/// more when it is back: a start and a restart of an API are shorter.
const SILENCE: SignedDuration = SignedDuration::from_secs(15);

pub(super) fn for_slot(job: &ProwJob, limit: Limit) -> Decision {
    let spec = &job.spec;
    let (text, why) = match limit {
        Limit::Global => (
            "plank.max_concurrency is reached.".to_owned(),
            "plank.max_concurrency is reached",
        ),
        Limit::Job => (
            format!("max_concurrency of job {} is reached.", spec.job),
            "the job's max_concurrency is reached",
        ),
        Limit::Queue => (
            format!("job queue {} is full.", spec.job_queue_name),
            "its job queue is full",
        ),
        Limit::UnknownQueue => (
            format!(
                "job queue {} is not in plank.job_queue_capacities.",
                spec.job_queue_name
            ),
            "its job queue has no capacity",
        ),
        Limit::Cluster => (
            format!("build cluster {} is full.", spec.cluster_alias()),
            "its build cluster is full",
        ),
    };
    described(job, &text, why)
}

pub(super) fn for_cluster(case: &Case<'_>, since: Timestamp) -> Decision {
    let (seen, now) = (case.seen, case.now);
    let why = "the build cluster's pods are not listed yet";
    let worth_a_word = since.saturating_add(SILENCE).unwrap_or(since);
    if now < worth_a_word {
        return Decision {
            look_again_at: Some(worth_a_word),
            ..wait(why)
        };
    }
    let obstacle = seen.cluster_obstacle.unwrap_or(&Obstacle::NotAsked);
    let (alias, obstacle) = (seen.job.spec.cluster_alias(), obstacle.public("plank"));
    let text = format!("build cluster {alias} {obstacle}.");
    described(seen.job, &text, why)
}

/// Between two looks for the storage key: a node brings it a while after Deck has made it.
const KEY_LOOK: SignedDuration = SignedDuration::from_secs(2);

pub(super) fn for_key(job: &ProwJob, error: KeyError, now: Timestamp) -> Decision {
    Decision {
        look_again_at: Some(after(now, KEY_LOOK)),
        ..described(
            job,
            &format!("{error}."),
            "there is no storage key to sign with",
        )
    }
}

/// Waits for something in the way of its pod, and says so if that was not said yet.
pub(super) fn for_obstacle(case: &Case<'_>, text: &str, why: &'static str) -> Decision {
    let job = case.seen.job;
    if is_described(job) && case.sighting.is_some_and(|sighting| sighting.is_told(job)) {
        return wait(why);
    }
    let text = format!("{WAITING}{text}");
    let sighting = case.sighting.cloned();
    change(Change::Describe { text, sighting }, why)
}

/// Waits, and says so if that is not what the job says.
fn described(job: &ProwJob, text: &str, why: &'static str) -> Decision {
    let text = format!("{WAITING}{text}");
    let status = job.status.as_ref();
    if status.is_some_and(|status| status.description == text) {
        return wait(why);
    }
    let sighting = None;
    change(Change::Describe { text, sighting }, why)
}

/// Whether the job's description says what it waits for.
pub(super) fn is_described(job: &ProwJob) -> bool {
    let status = job.status.as_ref();
    status.is_some_and(|status| status.description.starts_with(WAITING))
}
