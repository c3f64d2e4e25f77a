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

fn stuck(age: i64, reason: &str, message: &str) -> PodView {
    PodView {
        started: Some(ago(age)),
        containers: vec![waiting(reason, message)],
        ..pod(Phase::Pending)
    }
}

/// An image was pulled so often, and this is what the last try said.
fn pulled(age: i64, times: u32, error: &str) -> PodView {
    let mut pod = stuck(age, "ImagePullBackOff", "Back-off pulling image");
    pod.containers[0].pull_failures = times;
    pod.containers[0].pull_error = error.into();
    pod
}

fn could_not_start(why: &str) -> Step {
    completes(Error, &format!("Pod could not start: {why}"))
}

#[test]
fn a_pod_that_cannot_start_fails_fast() {
    let detail = "some\n detail";
    let error = |reason| could_not_start(&format!("container test: {reason}: some detail"));
    let says = |reason| describes(&format!("Waiting: container test: {reason}: some detail"));
    for (reason, age, step) in [
        ("InvalidImageName", 0, error("InvalidImageName")),
        ("ErrImageNeverPull", 0, error("ErrImageNeverPull")),
        ("CreateContainerConfigError", 9, Step::Wait),
        (
            "CreateContainerConfigError",
            59,
            says("CreateContainerConfigError"),
        ),
        (
            "CreateContainerConfigError",
            60,
            error("CreateContainerConfigError"),
        ),
        ("FailedMount", 60, error("FailedMount")),
        ("ErrImagePull", 9, Step::Wait),
        ("ErrImagePull", 120, says("ErrImagePull")),
        ("ContainerCreating", 60, error("ContainerCreating")),
    ] {
        let decision = decide(&job(Pending), Some(&stuck(age, reason, detail)));
        assert_eq!(decision.step, step, "{reason} after {age} s");
    }
    let told = with_status(job(Pending), |status| {
        status.description = "Waiting: container test: FailedMount: some detail".into();
    });
    let patient = decide(&told, Some(&stuck(10, "FailedMount", detail)));
    assert_eq!(patient.step, Step::Wait, "what waits is told once");
    assert_eq!(patient.look_again_at, Some(now() + 50.seconds()));
}

#[test]
fn an_image_that_a_registry_refuses_twice_is_not_waited_for() {
    let says = |error: &str| {
        describes(&format!(
            "Waiting: container test: ImagePullBackOff: {error}"
        ))
    };
    let fails =
        |error: &str| could_not_start(&format!("container test: ImagePullBackOff: {error}"));
    let missing = "rpc error: code = NotFound desc = ref: not found";
    let denied = "pull access denied for x";
    let outage = "dial tcp: i/o timeout";
    for (name, pod, step) in [
        ("once", pulled(11, 1, missing), says(missing)),
        ("twice", pulled(11, 2, missing), fails(missing)),
        (
            "twice, for want of access",
            pulled(11, 2, denied),
            fails(denied),
        ),
        (
            "never: the registry is away",
            pulled(300, 7, outage),
            says(outage),
        ),
        (
            "never, and Prow's timeout is over",
            pulled(600, 7, outage),
            completes(Error, "Pod pending timeout."),
        ),
    ] {
        assert_eq!(
            decide(&job(Pending), Some(&pod)).step,
            step,
            "refused {name}"
        );
    }
}

#[test]
fn a_secret_that_only_events_tell_of() {
    let silent = |age| PodView {
        mounts_references: true,
        ..stuck(age, "ContainerCreating", "")
    };
    let asks = Step::ReadEvents {
        pod_uid: "uid".into(),
    };
    let missing = r#"MountVolume.SetUp failed for volume "v" : secret "s" not found"#;
    for (name, age, references, step, left) in [
        (
            "is not asked for at once",
            59,
            References::NotAsked,
            Step::Wait,
            Some(1),
        ),
        (
            "is asked for after a minute",
            60,
            References::NotAsked,
            asks,
            None,
        ),
        (
            "ends the job",
            60,
            References::Missing(missing),
            could_not_start(missing),
            None,
        ),
        (
            "may be there",
            60,
            References::NoneMissing,
            Step::Wait,
            Some(60),
        ),
    ] {
        let pod = silent(age);
        let decision = decide_with(&job(Pending), Some(&pod), |s| s.references = references);
        assert_eq!(decision.step, step, "a secret {name}");
        let left = left.map(|seconds: i64| now() + seconds.seconds());
        assert_eq!(decision.look_again_at, left, "a secret {name}");
    }
    let plain = stuck(120, "ContainerCreating", "");
    let step = decide(&job(Pending), Some(&plain)).step;
    assert_eq!(step, Step::Wait, "a pod without any is kubelet's work");
}

#[test]
fn a_pod_that_no_node_takes_says_so() {
    let unschedulable = |age| PodView {
        started: None,
        created: Some(ago(age)),
        unschedulable: "0/3 nodes are available: 3 Insufficient cpu.".into(),
        ..pod(Phase::Pending)
    };
    let text = "Waiting: no node takes the pod: 0/3 nodes are available: 3 Insufficient cpu.";
    for (age, step) in [
        (9, Step::Wait),
        (10, describes(text)),
        (300, completes(Error, "Pod scheduling timeout.")),
    ] {
        let step_now = decide(&job(Pending), Some(&unschedulable(age))).step;
        assert_eq!(step_now, step, "after {age} s");
    }
    let told = with_status(job(Pending), |status| status.description = text.into());
    let runs = decide(&told, Some(&pod(Phase::Running)));
    assert_eq!(runs.step, describes("Job triggered."), "until it runs");
}

#[test]
fn without_fail_fast_prows_timeouts_are_the_only_ones() {
    let slow = Settings {
        fail_fast: false,
        ..Settings::default()
    };
    let told = with_status(job(Pending), |status| {
        status.description = "Waiting: x".into()
    });
    for pod in [
        stuck(599, "InvalidImageName", ""),
        stuck(599, "CreateContainerConfigError", "no"),
        pulled(599, 9, "not found"),
        PodView {
            mounts_references: true,
            ..stuck(599, "ContainerCreating", "")
        },
    ] {
        let seen = Observed {
            job: &told,
            pod: Some(&pod),
            cluster: Cluster::Ready,
            superseded_by: None,
            blocked_by: None,
            refused: None,
            delayed: None,
            references: References::NotAsked,
            needs_storage_secret: false,
        };
        let decision = transition(&seen, &slow, now());
        assert_eq!(decision.step, Step::Wait, "{pod:?}");
        assert_eq!(decision.look_again_at, Some(now() + 1.seconds()));
    }
}
