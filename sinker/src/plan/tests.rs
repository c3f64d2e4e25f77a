use super::*;

const HOUR: i64 = 3600;

fn now() -> Timestamp {
    "2026-08-01T12:00:00Z".parse().unwrap()
}

fn ago(hours: i64) -> Option<Timestamp> {
    Some(now() - SignedDuration::from_secs(hours * HOUR))
}

fn limits() -> RetentionLimits {
    RetentionLimits {
        max_prowjob_age: SignedDuration::from_hours(48),
        max_pod_age: SignedDuration::from_hours(12),
        terminated_pod_ttl: SignedDuration::from_hours(1),
        exclude_clusters: HashSet::from(["hands-off".to_owned()]),
        periodics: HashSet::from(["nightly".to_owned()]),
    }
}

/// A complete run of a presubmit, of this age in hours.
fn run(name: &str, age: i64) -> ObservedProwJob {
    ObservedProwJob {
        name: name.into(),
        uid: format!("uid-{name}"),
        job: "unit".into(),
        cluster: "default".into(),
        started: ago(age),
        completed: ago(age - 1),
        ..ObservedProwJob::default()
    }
}

fn nightly(name: &str, age: i64) -> ObservedProwJob {
    ObservedProwJob {
        job: "nightly".into(),
        periodic: true,
        ..run(name, age)
    }
}

fn incomplete(run: ObservedProwJob) -> ObservedProwJob {
    ObservedProwJob {
        completed: None,
        ..run
    }
}

/// A pod of the run `job`, of this age in hours.
fn pod(job: &str, age: i64) -> ObservedPod {
    ObservedPod {
        cluster: "default".into(),
        name: format!("pod-{job}"),
        prowjob: job.into(),
        created: ago(age),
        started: ago(age),
        ..ObservedPod::default()
    }
}

fn jobs_deleted(jobs: &[ObservedProwJob]) -> Vec<(String, DeletionReason)> {
    let plan = plan_cleanup(now(), jobs, [], &HashSet::new(), &limits());
    let deletions = plan.jobs.into_iter();
    deletions
        .map(|deletion| (deletion.target.name, deletion.reason))
        .collect()
}

fn pod_deleted(jobs: &[ObservedProwJob], pod: &ObservedPod) -> Option<DeletionReason> {
    let plan = plan_cleanup(now(), jobs, [pod], &HashSet::new(), &limits());
    plan.pods.first().map(|deletion| deletion.reason)
}

#[test]
fn old_complete_jobs_go() {
    for (what, jobs, deleted) in [
        ("young and complete", vec![run("a", 10)], vec![]),
        (
            "old and complete",
            vec![run("a", 49)],
            vec![("a", DeletionReason::Aged)],
        ),
        ("exactly of age", vec![run("a", 48)], vec![]),
        ("old and running", vec![incomplete(run("a", 1000))], vec![]),
        (
            "already going",
            vec![ObservedProwJob {
                terminating: true,
                ..run("a", 49)
            }],
            vec![],
        ),
        (
            "an old periodic's older run",
            vec![nightly("a", 100), nightly("b", 60)],
            vec![("a", DeletionReason::AgedPeriodic)],
        ),
        (
            "the newest run counts even when it is not complete",
            vec![nightly("a", 100), incomplete(nightly("b", 1))],
            vec![("a", DeletionReason::AgedPeriodic)],
        ),
        (
            "a periodic that is configured no longer",
            vec![ObservedProwJob {
                job: "retired".into(),
                ..nightly("a", 100)
            }],
            vec![("a", DeletionReason::AgedPeriodic)],
        ),
    ] {
        let expected: Vec<_> = deleted
            .into_iter()
            .map(|(name, reason): (&str, _)| (name.to_owned(), reason))
            .collect();
        assert_eq!(jobs_deleted(&jobs), expected, "{what}");
    }
}

#[test]
fn pods_go_with_their_job_but_never_before_it_is_complete() {
    for (what, job, age, deleted) in [
        ("fresh", Some(run("a", 1)), 1, None),
        (
            "complete long enough",
            Some(run("a", 3)),
            3,
            Some(DeletionReason::Ttled),
        ),
        (
            "old pod of a running job",
            Some(incomplete(run("a", 20))),
            20,
            None,
        ),
        (
            "old pod of a complete job",
            Some(run("a", 20)),
            20,
            Some(DeletionReason::Aged),
        ),
        ("no job", None, 1, Some(DeletionReason::Orphaned)),
        ("no job, but only just made", None, 0, None),
    ] {
        let jobs: Vec<ObservedProwJob> = job.into_iter().collect();
        assert_eq!(pod_deleted(&jobs, &pod("a", age)), deleted, "{what}");
    }
}

