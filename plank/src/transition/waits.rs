//! Why nothing happens, in words for whoever waits. A text is written once and not kept up to
//! date: every write is an event for everyone who watches.

use common::prowjob::{ProwJob, WAITING};
use jiff::{SignedDuration, Timestamp};

use super::{Change, Decision, Limit, change, wait};

/// Before a cluster's silence is worth a word: a start and a dropped connection are shorter.
const SILENCE: SignedDuration = SignedDuration::from_secs(10);

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

pub(super) fn for_cluster(job: &ProwJob, since: Timestamp, now: Timestamp) -> Decision {
    let why = "the build cluster's pods are not listed yet";
    let worth_a_word = since.saturating_add(SILENCE).unwrap_or(since);
    if now < worth_a_word {
        return Decision {
            look_again_at: Some(worth_a_word),
            ..wait(why)
        };
    }
    let text = format!(
        "build cluster {} does not answer.",
        job.spec.cluster_alias()
    );
    described(job, &text, why)
}

/// Waits, and says so if nothing was said yet.
pub(super) fn described(job: &ProwJob, text: &str, why: &'static str) -> Decision {
    if is_described(job) {
        return wait(why);
    }
    change(Change::Describe(format!("{WAITING}{text}")), why)
}

/// Whether the job's description says what it waits for.
pub(super) fn is_described(job: &ProwJob) -> bool {
    let status = job.status.as_ref();
    status.is_some_and(|status| status.description.starts_with(WAITING))
}
