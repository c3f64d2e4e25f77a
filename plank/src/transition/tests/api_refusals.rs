//! A refusal of the API ends a job within a bound, and the description says so.

use super::*;

fn fails_for(seconds: i64) -> FailedDeletion<'static> {
    FailedDeletion {
        since: ago(seconds),
        why: "pods \"pj\" is forbidden",
    }
}

#[test]
fn a_pod_that_cannot_be_deleted_does_not_hold_its_job() {
    let stays = "its pod pj can not be deleted and may go on; delete it by hand: pods \"pj\" is \
                 forbidden";
    let aborted = with_status(job(Aborted), |status| {
        status.description = "Aborted by trigger plugin.".into();
    });
    let revived = with_status(job(Pending), |status| status.pod_revival_count = 1);
    let old = PodView {
        build_id: Some("6".into()),
        ..pod(PodPhase::Running)
    };
    let end = format!("Aborted by trigger plugin. I{}", &stays[1..]);
    let lost = format!("Job pod was stopped unexpectedly, and {stays}");
    for (name, job, pod, step) in [
        (
            "aborted",
            &aborted,
            pod(PodPhase::Running),
            completes(Aborted, &end),
        ),
        ("revived", &revived, old, completes(Error, &lost)),
    ] {
        let after = |seconds| {
            let failing = fails_for(seconds);
            decide_with(job, Some(&pod), |s| s.undeleted = Some(failing))
        };
        assert_eq!(after(60).step, step, "{name}");
        assert_eq!(after(59).step, TransitionStep::Wait, "{name}");
        assert_eq!(after(59).look_again_at, Some(now() + 1.seconds()), "{name}");
    }
    let complete = decide_with(&complete_job(Aborted), Some(&pod(PodPhase::Running)), |s| {
        s.undeleted = Some(fails_for(600));
    });
    assert_eq!(
        complete.step,
        TransitionStep::Wait,
        "a complete job tries again and never changes"
    );
}

#[test]
fn a_change_that_is_refused_for_good_ends_the_job() {
    let refusal = "metadata.labels: Invalid value: must be no more than 63 bytes";
    let text = format!("Pod can not be created: {refusal}");
    let error = completes(Error, &text);
    for state in [Triggered, Pending, Scheduling] {
        let decision = decide_with(&job(state), None, |s| s.refused = Some(refusal));
        assert_eq!(decision.step, error, "{state}");
    }
}

#[test]
fn a_pods_own_token_comes_before_it_is_judged() {
    let missing = PodView {
        started: Some(ago(300)),
        containers: vec![waiting(
            "ContainerCreating",
            "secret \"pj-storage-7\" not found",
        )],
        ..pod(PodPhase::Pending)
    };
    let long = sighting(ObstacleKind::Missing, 70);
    let with = |token| {
        decide_with(&job(Pending), Some(&missing), |s| {
            s.before = Some(&long);
            s.token = token;
        })
    };
    let create = TransitionStep::CreateToken {
        pod_uid: "uid".into(),
    };
    assert_eq!(with(StorageTokenState::Missing).step, create);
    let refused = "Pod could not start: the Secret with its storage token can not be created: no";
    assert_eq!(
        with(StorageTokenState::Refused("no")).step,
        completes(Error, refused)
    );
    let judged = with(StorageTokenState::Delayed).step;
    assert!(
        matches!(
            judged,
            TransitionStep::Change(ProwJobChange::Complete { .. })
        ),
        "{judged:?}"
    );
}

#[test]
fn what_cannot_be_taken_back_is_decided_on_the_truth() {
    let old = PodView {
        build_id: Some("6".into()),
        ..pod(PodPhase::Running)
    };
    let revived = with_status(job(Pending), |status| status.pod_revival_count = 1);
    for (name, job, pod) in [
        ("a pod is created", &job(Pending), None),
        (
            "a pod is deleted",
            &job(Aborted),
            Some(&pod(PodPhase::Running)),
        ),
        ("a pod is replaced", &revived, Some(&old)),
    ] {
        let stale = decide_with(job, pod, |s| s.is_fresh = false);
        assert_eq!(stale.step, TransitionStep::ReadJob, "{name}");
        assert_ne!(decide(job, pod).step, TransitionStep::ReadJob, "{name}");
    }
    let announced = decide_with(&job(Pending), None, |s| {
        s.pod_announced = Some(now() + 1.seconds());
    });
    assert_eq!(
        announced.step,
        TransitionStep::Wait,
        "a pod that was just created is not created again"
    );
    assert_eq!(announced.look_again_at, Some(now() + 1.seconds()));
}

#[test]
fn a_job_says_for_which_limit_it_waits_now() {
    let told = with_status(job(Triggered), |status| {
        status.description = "Waiting: job queue q is full.".into();
    });
    let waits = |limit| decide_with(&told, None, |s| s.start = StartPermission::Waits(limit)).step;
    let global = describes("Waiting: plank.max_concurrency is reached.");
    assert_eq!(waits(ReachedLimit::Global), global);
    let said = with_status(told.clone(), |status| {
        status.description = "Waiting: plank.max_concurrency is reached.".into();
    });
    let again = decide_with(&said, None, |s| {
        s.start = StartPermission::Waits(ReachedLimit::Global)
    });
    assert_eq!(again.step, TransitionStep::Wait, "once");
    let unknown = decide_with(&said, None, |s| s.start = StartPermission::NotKnown);
    assert_eq!(unknown.step, TransitionStep::Wait);
}

#[test]
fn timeouts_count_while_a_cluster_does_not_answer() {
    let away = decide_with(&job(Pending), None, |s| {
        s.cluster = ClusterReadiness::Unready(ago(600))
    });
    assert_eq!(
        away.step,
        describes("Waiting: build cluster default does not answer.")
    );
    let late = PodView {
        started: Some(ago(600)),
        ..pod(PodPhase::Pending)
    };
    let back = decide(&job(Pending), Some(&late)).step;
    assert_eq!(back, completes(Error, "Pod pending timeout."));
}