#[test]
fn a_pod_that_never_started_goes_when_its_job_is_complete() {
    let unscheduled = ObservedPod {
        started: None,
        ..pod("a", 20)
    };
    assert_eq!(
        pod_deleted(&[run("a", 20)], &unscheduled),
        Some(DeletionReason::Ttled)
    );
    assert_eq!(pod_deleted(&[incomplete(run("a", 20))], &unscheduled), None);
    assert_eq!(
        pod_deleted(&[], &unscheduled),
        Some(DeletionReason::Orphaned)
    );
}

#[test]
fn excluded_clusters_and_pods_on_their_way_are_left_alone() {
    let excluded = ObservedPod {
        cluster: "hands-off".into(),
        ..pod("a", 20)
    };
    assert_eq!(pod_deleted(&[], &excluded), None);
    let going = ObservedPod {
        terminating: true,
        ..pod("a", 20)
    };
    assert_eq!(pod_deleted(&[], &going), None);
}

#[test]
fn a_pod_on_its_way_that_is_held_for_a_job_that_is_gone_is_released() {
    let held = ObservedPod {
        held: true,
        terminating: true,
        ..pod("gone", 2)
    };
    let young = ObservedPod {
        created: Some(now() - SignedDuration::from_secs(30)),
        ..held.clone()
    };
    let free = ObservedPod {
        held: false,
        ..held.clone()
    };
    let elsewhere = ObservedPod {
        cluster: "hands-off".into(),
        ..held.clone()
    };
    for (what, jobs, pod, released) in [
        ("its job is gone", vec![], held.clone(), true),
        ("its job may be news", vec![], young, false),
        ("nobody holds it", vec![], free, false),
        ("in an excluded cluster", vec![], elsewhere, false),
        ("its job is there", vec![run("gone", 49)], held, false),
    ] {
        let plan = plan_cleanup(now(), &jobs, [&pod], &HashSet::new(), &limits());
        let expected: &[_] = if released { &[pod] } else { &[] };
        assert_eq!(plan.abandoned, expected, "{what}");
        assert!(plan.pods.is_empty(), "{what}: it is not deleted again");
    }
}

#[test]
fn a_job_waits_until_its_clusters_pods_are_listed() {
    let jobs = [run("old", 49)];
    for (unlisted, due) in [("default", false), ("elsewhere", true)] {
        let unlisted = HashSet::from([unlisted.to_owned()]);
        let plan = plan_cleanup(now(), &jobs, [], &unlisted, &limits());
        assert_eq!(!plan.jobs.is_empty(), due, "{unlisted:?}");
        assert_eq!(plan.next, None, "the list is what it waits for");
    }
}

#[test]
fn a_held_pod_is_released_once_its_job_is_reported() {
    let held = ObservedPod {
        held: true,
        terminating: true,
        ..pod("a", 1)
    };
    for (what, job, released) in [
        ("not reported", run("a", 1), 0),
        (
            "reported",
            ObservedProwJob {
                reported: true,
                ..run("a", 1)
            },
            1,
        ),
        (
            "reported while running",
            ObservedProwJob {
                reported: true,
                ..incomplete(run("a", 1))
            },
            0,
        ),
    ] {
        let plan = plan_cleanup(now(), [&job], [&held], &HashSet::new(), &limits());
        assert_eq!(plan.release.len(), released, "{what}");
    }
}

#[test]
fn the_next_look_is_at_the_first_expiry() {
    let millisecond = SignedDuration::from_millis(1);
    let young = run("a", 1);
    let plan_of = |jobs: &[ObservedProwJob], pods: &[ObservedPod]| {
        plan_cleanup(now(), jobs, pods, &HashSet::new(), &limits()).next
    };
    assert_eq!(plan_of(&[], &[]), None);
    assert_eq!(plan_of(&[incomplete(run("a", 99))], &[pod("a", 99)]), None);
    assert_eq!(
        plan_of(std::slice::from_ref(&young), &[]),
        Some(now() + SignedDuration::from_hours(47) + millisecond)
    );
    assert_eq!(
        plan_of(&[young], &[pod("a", 1)]),
        Some(now() + SignedDuration::from_hours(1) + millisecond)
    );
    assert_eq!(
        plan_of(&[], &[pod("gone", 0)]),
        Some(now() + ORPHAN_GRACE + millisecond)
    );
}
