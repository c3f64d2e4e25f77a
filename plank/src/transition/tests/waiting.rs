//! Timeouts, and pods that cannot start.

use jiff::SignedDuration;

use super::*;

#[test]
fn timeouts_fire_at_their_deadline() {
    let unscheduled = |age| PodView {
        started: None,
        created: Some(ago(age)),
        ..pod(PodPhase::Pending)
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
        (
            "unscheduled",
            &plain,
            unscheduled(299),
            TransitionStep::Wait,
            Some(1),
        ),
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
            aged(PodPhase::Pending, 590),
            TransitionStep::Wait,
            Some(10),
        ),
        (
            "pending",
            &plain,
            aged(PodPhase::Pending, 600),
            completes(Error, "Pod pending timeout."),
            None,
        ),
        (
            "running",
            &plain,
            aged(PodPhase::Running, 47 * hours),
            TransitionStep::Wait,
            Some(hours),
        ),
        (
            "running",
            &plain,
            aged(PodPhase::Running, 48 * hours),
            completes(Aborted, "Pod running timeout."),
            None,
        ),
        (
            "the job's own",
            &quick,
            aged(PodPhase::Running, 59),
            TransitionStep::Wait,
            Some(1),
        ),
        (
            "the job's own",
            &quick,
            aged(PodPhase::Running, 60),
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

fn stuck(reason: &str, message: &str) -> PodView {
    PodView {
        started: Some(ago(90)),
        containers: vec![waiting(reason, message)],
        ..pod(PodPhase::Pending)
    }
}

/// The decision when this obstacle has lasted for so long.
fn after(seconds: i64, kind: ObstacleKind, pod: &PodView) -> TransitionDecision {
    let before = sighting(kind, seconds);
    decide_with(&job(Pending), Some(pod), |s| s.before = Some(&before))
}

fn could_not_start(why: &str) -> TransitionStep {
    completes(Error, &format!("Pod could not start: {why}"))
}

#[test]
fn a_pod_that_cannot_start_fails_fast() {
    let detail = "some\n detail";
    let error = |reason| could_not_start(&format!("container test: {reason}: some detail"));
    let says = |reason| describes(&format!("Waiting: container test: {reason}: some detail"));
    for (reason, kind, age, step) in [
        (
            "InvalidImageName",
            ObstacleKind::Hopeless,
            0,
            error("InvalidImageName"),
        ),
        (
            "ErrImageNeverPull",
            ObstacleKind::Hopeless,
            0,
            error("ErrImageNeverPull"),
        ),
        (
            "CreateContainerConfigError",
            ObstacleKind::Missing,
            9,
            TransitionStep::Wait,
        ),
        (
            "CreateContainerConfigError",
            ObstacleKind::Missing,
            59,
            says("CreateContainerConfigError"),
        ),
        (
            "CreateContainerConfigError",
            ObstacleKind::Missing,
            60,
            error("CreateContainerConfigError"),
        ),
        (
            "FailedMount",
            ObstacleKind::Missing,
            60,
            error("FailedMount"),
        ),
        ("ErrImagePull", ObstacleKind::Image, 9, TransitionStep::Wait),
        (
            "ErrImagePull",
            ObstacleKind::Image,
            120,
            says("ErrImagePull"),
        ),
        // A volume is the pod's, whichever container waits for it.
        (
            "ContainerCreating",
            ObstacleKind::Missing,
            60,
            could_not_start("some detail"),
        ),
        // With init containers, as every decorated pod.
        (
            "PodInitializing",
            ObstacleKind::Missing,
            60,
            could_not_start("some detail"),
        ),
    ] {
        let decision = after(age, kind, &stuck(reason, detail));
        assert_eq!(decision.step, step, "{reason} after {age} s");
    }
}

#[test]
fn what_is_in_the_way_counts_from_its_first_sight() {
    // The node accepted the pod 90 s ago.
    let passing = stuck(
        "CreateContainerConfigError",
        "failed to sync secret cache: timed out waiting for the condition",
    );
    let first = decide(&job(Pending), Some(&passing));
    assert_eq!(first.step, TransitionStep::Wait);
    let seen = sighting(ObstacleKind::Missing, 0);
    assert_eq!(first.sighting, Some(seen), "it is remembered");
    assert_eq!(first.look_again_at, Some(now() + 10.seconds()), "to say so");

    let fine = decide_with(&job(Pending), Some(&stuck("ContainerCreating", "")), |s| {
        s.before = first.sighting.as_ref();
    });
    assert_eq!(fine.sighting, None, "and forgotten when it has passed");
    let of_old_run = ObservedObstacle {
        build: "6".into(),
        ..sighting(ObstacleKind::Missing, 600)
    };
    let anew = decide_with(&job(Pending), Some(&passing), |s| {
        s.before = Some(&of_old_run)
    });
    assert_eq!(anew.step, TransitionStep::Wait, "a revival begins anew");
}

#[test]
fn what_is_told_is_told_once_for_each_kind_and_counts_on_after_a_restart() {
    let pod = stuck("FailedMount", "some detail");
    let before = sighting(ObstacleKind::Missing, 20);
    let mut seen = ObservedJob::new(&PENDING, Some(&pod));
    seen.before = Some(&before);
    let TransitionStep::Change(change) =
        decide_next_step(&seen, &TransitionSettings::default(), now()).step
    else {
        panic!("it is told");
    };
    let run = crate::patch::ClaimedRun {
        build_id: String::new(),
        url: String::new(),
    };
    let mut told = serde_json::to_value(&*PENDING).unwrap();
    let patch = crate::patch::merge_patch(&PENDING, &change, &run, now());
    told["metadata"]["annotations"] = patch["metadata"]["annotations"].clone();
    told["status"]["description"] = patch["status"]["description"].clone();
    let told: ProwJob = serde_json::from_value(told).unwrap();
    let persisted = ObservedObstacle::from_annotation(&told);
    assert_eq!(persisted, Some(before), "what a restart reads");

    let decision = decide_with(&told, Some(&pod), |s| s.before = persisted.as_ref());
    assert_eq!(decision.step, TransitionStep::Wait);
    assert_eq!(decision.look_again_at, Some(now() + 40.seconds()));
    let other = PodView {
        unschedulable: "no node".into(),
        containers: Vec::new(),
        ..pod
    };
    let unscheduled = sighting(ObstacleKind::Unscheduled, 20);
    let decision = decide_with(&told, Some(&other), |s| s.before = Some(&unscheduled));
    assert_eq!(
        decision.step,
        describes("Waiting: no node takes the pod: no node")
    );
    let gone = decide(&told, Some(&stuck("ContainerCreating", "")));
    assert_eq!(gone.step, describes("Job triggered."), "it is over");
}

static PENDING: std::sync::LazyLock<ProwJob> = std::sync::LazyLock::new(|| job(Pending));

const MISSING: &str = "rpc error: code = NotFound desc = ref: not found";

/// Simulates the pulls of an image: seconds, reason and message of the pod's status.
fn pulls(course: &[(i64, &str, &str)]) -> Vec<TransitionStep> {
    let mut before = None;
    let mut steps = Vec::new();
    for (at, reason, message) in course {
        let pod = PodView {
            started: Some(now()),
            ..stuck(reason, message)
        };
        let mut seen = ObservedJob::new(&PENDING, Some(&pod));
        seen.before = before.as_ref();
        let decision =
            decide_next_step(&seen, &TransitionSettings::default(), now() + at.seconds());
        before = decision.sighting.clone();
        steps.push(bare(decision).step);
    }
    steps
}

#[test]
fn an_image_is_given_up_after_two_refusals_half_a_minute_apart() {
    let backs_off = "Back-off pulling image";
    let fails =
        |reason, error: &str| could_not_start(&format!("container test: {reason}: {error}"));
    let denied = "denied: Your authorization token has expired.";
    let outage = "dial tcp: i/o timeout";
    for (name, course, step) in [
        (
            "29 s apart are one",
            vec![
                (0, "ErrImagePull", MISSING),
                (10, "ImagePullBackOff", backs_off),
                (29, "ErrImagePull", MISSING),
            ],
            describes(&format!("Waiting: container test: ErrImagePull: {MISSING}")),
        ),
        (
            "30 s apart are two",
            vec![
                (0, "ErrImagePull", MISSING),
                (10, "ImagePullBackOff", backs_off),
                (30, "ErrImagePull", MISSING),
            ],
            fails("ErrImagePull", MISSING),
        ),
        (
            "for want of access",
            vec![
                (0, "ErrImagePull", denied),
                (10, "ImagePullBackOff", backs_off),
                (40, "ErrImagePull", denied),
            ],
            fails("ErrImagePull", denied),
        ),
        (
            "the same one, seen for long",
            vec![(0, "ErrImagePull", MISSING), (40, "ErrImagePull", MISSING)],
            describes(&format!("Waiting: container test: ErrImagePull: {MISSING}")),
        ),
        (
            "what is said while it waits is the registry's word, not the kubelet's",
            vec![
                (0, "ErrImagePull", MISSING),
                (12, "ImagePullBackOff", backs_off),
            ],
            describes(&format!(
                "Waiting: container test: ImagePullBackOff: {MISSING}"
            )),
        ),
        (
            "a passing answer, then an outage",
            vec![
                (0, "ErrImagePull", denied),
                (40, "ErrImagePull", outage),
                (170, "ImagePullBackOff", backs_off),
            ],
            describes(&format!(
                "Waiting: container test: ImagePullBackOff: {denied}"
            )),
        ),
        (
            "the second was never seen, within three minutes",
            vec![
                (0, "ErrImagePull", MISSING),
                (150, "ImagePullBackOff", MISSING),
            ],
            fails("ImagePullBackOff", MISSING),
        ),
        (
            "an outage is waited out",
            vec![
                (0, "ErrImagePull", outage),
                (300, "ImagePullBackOff", outage),
            ],
            describes(&format!(
                "Waiting: container test: ImagePullBackOff: {outage}"
            )),
        ),
    ] {
        assert_eq!(pulls(&course).pop(), Some(step), "{name}");
    }
}

#[test]
fn a_secret_that_only_events_tell_of() {
    let silent = |age| PodView {
        mounts_references: true,
        started: Some(ago(age)),
        ..stuck("ContainerCreating", "")
    };
    let asks = TransitionStep::ReadEvents {
        pod_uid: "uid".into(),
    };
    let message = r#"MountVolume.SetUp failed for volume "v" : secret "s" not found"#;
    let missing = |seconds| ReferenceCheck::Missing {
        message,
        since: Some(ago(seconds)),
    };
    for (name, age, references, step, left) in [
        (
            "is not asked for at once",
            59,
            ReferenceCheck::NotAsked,
            TransitionStep::Wait,
            Some(1),
        ),
        (
            "is asked for after a minute",
            60,
            ReferenceCheck::NotAsked,
            asks,
            Some(540),
        ),
        (
            "ends the job",
            60,
            missing(60),
            could_not_start(message),
            None,
        ),
        (
            "has its own minute",
            100,
            missing(20),
            TransitionStep::Wait,
            Some(40),
        ),
        (
            "may be there",
            60,
            ReferenceCheck::NoneMissing,
            TransitionStep::Wait,
            Some(60),
        ),
    ] {
        let pod = silent(age);
        let decision = decide_with(&job(Pending), Some(&pod), |s| s.references = references);
        assert_eq!(decision.step, step, "a secret {name}");
        let left = left.map(|seconds: i64| now() + seconds.seconds());
        assert_eq!(decision.look_again_at, left, "a secret {name}");
    }
    let plain = stuck("ContainerCreating", "");
    let step = decide(&job(Pending), Some(&plain)).step;
    assert_eq!(
        step,
        TransitionStep::Wait,
        "a pod without any is kubelet's work"
    );
}

#[test]
fn a_pod_that_no_node_takes_says_so() {
    let unschedulable = |age| PodView {
        started: None,
        created: Some(ago(age)),
        unschedulable: "0/3 nodes are available: 3 Insufficient cpu.".into(),
        ..pod(PodPhase::Pending)
    };
    let text = "Waiting: no node takes the pod: 0/3 nodes are available: 3 Insufficient cpu.";
    let late = "Pod scheduling timeout. No node takes the pod: 0/3 nodes are available: 3 \
                Insufficient cpu.";
    for (age, step) in [
        (9, TransitionStep::Wait),
        (10, describes(text)),
        (300, completes(Error, late)),
    ] {
        let step_now = after(age, ObstacleKind::Unscheduled, &unschedulable(age)).step;
        assert_eq!(step_now, step, "after {age} s");
    }
    let told = with_status(job(Pending), |status| status.description = text.into());
    let runs = decide(&told, Some(&pod(PodPhase::Running)));
    assert_eq!(runs.step, describes("Job triggered."), "until it runs");
}

#[test]
fn without_fail_fast_prows_timeouts_are_the_only_ones() {
    let slow = TransitionSettings {
        fail_fast: false,
        ..TransitionSettings::default()
    };
    for pod in [
        stuck("InvalidImageName", ""),
        stuck("CreateContainerConfigError", "no"),
        stuck("ErrImagePull", "not found"),
        PodView {
            mounts_references: true,
            ..stuck("ContainerCreating", "")
        },
    ] {
        let pod = PodView {
            started: Some(ago(599)),
            ..pod
        };
        let decision = decide_next_step(&ObservedJob::new(&PENDING, Some(&pod)), &slow, now());
        assert_eq!(decision.step, TransitionStep::Wait, "{pod:?}");
        assert_eq!(decision.look_again_at, Some(now() + 1.seconds()));
    }
}
