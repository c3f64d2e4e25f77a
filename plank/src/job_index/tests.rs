use common::prowjob::{ProwJobAgent, ProwJobStatus, ProwJobType, Pull, Refs};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::prelude::*;

use super::*;
use crate::transition::ReachedLimit;

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

/// All jobs are listed and the cluster `default` is ready.
fn open() -> PlankJobIndex {
    let index = PlankJobIndex::default();
    index.finish_listing(&HashSet::new());
    index.set_ready("default", true);
    index
}

fn limits(global: i64) -> StartLimits {
    StartLimits {
        global,
        ..StartLimits::default()
    }
}

use ProwJobState::{Pending, Success, Triggered};

const NOBODY: [&str; 0] = [];

#[test]
fn a_jobs_own_limit_is_kept_and_a_release_wakes_the_oldest() {
    let index = open();
    for name in ["a", "b", "c"] {
        index.observe_job(&job(name, "unit", 1, Triggered));
    }
    assert_eq!(index.request_slot("b"), StartSlot::Waits(ReachedLimit::Job));
    assert_eq!(index.request_slot("a"), StartSlot::Held);
    assert_eq!(index.request_slot("a"), StartSlot::Held, "twice is once");
    assert_eq!(index.observe_job(&job("a", "unit", 1, Pending)), NOBODY);
    assert_eq!(index.observe_job(&job("a", "unit", 1, Success)), ["b"]);
    assert_eq!(index.request_slot("b"), StartSlot::Held);
    assert_eq!(index.request_slot("c"), StartSlot::Waits(ReachedLimit::Job));
}

#[test]
fn the_global_limit_counts_every_job() {
    let index = open();
    index.set_limits(limits(2));
    index.observe_job(&job("running", "other", 0, Pending));
    for name in ["a", "b"] {
        index.observe_job(&job(name, name, 0, Triggered));
    }
    assert_eq!(index.request_slot("a"), StartSlot::Held);
    assert_eq!(
        index.request_slot("b"),
        StartSlot::Waits(ReachedLimit::Global)
    );
    assert_eq!(
        index.remove_job("running"),
        ["b"],
        "a deleted job leaves its place"
    );
    index.observe_job(&job("c", "c", 0, Triggered));
    let news = index.set_limits(limits(3));
    assert!(
        news.contains(&"c".to_owned()),
        "a new limit is a reason to look"
    );
    assert_eq!(index.request_slot("c"), StartSlot::Held);
}

#[test]
fn queues_and_clusters_have_limits_of_their_own() {
    let index = open();
    index.set_ready("build", true);
    index.set_limits(StartLimits {
        global: 0,
        queues: [("slow".into(), 1), ("shut".into(), 0), ("free".into(), -1)].into(),
        clusters: [("build".into(), 1)].into(),
    });
    for (name, made, slot) in [
        (
            "first",
            in_queue(job("first", "a", 0, Triggered), "slow"),
            StartSlot::Held,
        ),
        (
            "second",
            in_queue(job("second", "b", 0, Triggered), "slow"),
            StartSlot::Waits(ReachedLimit::Queue),
        ),
        (
            "never",
            in_queue(job("never", "c", 0, Triggered), "shut"),
            StartSlot::Waits(ReachedLimit::Queue),
        ),
        (
            "always",
            in_queue(job("always", "d", 0, Triggered), "free"),
            StartSlot::Held,
        ),
        (
            "nowhere",
            in_queue(job("nowhere", "e", 0, Triggered), "else"),
            StartSlot::Waits(ReachedLimit::UnknownQueue),
        ),
        (
            "there",
            on(job("there", "f", 0, Triggered), "build"),
            StartSlot::Held,
        ),
        (
            "full",
            on(job("full", "g", 0, Triggered), "build"),
            StartSlot::Waits(ReachedLimit::Cluster),
        ),
    ] {
        index.observe_job(&made);
        assert_eq!(index.request_slot(name), slot, "{name}");
    }
    assert_eq!(index.remove_job("first"), ["second"]);
    assert_eq!(index.remove_job("there"), ["full"]);
}

#[test]
fn a_blocked_job_holds_up_no_other() {
    let index = open();
    index.set_limits(limits(2));
    index.observe_job(&job("busy", "unit", 1, Pending));
    index.observe_job(&job("blocked", "unit", 1, Triggered));
    index.observe_job(&job("last", "lint", 0, Pending));
    index.observe_job(&job("free", "docs", 0, Triggered));
    assert_eq!(index.remove_job("last"), ["free"]);
}

#[test]
fn the_first_in_is_the_first_out_whoever_asks_first() {
    let index = open();
    index.set_limits(limits(1));
    index.observe_job(&job("busy", "x", 0, Pending));
    index.observe_job(&at(job("late", "a", 0, Triggered), 9));
    index.observe_job(&at(job("early", "b", 0, Triggered), 3));
    index.remove_job("busy");
    assert_eq!(
        index.request_slot("late"),
        StartSlot::Waits(ReachedLimit::Global)
    );
    assert_eq!(index.request_slot("early"), StartSlot::Held);
}

#[test]
fn a_start_that_failed_lets_others_go_first() {
    let index = open();
    index.set_limits(limits(1));
    index.observe_job(&at(job("fails", "a", 0, Triggered), 1));
    index.observe_job(&at(job("next", "b", 0, Triggered), 2));
    assert_eq!(index.defer_job("fails"), ["next"]);
    assert_eq!(
        index.request_slot("fails"),
        StartSlot::Waits(ReachedLimit::Global),
        "it asks again"
    );
    assert_eq!(index.remove_job("next"), ["fails"]);
}

