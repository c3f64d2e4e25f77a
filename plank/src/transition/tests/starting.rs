//! From triggered to a pod of its own.

use common::kube::{ClusterObstacle, ClusterPermission, MissingPermission};

use super::*;

#[test]
fn a_triggered_job() {
    let adopted = TransitionStep::Change(ProwJobChange::Claim {
        build_id: Some("7".into()),
    });
    let mut foreign = pod(PodPhase::Running);
    foreign.job = None;
    let taken =
        "Pod can not be created: a pod named pj that was not made for this run already exists";
    for (name, decision, step) in [
        (
            "is claimed before it has a pod",
            decide(&job(Triggered), None),
            claims(),
        ),
        (
            "with a pod of its own adopts it with its build id",
            decide(&job(Triggered), Some(&pod(PodPhase::Running))),
            adopted,
        ),
        (
            "does not adopt somebody else's pod",
            decide(&job(Triggered), Some(&foreign)),
            completes(Error, taken),
        ),
        (
            "for an unknown cluster is an error",
            decide_with(&job(Triggered), None, |s| {
                s.cluster = ClusterReadiness::Unknown
            }),
            completes(
                Error,
                "Terminal error: no client for build cluster \"default\".",
            ),
        ),
        (
            "for a cluster that is not listed yet waits",
            decide_with(&job(Triggered), None, |s| {
                s.cluster = ClusterReadiness::Unready(ago(9))
            }),
            TransitionStep::Wait,
        ),
        (
            "for a cluster that does not answer says so",
            decide_with(&job(Triggered), None, |s| {
                s.cluster = ClusterReadiness::Unready(ago(15))
            }),
            describes("Waiting: build cluster default does not answer."),
        ),
        (
            "that is superseded never starts, even when its cluster is away",
            decide_with(&job(Triggered), None, |s| {
                s.superseded_by = Some("newer");
                s.cluster = ClusterReadiness::Unready(now());
            }),
            supersedes(),
        ),
    ] {
        assert_eq!(decision.step, step, "a triggered job {name}");
    }
}

#[test]
fn a_triggered_job_says_which_slot_it_waits_for() {
    let free = job(Triggered);
    let mut queued = job(Triggered);
    queued.spec.job_queue_name = "big".into();
    for (job, limit, description) in [
        (
            &free,
            ReachedLimit::Global,
            "Waiting: plank.max_concurrency is reached.",
        ),
        (
            &free,
            ReachedLimit::Job,
            "Waiting: max_concurrency of job unit is reached.",
        ),
        (
            &queued,
            ReachedLimit::Queue,
            "Waiting: job queue big is full.",
        ),
        (
            &queued,
            ReachedLimit::UnknownQueue,
            "Waiting: job queue big is not in plank.job_queue_capacities.",
        ),
        (
            &free,
            ReachedLimit::Cluster,
            "Waiting: build cluster default is full.",
        ),
    ] {
        let wait = |job: &ProwJob| {
            decide_with(job, None, |s| s.start = StartPermission::Waits(limit)).step
        };
        assert_eq!(wait(job), describes(description));
        // It says it once.
        let described = with_status(job.clone(), |status| {
            status.description = description.into();
        });
        assert_eq!(wait(&described), TransitionStep::Wait);
    }
}

#[test]
fn a_job_of_a_cluster_without_a_right_says_which() {
    let missing = MissingPermission {
        right: ClusterPermission::essential("", "pods", &["create"]),
        verbs: vec!["create"],
        namespace: "test-pods".into(),
    };
    let forbidden = ClusterObstacle::Forbidden(vec![missing]);
    for (seconds, step) in [
        (14, TransitionStep::Wait),
        (
            15,
            describes(
                "Waiting: build cluster default cannot be used: plank may not create pods in namespace test-pods.",
            ),
        ),
    ] {
        let decision = decide_with(&job(Triggered), None, |s| {
            s.cluster = ClusterReadiness::Unready(ago(seconds));
            s.cluster_obstacle = Some(&forbidden);
        });
        assert_eq!(decision.step, step, "after {seconds} s");
    }
}

