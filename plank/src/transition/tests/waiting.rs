//! Timeouts, and pods that cannot start.

use jiff::SignedDuration;

use super::*;

#[test]
fn timeouts_fire_at_their_deadline() {
    let unscheduled = |age| PodView {
        started: None,
        created: Some(ago(age)),
        ..pod(Phase::Pending)
    };
    let aged = |phase, age| PodView {
        started: Some(ago(age)),
        ..pod(phase)
    };
    let hours = 3600;
    let mut quick = job(Pending);
    quick.spec.decoration_config = Some(DecorationConfig {
        pod_running_timeout: Some("1m".parse().unwrap()),
        ..DecorationConfig::default()
    });
    let plain = job(Pending);
    for (name, job, pod, step, left) in [
        ("unscheduled", &plain, unscheduled(299), Step::Wait, Some(1)),
        (
            "unscheduled",
            &plain,
            unscheduled(300),
            completes(Error, "Pod scheduling timeout."),
            None,
        ),
        (
            "pending",
            &plain,
            aged(Phase::Pending, 590),
            Step::Wait,
            Some(10),
        ),
        (
            "pending",
            &plain,
            aged(Phase::Pending, 600),
            completes(Error, "Pod pending timeout."),
            None,
        ),
        (
            "running",
            &plain,
            aged(Phase::Running, 47 * hours),
            Step::Wait,
            Some(hours),
        ),
        (
            "running",
            &plain,
            aged(Phase::Running, 48 * hours),
            completes(Aborted, "Pod running timeout."),
            None,
        ),
        (
            "the job's own",
            &quick,
            aged(Phase::Running, 59),
            Step::Wait,
            Some(1),
        ),
        (
            "the job's own",
            &quick,
            aged(Phase::Running, 60),
            completes(Aborted, "Pod running timeout."),
            None,
        ),
    ] {
        let decision = decide(job, Some(&pod));
        assert_eq!(decision.step, step, "{name}");
        let left = left.map(|seconds| now() + SignedDuration::from_secs(seconds));
        assert_eq!(decision.look_again_at, left, "{name}");
    }
}

#[test]
fn a_pod_that_cannot_start_fails_fast() {
    let stuck = |age, reason: &str| PodView {
        started: Some(ago(age)),
        containers: vec![waiting(reason, "some\n detail")],
        ..pod(Phase::Pending)
    };
    let error = |reason| {
        completes(
            Error,
            &format!("Pod could not start: container test: {reason}: some detail"),
        )
    };
    for (reason, age, step) in [
        ("InvalidImageName", 0, error("InvalidImageName")),
        ("ErrImageNeverPull", 0, error("ErrImageNeverPull")),
        ("CreateContainerConfigError", 59, Step::Wait),
        (
            "CreateContainerConfigError",
            60,
            error("CreateContainerConfigError"),
        ),
        ("FailedMount", 60, error("FailedMount")),
        ("ErrImagePull", 120, Step::Wait),
        ("ContainerCreating", 60, error("ContainerCreating")),
    ] {
        let decision = decide(&job(Pending), Some(&stuck(age, reason)));
        assert_eq!(decision.step, step, "{reason} after {age} s");
    }
    let silent = PodView {
        containers: vec![waiting("ContainerCreating", "")],
        ..stuck(120, "")
    };
    assert_eq!(
        decide(&job(Pending), Some(&silent)).step,
        Step::Wait,
        "kubelet at work"
    );
    let patient = decide(&job(Pending), Some(&stuck(10, "FailedMount")));
    assert_eq!(patient.look_again_at, Some(now() + 50.seconds()));
}
