use common::prowjob::{ProwJobAgent, ProwJobStatus, ProwJobType, Pull, Refs};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;

fn job(name: &str, job: &str, max: i64, state: ProwJobState) -> ProwJob {
    let mut made = ProwJob::new(name, Default::default());
    made.spec.agent = ProwJobAgent::kubernetes();
    made.spec.job_type = ProwJobType::Postsubmit;
    made.spec.job = job.into();
    made.spec.max_concurrency = max;
    made.status = Some(ProwJobStatus {
        state,
        start_time: Some(Time("2026-08-01T00:00:00Z".parse().unwrap())),
        ..ProwJobStatus::default()
    });
    made
}

fn presubmit(name: &str, pull: u64, sha: &str) -> ProwJob {
    let mut made = job(name, "unit", 0, ProwJobState::Triggered);
    made.spec.job_type = ProwJobType::Presubmit;
    made.spec.refs = Some(Refs {
        pulls: vec![Pull {
            number: pull,
            sha: sha.into(),
            ..Pull::default()
        }],
        ..Refs::default()
    });
    made
}

use ProwJobState::{Pending, Success, Triggered};

#[test]
fn a_jobs_own_limit_is_kept_and_a_release_wakes_the_oldest() {
    let index = Index::default();
    for name in ["a", "b", "c"] {
        index.observe(&job(name, "unit", 1, Triggered));
    }
    assert_eq!(index.reserve("b"), Err(Limit::Job), "an older one waits");
    assert_eq!(index.reserve("a"), Ok(()));
    assert_eq!(index.reserve("a"), Ok(()), "twice is once");
    assert_eq!(index.reserve("b"), Err(Limit::Job));
    assert_eq!(index.observe(&job("a", "unit", 1, Pending)), [""; 0]);
    assert_eq!(index.observe(&job("a", "unit", 1, Success)), ["b"]);
    assert_eq!(index.reserve("b"), Ok(()));
    assert_eq!(index.release("b"), ["b"], "a failed claim is first again");
    assert_eq!(index.reserve("c"), Err(Limit::Job));
}

#[test]
fn the_global_limit_counts_every_job() {
    let index = Index::default();
    index.set_max(2);
    index.observe(&job("running", "other", 0, Pending));
    for name in ["a", "b"] {
        index.observe(&job(name, name, 0, Triggered));
    }
    assert_eq!(index.reserve("a"), Ok(()));
    assert_eq!(index.reserve("b"), Err(Limit::Global));
    assert_eq!(
        index.remove("running"),
        ["b"],
        "a deleted job leaves its place"
    );
    assert_eq!(index.set_max(1), ["b"], "a new limit is a reason to look");
    assert_eq!(index.reserve("b"), Err(Limit::Global));
    index.set_max(0);
    assert_eq!(index.reserve("b"), Ok(()));
}

#[test]
fn a_blocked_job_holds_up_no_other() {
    let index = Index::default();
    index.set_max(2);
    index.observe(&job("busy", "unit", 1, Pending));
    index.observe(&job("blocked", "unit", 1, Triggered));
    index.observe(&job("last", "lint", 0, Pending));
    index.observe(&job("free", "docs", 0, Triggered));
    assert_eq!(index.remove("last"), ["free"]);
}

#[test]
fn the_newer_run_supersedes_even_within_one_second() {
    let index = Index::default();
    assert_eq!(index.observe(&presubmit("old", 1, "a")), [""; 0]);
    index.observe(&presubmit("other", 2, "a"));
    assert_eq!(index.superseded_by("old"), None);
    assert_eq!(index.observe(&presubmit("new", 1, "b")), ["old"]);
    assert_eq!(index.superseded_by("old").as_deref(), Some("new"));
    assert_eq!(index.superseded_by("new"), None);
    assert_eq!(index.superseded_by("other"), None);
    index.remove("new");
    assert_eq!(index.superseded_by("old"), None);
}

#[test]
fn a_listing_forgets_what_is_gone() {
    let index = Index::default();
    index.observe(&job("a", "unit", 1, Pending));
    index.observe(&job("b", "unit", 1, Triggered));
    index.retain(&["b".to_owned()].into());
    assert_eq!(index.reserve("b"), Ok(()));
}
