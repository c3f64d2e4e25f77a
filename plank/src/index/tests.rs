use common::prowjob::{ProwJobAgent, ProwJobStatus, ProwJobType, Pull, Refs};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::prelude::*;

use super::*;
use crate::transition::Limit;

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

fn at(mut job: ProwJob, second: u8) -> ProwJob {
    let time = format!("2026-08-01T00:00:{second:02}Z");
    job.status.as_mut().unwrap().start_time = Some(Time(time.parse().unwrap()));
    job
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

fn in_queue(mut job: ProwJob, queue: &str) -> ProwJob {
    job.spec.job_queue_name = queue.into();
    job
}

fn on(mut job: ProwJob, cluster: &str) -> ProwJob {
    job.spec.cluster = cluster.into();
    job
}

/// Everything listed, the cluster `default` answers.
fn open() -> Index {
    let index = Index::default();
    index.listed(&HashSet::new());
    index.set_ready("default", true);
    index
}

fn limits(global: i64) -> Limits {
    Limits {
        global,
        ..Limits::default()
    }
}

use ProwJobState::{Pending, Success, Triggered};

const NOBODY: [&str; 0] = [];

#[test]
fn a_jobs_own_limit_is_kept_and_a_release_wakes_the_oldest() {
    let index = open();
    for name in ["a", "b", "c"] {
        index.observe(&job(name, "unit", 1, Triggered));
    }
    assert_eq!(index.slot("b"), Slot::Waits(Limit::Job));
    assert_eq!(index.slot("a"), Slot::Held);
    assert_eq!(index.slot("a"), Slot::Held, "twice is once");
    assert_eq!(index.observe(&job("a", "unit", 1, Pending)), NOBODY);
    assert_eq!(index.observe(&job("a", "unit", 1, Success)), ["b"]);
    assert_eq!(index.slot("b"), Slot::Held);
    assert_eq!(index.slot("c"), Slot::Waits(Limit::Job));
}

#[test]
fn the_global_limit_counts_every_job() {
    let index = open();
    index.set_limits(limits(2));
    index.observe(&job("running", "other", 0, Pending));
    for name in ["a", "b"] {
        index.observe(&job(name, name, 0, Triggered));
    }
    assert_eq!(index.slot("a"), Slot::Held);
    assert_eq!(index.slot("b"), Slot::Waits(Limit::Global));
    assert_eq!(
        index.remove("running"),
        ["b"],
        "a deleted job leaves its place"
    );
    index.observe(&job("c", "c", 0, Triggered));
    let news = index.set_limits(limits(3));
    assert!(
        news.contains(&"c".to_owned()),
        "a new limit is a reason to look"
    );
    assert_eq!(index.slot("c"), Slot::Held);
}

#[test]
fn queues_and_clusters_have_limits_of_their_own() {
    let index = open();
    index.set_ready("build", true);
    index.set_limits(Limits {
        global: 0,
        queues: [("slow".into(), 1), ("shut".into(), 0), ("free".into(), -1)].into(),
        clusters: [("build".into(), 1)].into(),
    });
    for (name, made, slot) in [
        (
            "first",
            in_queue(job("first", "a", 0, Triggered), "slow"),
            Slot::Held,
        ),
        (
            "second",
            in_queue(job("second", "b", 0, Triggered), "slow"),
            Slot::Waits(Limit::Queue),
        ),
        (
            "never",
            in_queue(job("never", "c", 0, Triggered), "shut"),
            Slot::Waits(Limit::Queue),
        ),
        (
            "always",
            in_queue(job("always", "d", 0, Triggered), "free"),
            Slot::Held,
        ),
        (
            "nowhere",
            in_queue(job("nowhere", "e", 0, Triggered), "else"),
            Slot::Waits(Limit::UnknownQueue),
        ),
        (
            "there",
            on(job("there", "f", 0, Triggered), "build"),
            Slot::Held,
        ),
        (
            "full",
            on(job("full", "g", 0, Triggered), "build"),
            Slot::Waits(Limit::Cluster),
        ),
    ] {
        index.observe(&made);
        assert_eq!(index.slot(name), slot, "{name}");
    }
    assert_eq!(index.remove("first"), ["second"]);
    assert_eq!(index.remove("there"), ["full"]);
}

#[test]
fn a_blocked_job_holds_up_no_other() {
    let index = open();
    index.set_limits(limits(2));
    index.observe(&job("busy", "unit", 1, Pending));
    index.observe(&job("blocked", "unit", 1, Triggered));
    index.observe(&job("last", "lint", 0, Pending));
    index.observe(&job("free", "docs", 0, Triggered));
    assert_eq!(index.remove("last"), ["free"]);
}

#[test]
fn the_first_in_is_the_first_out_whoever_asks_first() {
    let index = open();
    index.set_limits(limits(1));
    index.observe(&job("busy", "x", 0, Pending));
    index.observe(&at(job("late", "a", 0, Triggered), 9));
    index.observe(&at(job("early", "b", 0, Triggered), 3));
    index.remove("busy");
    assert_eq!(index.slot("late"), Slot::Waits(Limit::Global));
    assert_eq!(index.slot("early"), Slot::Held);
}

#[test]
fn a_start_that_failed_lets_others_go_first() {
    let index = open();
    index.set_limits(limits(1));
    index.observe(&at(job("fails", "a", 0, Triggered), 1));
    index.observe(&at(job("next", "b", 0, Triggered), 2));
    assert_eq!(index.park("fails"), ["next"]);
    assert_eq!(
        index.slot("fails"),
        Slot::Waits(Limit::Global),
        "it asks again"
    );
    assert_eq!(index.remove("next"), ["fails"]);
}

#[test]
fn nothing_starts_before_all_is_known() {
    let index = Index::default();
    index.set_ready("default", true);
    index.observe(&job("a", "unit", 0, Triggered));
    assert_eq!(index.slot("a"), Slot::NotYet, "not all jobs are listed");
    assert_eq!(index.listed(&["a".to_owned()].into()), ["a"]);
    index.observe(&on(job("b", "unit", 0, Triggered), "away"));
    assert_eq!(index.slot("b"), Slot::NotYet, "its cluster does not answer");
    assert_eq!(index.set_ready("away", true), ["b"]);
}

#[test]
fn a_job_that_waits_for_its_cluster_takes_no_slot() {
    let index = open();
    index.set_limits(limits(1));
    index.observe(&on(job("stranded", "unit", 0, Triggered), "away"));
    index.observe(&job("b", "unit", 0, Triggered));
    assert_eq!(index.slot("b"), Slot::Held);
}

#[test]
fn a_listing_forgets_what_is_gone() {
    let index = open();
    index.observe(&job("a", "unit", 1, Pending));
    index.observe(&job("b", "unit", 1, Triggered));
    assert_eq!(index.listed(&["b".to_owned()].into()), ["b"]);
    assert_eq!(index.slot("b"), Slot::Held);
}

#[test]
fn the_newer_run_supersedes_even_within_one_second() {
    let index = open();
    assert_eq!(index.observe(&presubmit("old", 1, "a")), NOBODY);
    index.observe(&presubmit("other", 2, "a"));
    assert_eq!(index.superseded_by("old"), None);
    assert_eq!(index.observe(&presubmit("new", 1, "b")), ["old"]);
    assert_eq!(index.superseded_by("old").as_deref(), Some("new"));
    assert_eq!(index.superseded_by("new"), None);
    assert_eq!(index.superseded_by("other"), None);
    index.remove("new");
    assert_eq!(index.superseded_by("old"), None);
}

fn ended(mut job: ProwJob) -> ProwJob {
    let status = job.status.as_mut().unwrap();
    status.state = ProwJobState::Success;
    status.completion_time = Some(Time("2026-08-01T00:01:00Z".parse().unwrap()));
    job
}

#[test]
fn a_newer_run_supersedes_when_it_has_ended_too() {
    let index = open();
    index.observe(&presubmit("old", 1, "a"));
    index.observe(&presubmit("new", 1, "b"));
    index.observe(&ended(presubmit("new", 1, "b")));
    assert_eq!(index.superseded_by("old").as_deref(), Some("new"));
    index.observe(&ended(presubmit("old", 1, "a")));
    index.observe(&at(presubmit("again", 1, "b"), 30));
    assert_eq!(index.superseded_by("again"), None);
}

#[test]
fn a_late_event_of_an_ended_run_does_not_make_it_the_newest() {
    let index = open();
    let (old, new) = (presubmit("old", 1, "a"), presubmit("new", 1, "b"));
    index.observe(&old);
    index.observe(&new);
    index.learn(&ended(old.clone()));
    index.observe(&old);
    assert_eq!(index.superseded_by("new"), None);
    assert_eq!(index.superseded_by("old").as_deref(), Some("new"));
    index.observe(&ended(old));
    assert_eq!(index.superseded_by("new"), None);
}

#[test]
fn ended_runs_of_a_list_supersede_what_was_asked_for_before_them() {
    for order in [["older", "newer"], ["newer", "older"]] {
        let index = Index::default();
        for name in order {
            match name {
                "older" => index.list(&at(presubmit(name, 1, "a"), 10)),
                _ => index.list(&at(ended(presubmit(name, 1, "b")), 11)),
            }
        }
        index.list(&at(ended(presubmit("as old", 2, "a")), 20));
        index.list(&at(presubmit("not older", 2, "b"), 20));
        index.listed(&HashSet::from(["older".into(), "not older".into()]));
        assert_eq!(index.superseded_by("older").as_deref(), Some("newer"));
        assert_eq!(index.superseded_by("not older"), None);
    }
}

/// What happens to one of ten jobs.
#[derive(Clone, Debug)]
enum Event {
    Arrives,
    Starts,
    Fails,
    Ends,
}

fn event() -> impl Strategy<Value = (usize, Event)> {
    let what = prop_oneof![
        Just(Event::Arrives),
        Just(Event::Arrives),
        Just(Event::Starts),
        Just(Event::Fails),
        Just(Event::Ends),
    ];
    (0..10usize, what)
}

proptest! {
    #[test]
    fn no_limit_is_ever_exceeded_and_no_slot_is_lost(
        events in prop::collection::vec(event(), 1..120),
        global in 0..4i64,
        max in 0..3i64,
        queue in -1..3i64,
        cluster in 0..4i64,
    ) {
        let index = open();
        index.set_limits(Limits {
            global,
            queues: [("q".into(), queue)].into(),
            clusters: [("default".into(), cluster)].into(),
        });
        let names: Vec<String> = (0..10).map(|number| format!("j{number}")).collect();
        let make = |number: usize, state| {
            let queue = if number.is_multiple_of(3) { "q" } else { "" };
            let kind = format!("job-{}", number % 4);
            in_queue(job(&names[number], &kind, max, state), queue)
        };
        let mut alive = [false; 10];
        for (number, event) in events {
            let name = &names[number];
            match event {
                Event::Arrives if !alive[number] => {
                    alive[number] = true;
                    index.observe(&make(number, Triggered));
                }
                Event::Starts if index.slot(name) == Slot::Held => {
                    index.observe(&make(number, Pending));
                }
                Event::Fails => drop(index.park(name)),
                Event::Ends => {
                    alive[number] = false;
                    index.observe(&make(number, Success));
                }
                _ => {}
            }
            // Everyone asks again, as after a retry.
            let slots: Vec<Slot> = names.iter().map(|name| index.slot(name)).collect();
            let holds = |is: &dyn Fn(usize) -> bool| {
                (0..10).filter(|n| slots[*n] == Slot::Held && is(*n)).count() as i64
            };
            prop_assert!(global == 0 || holds(&|_| true) <= global);
            prop_assert!(holds(&|_| true) <= cluster);
            prop_assert!(queue < 0 || holds(&|n| n.is_multiple_of(3)) <= queue);
            for kind in 0..4 {
                prop_assert!(max == 0 || holds(&|n| n % 4 == kind) <= max);
            }
            let waits = (0..10).any(|n| alive[n] && slots[n] != Slot::Held);
            let full = (global > 0 && holds(&|_| true) >= global) || holds(&|_| true) >= cluster;
            let narrow = max > 0 || queue >= 0;
            prop_assert!(!waits || full || narrow, "somebody waits for nothing");
        }
    }
}
