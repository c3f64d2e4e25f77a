//! The jobs of a scene: what happens to each, and how it has to end.

use common::prowjob::{ProwJob, ProwJobState, new_prowjob};
use jiff::Timestamp;
use local::testing::SCHEDULER;
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};

pub(crate) const CLUSTERS: [&str; 3] = ["default", "build-1", "build-2"];
/// `plank.max_revivals` of the scene.
pub(crate) const MAX_REVIVALS: usize = 2;
/// `max_concurrency` of jobs that have one.
const JOB_LIMIT: usize = 3;
/// The queue that some jobs wait in.
pub(crate) const QUEUE: &str = "slow";

/// What becomes of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Succeeds,
    Fails,
    /// This many pods are evicted, then one succeeds, if there may be so many.
    Evicted(usize),
    /// A newer job for the same pull request is created.
    Superseded,
    /// Its pull request is closed while it waits or runs.
    Aborted,
}

pub(crate) struct Job {
    pub(crate) object: ProwJob,
    pub(crate) fate: Fate,
}

impl Fate {
    pub(crate) fn state(self) -> ProwJobState {
        match self {
            Self::Succeeds => ProwJobState::Success,
            Self::Fails => ProwJobState::Failure,
            Self::Evicted(pods) if pods > MAX_REVIVALS => ProwJobState::Error,
            Self::Evicted(_) => ProwJobState::Success,
            Self::Superseded | Self::Aborted => ProwJobState::Aborted,
        }
    }

    /// How many pods it has had at its end: at least and at most.
    pub(crate) fn pods(self) -> (usize, usize) {
        match self {
            Self::Succeeds | Self::Fails => (1, 1),
            Self::Evicted(pods) => {
                let all = (pods + 1).min(MAX_REVIVALS + 1);
                (all, all)
            }
            Self::Superseded | Self::Aborted => (0, 1),
        }
    }

    /// Whether its pods run until they are deleted.
    pub(crate) fn runs_for_ever(self) -> bool {
        matches!(self, Self::Superseded | Self::Aborted)
    }
}

/// `count` jobs, or one more, in the order of their creation; names rise in that order.
pub(crate) fn jobs(count: usize, namespace: &str, seed: u64) -> Vec<Job> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut jobs: Vec<Job> = Vec::new();
    while jobs.len() < count {
        let number = jobs.len();
        let cluster = CLUSTERS[random.random_range(0..CLUSTERS.len())];
        let fate = match random.random_range(0..100) {
            0..50 => Fate::Succeeds,
            50..65 => Fate::Fails,
            65..75 => Fate::Evicted(random.random_range(1..=MAX_REVIVALS)),
            75..80 => Fate::Evicted(MAX_REVIVALS + 1),
            80..90 => Fate::Aborted,
            _ => Fate::Superseded,
        };
        let spec = match number % 4 {
            _ if fate == Fate::Superseded => presubmit(number),
            0 => json!({"job": format!("limited-{}", number % 3), "max_concurrency": JOB_LIMIT}),
            1 => json!({"job": format!("queued-{}", number % 3), "job_queue_name": QUEUE}),
            _ => json!({"job": format!("free-{}", number % 10)}),
        };
        jobs.push(job(number, namespace, cluster, spec.clone(), fate));
        if fate == Fate::Superseded {
            let newer = jobs.len();
            jobs.push(job(newer, namespace, cluster, spec, Fate::Succeeds));
        }
    }
    jobs
}

fn presubmit(pull: usize) -> Value {
    json!({
        "type": "presubmit", "job": "presubmit", "context": "unit",
        "refs": {"org": "o", "repo": "r", "base_ref": "main", "base_sha": "base",
            "pulls": [{"number": pull + 1, "author": "a", "sha": "sha"}]},
    })
}

fn job(number: usize, namespace: &str, cluster: &str, spec: Value, fate: Fate) -> Job {
    let mut all = json!({
        "type": "periodic", "agent": "kubernetes", "cluster": cluster,
        "pod_spec": {
            "containers": [{"image": "none.invalid/none", "command": ["true"]}],
            "schedulerName": SCHEDULER,
        },
    });
    for (key, value) in spec.as_object().expect("specs are objects") {
        all[key] = value.clone();
    }
    let spec = serde_json::from_value(all).expect("the spec is one");
    let (none, state) = (Default::default(), ProwJobState::Triggered);
    let name = format!("job-{number:05}");
    let object = new_prowjob(name, namespace, spec, &none, &none, state, Timestamp::now());
    Job { object, fate }
}