#[test]
fn nothing_starts_before_all_is_known() {
    let index = PlankJobIndex::default();
    index.set_ready("default", true);
    index.observe_job(&job("a", "unit", 0, Triggered));
    assert_eq!(
        index.request_slot("a"),
        StartSlot::NotYet,
        "not all jobs are listed"
    );
    assert_eq!(index.finish_listing(&["a".to_owned()].into()), ["a"]);
    index.observe_job(&on(job("b", "unit", 0, Triggered), "away"));
    assert_eq!(
        index.request_slot("b"),
        StartSlot::NotYet,
        "its cluster does not answer"
    );
    assert_eq!(index.set_ready("away", true), ["b"]);
}

#[test]
fn a_job_that_waits_for_its_cluster_takes_no_slot() {
    let index = open();
    index.set_limits(limits(1));
    index.observe_job(&on(job("stranded", "unit", 0, Triggered), "away"));
    index.observe_job(&job("b", "unit", 0, Triggered));
    assert_eq!(index.request_slot("b"), StartSlot::Held);
}

#[test]
fn a_listing_forgets_what_is_gone() {
    let index = open();
    index.observe_job(&job("a", "unit", 1, Pending));
    index.observe_job(&job("b", "unit", 1, Triggered));
    assert_eq!(index.finish_listing(&["b".to_owned()].into()), ["b"]);
    assert_eq!(index.request_slot("b"), StartSlot::Held);
}

#[test]
fn the_newer_run_supersedes_even_within_one_second() {
    let index = open();
    assert_eq!(index.observe_job(&presubmit("old", 1, "a")), NOBODY);
    index.observe_job(&presubmit("other", 2, "a"));
    assert_eq!(index.superseded_by("old"), None);
    assert_eq!(index.observe_job(&presubmit("new", 1, "b")), ["old"]);
    assert_eq!(index.superseded_by("old").as_deref(), Some("new"));
    assert_eq!(index.superseded_by("new"), None);
    assert_eq!(index.superseded_by("other"), None);
    index.remove_job("new");
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
    index.observe_job(&presubmit("old", 1, "a"));
    index.observe_job(&presubmit("new", 1, "b"));
    index.observe_job(&ended(presubmit("new", 1, "b")));
    assert_eq!(index.superseded_by("old").as_deref(), Some("new"));
    index.observe_job(&ended(presubmit("old", 1, "a")));
    index.observe_job(&at(presubmit("again", 1, "b"), 30));
    assert_eq!(index.superseded_by("again"), None);
}

#[test]
fn a_late_event_of_an_ended_run_does_not_make_it_the_newest() {
    let index = open();
    let (old, new) = (presubmit("old", 1, "a"), presubmit("new", 1, "b"));
    index.observe_job(&old);
    index.observe_job(&new);
    index.observe_own_change(&ended(old.clone()));
    index.observe_job(&old);
    assert_eq!(index.superseded_by("new"), None);
    assert_eq!(index.superseded_by("old").as_deref(), Some("new"));
    index.observe_job(&ended(old));
    assert_eq!(index.superseded_by("new"), None);
}

#[test]
fn ended_runs_of_a_list_supersede_what_was_asked_for_before_them() {
    for order in [["older", "newer"], ["newer", "older"]] {
        let index = PlankJobIndex::default();
        for name in order {
            match name {
                "older" => index.observe_listed_job(&at(presubmit(name, 1, "a"), 10)),
                _ => index.observe_listed_job(&at(ended(presubmit(name, 1, "b")), 11)),
            }
        }
        index.observe_listed_job(&at(ended(presubmit("as old", 2, "a")), 20));
        index.observe_listed_job(&at(presubmit("not older", 2, "b"), 20));
        index.finish_listing(&HashSet::from(["older".into(), "not older".into()]));
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
        index.set_limits(StartLimits {
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
                    index.observe_job(&make(number, Triggered));
                }
                Event::Starts if index.request_slot(name) == StartSlot::Held => {
                    index.observe_job(&make(number, Pending));
                }
                Event::Fails => drop(index.defer_job(name)),
                Event::Ends => {
                    alive[number] = false;
                    index.observe_job(&make(number, Success));
                }
                _ => {}
            }
            // Every job requests its slot again, as after a retry.
            let slots: Vec<StartSlot> = names.iter().map(|name| index.request_slot(name)).collect();
            let holds = |is: &dyn Fn(usize) -> bool| {
                (0..10).filter(|n| slots[*n] == StartSlot::Held && is(*n)).count() as i64
            };
            prop_assert!(global == 0 || holds(&|_| true) <= global);
            prop_assert!(holds(&|_| true) <= cluster);
            prop_assert!(queue < 0 || holds(&|n| n.is_multiple_of(3)) <= queue);
            for kind in 0..4 {
                prop_assert!(max == 0 || holds(&|n| n % 4 == kind) <= max);
            }
            let waits = (0..10).any(|n| alive[n] && slots[n] != StartSlot::Held);
            let full = (global > 0 && holds(&|_| true) >= global) || holds(&|_| true) >= cluster;
            let narrow = max > 0 || queue >= 0;
            prop_assert!(!waits || full || narrow, "somebody waits for nothing");
        }
    }
}
