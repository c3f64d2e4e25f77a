//! The rows of Prow's transition table, and what we decide differently, each by name.

use common::prowjob::{
    DecorationConfig, ProwJob, ProwJobAgent, ProwJobState, ProwJobStatus, ProwJobType,
};
use jiff::{SignedDuration, Timestamp, ToSpan};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;
use crate::pod_view::{ContainerState, ContainerView};

const NOW: &str = "2026-08-01T12:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn ago(seconds: i64) -> Timestamp {
    now() - seconds.seconds()
}

fn job(state: ProwJobState) -> ProwJob {
    let mut job = ProwJob::new("pj", Default::default());
    job.spec.agent = ProwJobAgent::kubernetes();
    job.spec.job_type = ProwJobType::Presubmit;
    job.spec.job = "unit".into();
    job.status = Some(ProwJobStatus {
        state,
        build_id: "7".into(),
        pod_name: "pj".into(),
        ..ProwJobStatus::default()
    });
    if state == ProwJobState::Triggered {
        job.status = Some(ProwJobStatus::default());
    }
    job
}

fn with_status(mut job: ProwJob, edit: impl FnOnce(&mut ProwJobStatus)) -> ProwJob {
    edit(job.status.as_mut().unwrap());
    job
}

fn complete_job(state: ProwJobState) -> ProwJob {
    with_status(job(state), |status| {
        status.completion_time = Some(Time(now()))
    })
}

fn pod(phase: Phase) -> PodView {
    PodView {
        name: "pj".into(),
        uid: "uid".into(),
        job: Some("pj".into()),
        build_id: Some("7".into()),
        phase,
        created: Some(ago(10)),
        started: Some(ago(10)),
        ..PodView::default()
    }
}

fn container(state: ContainerState) -> ContainerView {
    ContainerView {
        name: "test".into(),
        state,
        ran_before: false,
    }
}

fn ended(exit_code: i32, reason: &str) -> ContainerView {
    container(ContainerState::Terminated {
        reason: reason.into(),
        exit_code,
        finished: true,
    })
}

fn waiting(reason: &str, message: &str) -> ContainerView {
    container(ContainerState::Waiting {
        reason: reason.into(),
        message: message.into(),
    })
}

fn decide_with(
    job: &ProwJob,
    pod: Option<&PodView>,
    edit: impl FnOnce(&mut Observed<'_>),
) -> Decision {
    let mut seen = Observed {
        job,
        pod,
        cluster: Cluster::Ready,
        superseded_by: None,
        blocked_by: None,
        refused: None,
        needs_storage_secret: false,
    };
    edit(&mut seen);
    transition(&seen, &Settings::default(), now())
}

fn decide(job: &ProwJob, pod: Option<&PodView>) -> Decision {
    decide_with(job, pod, |_| {})
}

fn completes(state: ProwJobState, description: &str) -> Step {
    Step::Change(Change::Complete {
        state,
        description: Some(description.into()),
    })
}

fn deletes() -> Step {
    Step::DeletePod {
        uid: "uid".into(),
        has_report_finalizer: false,
    }
}

fn claims() -> Step {
    Step::Change(Change::Claim { build_id: None })
}

use ProwJobState::{Aborted, Error, Failure, Pending, Scheduling, Success, Triggered};

#[test]
fn a_triggered_job() {
    let adopted = Step::Change(Change::Claim {
        build_id: Some("7".into()),
    });
    let mut foreign = pod(Phase::Running);
    foreign.job = None;
    let mut queued = job(Triggered);
    queued.spec.job_queue_name = "big".into();
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
            decide(&job(Triggered), Some(&pod(Phase::Running))),
            adopted,
        ),
        (
            "does not adopt somebody else's pod",
            decide(&job(Triggered), Some(&foreign)),
            completes(Error, taken),
        ),
        (
            "waits for a global slot",
            decide_with(&job(Triggered), None, |s| {
                s.blocked_by = Some(Limit::Global)
            }),
            Step::Wait,
        ),
        (
            "waits for a slot of its job",
            decide_with(&job(Triggered), None, |s| s.blocked_by = Some(Limit::Job)),
            Step::Wait,
        ),
        (
            "for an unknown cluster is an error",
            decide_with(&job(Triggered), None, |s| s.cluster = Cluster::Unknown),
            completes(
                Error,
                "Terminal error: no client for build cluster \"default\".",
            ),
        ),
        (
            "for a cluster that is not listed yet waits",
            decide_with(&job(Triggered), None, |s| s.cluster = Cluster::Unready),
            Step::Wait,
        ),
        (
            "that is superseded never starts, even when its cluster is away",
            decide_with(&job(Triggered), None, |s| {
                s.superseded_by = Some("newer");
                s.cluster = Cluster::Unready;
            }),
            Step::Change(Change::Supersede),
        ),
        (
            "with a job queue says that there are none",
            decide(&queued, None),
            completes(
                Error,
                "Pod can not be created: job queues are not built yet (job_queue_name \"big\")",
            ),
        ),
    ] {
        assert_eq!(decision.step, step, "a triggered job {name}");
    }
}

