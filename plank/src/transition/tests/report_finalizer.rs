//! Pods that crier's finalizer holds until crier has reported them.

use super::*;

fn held(pod: PodView) -> PodView {
    PodView {
        has_report_finalizer: true,
        ..pod
    }
}

#[test]
fn a_pod_that_is_replaced_is_let_go_of_whether_or_not_it_is_ending() {
    let revived = with_status(job(Pending), |status| status.pod_revival_count = 1);
    let old = held(PodView {
        build_id: Some("6".into()),
        ..pod(PodPhase::Running)
    });
    let drained = PodView {
        deleting: Some(ago(1)),
        disruption: Some("EvictionByEvictionAPI".into()),
        ..old.clone()
    };
    let free = PodView {
        has_report_finalizer: false,
        ..drained.clone()
    };
    for (name, pod, step) in [
        ("that goes on", &old, replaces(true, false)),
        ("that is drained", &drained, replaces(true, true)),
        ("that is let go of", &free, TransitionStep::Wait),
    ] {
        assert_eq!(decide(&revived, Some(pod)).step, step, "a pod {name}");
    }
}

#[test]
fn a_drained_pod_is_revived_though_it_is_held() {
    for reason in ["EvictionByEvictionAPI", "DeletionByTaintManager"] {
        let drained = held(PodView {
            deleting: Some(now()),
            disruption: Some(reason.into()),
            ..pod(PodPhase::Running)
        });
        let step = decide(&job(Pending), Some(&drained)).step;
        assert_eq!(
            step,
            TransitionStep::Change(ProwJobChange::Revive),
            "{reason}"
        );
    }
}

#[test]
fn an_aborted_job_does_not_wait_for_who_waits_for_it() {
    let done = TransitionStep::Change(ProwJobChange::Complete {
        state: Aborted,
        description: None,
    });
    let ending = held(PodView {
        deleting: Some(ago(1)),
        ..pod(PodPhase::Running)
    });
    let confirmed = PodView {
        deletion_confirmed: true,
        ..ending.clone()
    };
    let ended = PodView {
        phase: PodPhase::Failed,
        ..ending.clone()
    };
    for (name, pod, step) in [
        ("goes on", held(pod(PodPhase::Running)), deletes()),
        ("is ending", ending, TransitionStep::Wait),
        ("has ended but for the finalizer", confirmed, done.clone()),
        ("has failed, and is held", ended, done),
    ] {
        assert_eq!(
            decide(&job(Aborted), Some(&pod)).step,
            step,
            "its pod {name}"
        );
    }
}