#[test]
fn a_pending_job_without_its_pod() {
    let unnumbered = with_status(job(Pending), |status| status.build_id.clear());
    let short = sighting(ObstacleKind::Delayed, 599);
    let long = sighting(ObstacleKind::Delayed, 600);
    // Of the first start: a revival has a time limit of its own.
    let revived = with_status(job(Pending), |status| {
        status.pending_time = Some(Time(ago(5000)));
        status.pod_revival_count = 1;
    });
    let quota = "exceeded quota: q";
    for (name, decision, step) in [
        (
            "gets exactly the pod it claimed",
            decide(&job(Pending), None),
            TransitionStep::CreatePod,
        ),
        (
            "but no build id is claimed anew",
            decide(&unnumbered, None),
            claims(),
        ),
        (
            "whose pod is refused for good is an error",
            decide_with(&job(Pending), None, |s| {
                s.refused = Some("spec.x: Invalid\n value")
            }),
            completes(Error, "Pod can not be created: spec.x: Invalid value"),
        ),
        (
            "whose pod is not taken now says so",
            decide_with(&job(Pending), None, |s| {
                s.delayed = Some(quota);
                s.before = Some(&short);
            }),
            describes("Waiting: the pod is not taken: exceeded quota: q"),
        ),
        (
            "whose revival is not taken has patience of its own",
            decide_with(&revived, None, |s| s.delayed = Some(quota)),
            describes("Waiting: the pod is not taken: exceeded quota: q"),
        ),
        (
            "whose pod is not taken until pod_pending_timeout is an error",
            decide_with(&job(Pending), None, |s| {
                s.delayed = Some(quota);
                s.before = Some(&long);
            }),
            completes(Error, "Pod can not be created: exceeded quota: q"),
        ),
        (
            "in an unknown cluster is an error",
            decide_with(&job(Pending), None, |s| {
                s.cluster = ClusterReadiness::Unknown
            }),
            completes(
                Error,
                "Terminal error: no client for build cluster \"default\".",
            ),
        ),
        (
            "that is superseded is aborted",
            decide_with(&job(Pending), None, |s| s.superseded_by = Some("newer")),
            supersedes(),
        ),
    ] {
        assert_eq!(decision.step, step, "a pending job without its pod {name}");
    }
}

#[test]
fn a_pod_of_another_build() {
    let old = PodView {
        build_id: Some("6".into()),
        ..pod(PodPhase::Running)
    };
    let ending = PodView {
        deleting: Some(now()),
        ..old.clone()
    };
    let lost = PodView {
        deleting: Some(ago(35)),
        ..old.clone()
    };
    let revived = with_status(job(Pending), |status| status.pod_revival_count = 1);
    let never = "Job pod was stopped unexpectedly, and its node never confirms that it is gone: run it again";
    let taken =
        "Pod can not be created: a pod named pj that was not made for this run already exists";
    for (name, job, pod, step) in [
        (
            "is deleted when the job was revived",
            &revived,
            &old,
            replaces(false, false),
        ),
        (
            "is waited for while it ends",
            &revived,
            &ending,
            TransitionStep::Wait,
        ),
        (
            "that never ends is not waited for any longer",
            &revived,
            &lost,
            completes(Error, never),
        ),
        (
            "is nobody's otherwise",
            &job(Pending),
            &old,
            completes(Error, taken),
        ),
    ] {
        assert_eq!(
            decide(job, Some(pod)).step,
            step,
            "a pod of another build {name}"
        );
    }
}

#[test]
fn what_is_not_planks_is_left_alone() {
    let mut jenkins = job(Triggered);
    jenkins.spec.agent = ProwJobAgent("jenkins".into());
    assert_eq!(decide(&jenkins, None).step, TransitionStep::Wait);
    for state in [Success, Failure, Error] {
        assert_eq!(
            decide(&job(state), None).step,
            TransitionStep::Wait,
            "{state}"
        );
    }
}

#[test]
fn a_pod_gets_its_storage_secret_while_it_can_use_it() {
    let secret = TransitionStep::CreateToken {
        pod_uid: "uid".into(),
    };
    for (phase, step) in [
        (PodPhase::Pending, secret),
        (PodPhase::Running, TransitionStep::Wait),
        (PodPhase::Failed, completes(Failure, "Job failed.")),
    ] {
        let decision = decide_with(&job(Pending), Some(&pod(phase)), |s| {
            s.token = StorageTokenState::Missing;
        });
        assert_eq!(decision.step, step, "{phase:?}");
    }
}

#[test]
fn each_controller_moves_its_own_states_on() {
    let off = |plank, scheduler| TransitionSettings {
        controllers: EnabledControllers { plank, scheduler },
        ..TransitionSettings::default()
    };
    let step = |job: &ProwJob, settings: &TransitionSettings| {
        let seen = ObservedJob::new(job, None);
        decide_next_step(&seen, settings, now()).step
    };
    let mut jenkins = job(Scheduling);
    jenkins.spec.agent = ProwJobAgent("jenkins".into());
    for (name, job, settings, expected) in [
        (
            "scheduler",
            job(Scheduling),
            off(false, true),
            TransitionStep::Schedule,
        ),
        (
            "scheduler, any agent",
            jenkins,
            off(false, true),
            TransitionStep::Schedule,
        ),
        (
            "plank alone",
            job(Scheduling),
            off(true, false),
            TransitionStep::Wait,
        ),
        (
            "scheduler alone",
            job(Triggered),
            off(false, true),
            TransitionStep::Wait,
        ),
        (
            "scheduler alone, and an aborted job",
            job(Aborted),
            off(false, true),
            TransitionStep::Wait,
        ),
        ("plank", job(Triggered), off(true, false), claims()),
    ] {
        assert_eq!(step(&job, &settings), expected, "{name}");
    }
}