#[test]
fn a_pending_job_without_its_pod() {
    let unnumbered = with_status(job(Pending), |status| status.build_id.clear());
    for (name, decision, step) in [
        (
            "gets exactly the pod it claimed",
            decide(&job(Pending), None),
            Step::CreatePod,
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
            "in an unknown cluster is an error",
            decide_with(&job(Pending), None, |s| s.cluster = Cluster::Unknown),
            completes(
                Error,
                "Terminal error: no client for build cluster \"default\".",
            ),
        ),
        (
            "that is superseded is aborted",
            decide_with(&job(Pending), None, |s| s.superseded_by = Some("newer")),
            Step::Change(Change::Supersede),
        ),
    ] {
        assert_eq!(decision.step, step, "a pending job without its pod {name}");
    }
}

#[test]
fn a_pod_that_ended_by_itself() {
    let mut good = pod(Phase::Succeeded);
    good.containers = vec![ended(0, "Completed"), ended(0, "Completed")];
    let mut unfinished = pod(Phase::Succeeded);
    unfinished.containers = vec![ended(0, "Completed"), container(ContainerState::Running)];
    let mut failed = pod(Phase::Failed);
    failed.containers = vec![ended(1, "Error")];
    let mut deleting = good.clone();
    deleting.deleting = Some(now());
    let mut rejected = pod(Phase::Failed);
    rejected.reason = "OutOfcpu".into();
    rejected.message = "Node didn't have enough resource: cpu".into();
    let mut shutdown = failed.clone();
    shutdown.reason = "NodeShutdown".into();
    let mut oom = pod(Phase::Failed);
    oom.containers = vec![ended(137, "OOMKilled")];
    let unclear = "Pod was in succeeded phase but some containers didn't finish";
    for (name, pod, step) in [
        (
            "with 0 is a success",
            good,
            completes(Success, "Job succeeded."),
        ),
        (
            "with unfinished containers is an error",
            unfinished,
            completes(Error, unclear),
        ),
        (
            "with 1 is a failure",
            failed,
            completes(Failure, "Job failed."),
        ),
        (
            "while being deleted is judged by its phase",
            deleting,
            completes(Success, "Job succeeded."),
        ),
        (
            "before any container started is an error that says why",
            rejected,
            completes(
                Error,
                "Pod could not start: OutOfcpu: Node didn't have enough resource: cpu",
            ),
        ),
        (
            "on a node that shut down is a failure",
            shutdown,
            completes(Failure, "Job failed."),
        ),
        (
            "after an OOM is a failure",
            oom,
            completes(Failure, "Job failed."),
        ),
    ] {
        assert_eq!(
            decide(&job(Pending), Some(&pod)).step,
            step,
            "a pod that ended {name}"
        );
    }
}

#[test]
fn a_pod_that_the_cluster_stopped() {
    let revives = Step::Change(Change::Revive);
    let stopped = |phase, reason: &str| PodView {
        reason: reason.into(),
        ..pod(phase)
    };
    let revived = |count| with_status(job(Pending), |status| status.pod_revival_count = count);
    let mut strict = job(Pending);
    strict.spec.error_on_eviction = true;
    let mut lost = stopped(Phase::Running, "NodeLost");
    lost.deleting = Some(now());
    let mut oom = pod(Phase::Running);
    oom.containers = vec![ended(137, "OOMKilled"), container(ContainerState::Running)];
    let too_often = "Job pod reached max revivals (3) after being stopped unexpectedly (evicted)";
    for (name, job, pod, step) in [
        (
            "by eviction is revived",
            revived(0),
            stopped(Phase::Failed, "Evicted"),
            revives.clone(),
        ),
        (
            "a third time is revived",
            revived(2),
            stopped(Phase::Failed, "Evicted"),
            revives.clone(),
        ),
        (
            "once too often is an error",
            revived(3),
            stopped(Phase::Failed, "Evicted"),
            completes(Error, too_often),
        ),
        (
            "by eviction, where the job forbids it, is an error",
            strict,
            stopped(Phase::Failed, "Evicted"),
            completes(Error, "Job pod was evicted by the cluster."),
        ),
        (
            "with its node and is being deleted is revived",
            revived(0),
            lost,
            revives.clone(),
        ),
        (
            "with its node, as the pod runner says, is revived",
            revived(0),
            stopped(Phase::Failed, "NodeLost"),
            revives.clone(),
        ),
        (
            "for unknown reasons is revived",
            revived(0),
            pod(Phase::Unknown),
            revives,
        ),
        (
            "for memory is an error",
            revived(0),
            oom,
            completes(Error, "Job pod was OOM killed by the cluster."),
        ),
    ] {
        assert_eq!(decide(&job, Some(&pod)).step, step, "a pod stopped {name}");
    }
}

