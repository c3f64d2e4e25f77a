//! Aborted and complete jobs.

use super::*;

#[test]
fn an_aborted_job() {
    let running = pod(PodPhase::Running);
    let ending = PodView {
        deleting: Some(ago(34)),
        ..running.clone()
    };
    let lost = PodView {
        deleting: Some(ago(35)),
        ..running.clone()
    };
    let foreign = PodView {
        job: None,
        ..running.clone()
    };
    let completed = TransitionStep::Change(ProwJobChange::Complete {
        state: Aborted,
        description: None,
    });
    for (name, pod, step) in [
        ("ends its pod, by its UID", Some(&running), deletes()),
        (
            "waits for the pod to end",
            Some(&ending),
            TransitionStep::Wait,
        ),
        ("is complete without a pod", None, completed.clone()),
        (
            "does not wait for a lost node",
            Some(&lost),
            completed.clone(),
        ),
        ("leaves another's pod alone", Some(&foreign), completed),
    ] {
        assert_eq!(
            decide(&job(Aborted), pod).step,
            step,
            "an aborted job {name}"
        );
    }
}

#[test]
fn a_complete_job_never_changes_again() {
    for state in [Success, Failure, Error, Aborted, Pending, Triggered] {
        for phase in [
            PodPhase::Pending,
            PodPhase::Running,
            PodPhase::Succeeded,
            PodPhase::Failed,
        ] {
            let decision = decide(&complete_job(state), Some(&pod(phase)));
            assert!(
                !matches!(decision.step, TransitionStep::Change(_)),
                "{state} {phase:?}"
            );
        }
    }
    for (name, state, phase, step) in [
        (
            "a running timeout's pod is deleted",
            Aborted,
            PodPhase::Running,
            deletes(),
        ),
        (
            "a pending timeout's pod is deleted",
            Error,
            PodPhase::Pending,
            deletes(),
        ),
        (
            "after an OOM the sidecar goes on uploading",
            Error,
            PodPhase::Running,
            TransitionStep::Wait,
        ),
        (
            "an ended pod is sinker's",
            Aborted,
            PodPhase::Failed,
            TransitionStep::Wait,
        ),
    ] {
        assert_eq!(
            decide(&complete_job(state), Some(&pod(phase))).step,
            step,
            "{name}"
        );
    }
}