#[test]
fn a_pod_of_another_build() {
    let old = PodView {
        build_id: Some("6".into()),
        ..pod(Phase::Running)
    };
    let ending = PodView {
        deleting: Some(now()),
        ..old.clone()
    };
    let revived = with_status(job(Pending), |status| status.pod_revival_count = 1);
    let taken =
        "Pod can not be created: a pod named pj that was not made for this run already exists";
    for (name, job, pod, step) in [
        (
            "is deleted when the job was revived",
            &revived,
            &old,
            deletes(),
        ),
        ("is waited for while it ends", &revived, &ending, Step::Wait),
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

#[test]
fn a_pod_that_somebody_deletes() {
    for phase in [Phase::Pending, Phase::Running, Phase::Unset] {
        let pod = PodView {
            deleting: Some(now()),
            ..pod(phase)
        };
        assert_eq!(
            decide(&job(Pending), Some(&pod)).step,
            completes(Error, "Pod got deleted unexpectedly"),
            "{phase:?}"
        );
    }
}

#[test]
fn an_aborted_job() {
    let running = pod(Phase::Running);
    let ending = PodView {
        deleting: Some(ago(59)),
        ..running.clone()
    };
    let lost = PodView {
        deleting: Some(ago(60)),
        ..running.clone()
    };
    let foreign = PodView {
        job: None,
        ..running.clone()
    };
    let completed = Step::Change(Change::Complete {
        state: Aborted,
        description: None,
    });
    for (name, pod, step) in [
        ("ends its pod, by its UID", Some(&running), deletes()),
        ("waits for the pod to end", Some(&ending), Step::Wait),
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
            Phase::Pending,
            Phase::Running,
            Phase::Succeeded,
            Phase::Failed,
        ] {
            let decision = decide(&complete_job(state), Some(&pod(phase)));
            assert!(
                !matches!(decision.step, Step::Change(_)),
                "{state} {phase:?}"
            );
        }
    }
    for (name, state, phase, step) in [
        (
            "a running timeout's pod is deleted",
            Aborted,
            Phase::Running,
            deletes(),
        ),
        (
            "a pending timeout's pod is deleted",
            Error,
            Phase::Pending,
            deletes(),
        ),
        (
            "after an OOM the sidecar goes on uploading",
            Error,
            Phase::Running,
            Step::Wait,
        ),
        (
            "an ended pod is sinker's",
            Aborted,
            Phase::Failed,
            Step::Wait,
        ),
    ] {
        assert_eq!(
            decide(&complete_job(state), Some(&pod(phase))).step,
            step,
            "{name}"
        );
    }
}

#[test]
fn what_is_not_planks_is_left_alone() {
    let mut jenkins = job(Triggered);
    jenkins.spec.agent = ProwJobAgent("jenkins".into());
    assert_eq!(decide(&jenkins, None).step, Step::Wait);
    for state in [Scheduling, Success, Failure, Error] {
        assert_eq!(decide(&job(state), None).step, Step::Wait, "{state}");
    }
}

#[test]
fn a_pod_gets_its_storage_secret_while_it_can_use_it() {
    let secret = Step::CreateStorageSecret {
        pod_uid: "uid".into(),
    };
    for (phase, step) in [
        (Phase::Pending, secret.clone()),
        (Phase::Running, secret),
        (Phase::Failed, completes(Failure, "Job failed.")),
    ] {
        let decision = decide_with(&job(Pending), Some(&pod(phase)), |s| {
            s.needs_storage_secret = true;
        });
        assert_eq!(decision.step, step, "{phase:?}");
    }
}
