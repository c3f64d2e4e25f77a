//! A pod that ended, or was ended.

use super::*;

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn a_pod_that_ended_by_itself() {
    let mut good = pod(PodPhase::Succeeded);
    good.containers = vec![ended(0, "Completed"), ended(0, "Completed")];
    let mut unfinished = pod(PodPhase::Succeeded);
    unfinished.containers = vec![ended(0, "Completed"), container(ContainerState::Running)];
    let mut failed = pod(PodPhase::Failed);
    failed.containers = vec![ended(1, "Error")];
    let mut deleting = good.clone();
    deleting.deleting = Some(now());
    let mut rejected = pod(PodPhase::Failed);
    rejected.reason = "OutOfcpu".into();
    rejected.message = "Node didn't have enough resource: cpu".into();
    let mut late = failed.clone();
    late.reason = "DeadlineExceeded".into();
    let mut disrupted = good.clone();
    disrupted.disruption = Some("TerminationByKubelet".into());
    let mut oom = pod(PodPhase::Failed);
    oom.containers = vec![ended(137, "OOMKilled")];
    oom.containers[0].memory_limit = "512Mi".into();
    let mut no_program = pod(PodPhase::Failed);
    no_program.containers = vec![container(ContainerState::Refused {
        reason: "StartError".into(),
        message: "no such file: nope".into(),
    })];
    let failed_init = |name: &str, said: &str| PodView {
        failed_init: Some(FailedInit {
            name: name.into(),
            exit_code: 3,
            said: said.into(),
        }),
        ..pod(PodPhase::Failed)
    };
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
            completes(
                Failure,
                "Job failed. Container test ended with exit code 1.",
            ),
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
            "without its program ever started is an error that says why",
            no_program,
            completes(
                Error,
                "Pod could not start: container test: StartError: no such file: nope",
            ),
        ),
        (
            "after its deadline is a failure that names it",
            late,
            completes(
                Failure,
                "Job failed: its pod ran longer than activeDeadlineSeconds (DeadlineExceeded).",
            ),
        ),
        (
            "after an OOM is a failure that names it",
            oom,
            completes(
                Failure,
                "Job failed: Container test ran out of memory (limit 512Mi): raise \
                 its memory limit.",
            ),
        ),
        (
            "in an init container names it",
            failed_init("setup", ""),
            completes(
                Failure,
                "Job failed in init container setup: it ended with exit code 3.",
            ),
        ),
        (
            "in a pod utility has its words",
            failed_init("initupload", "conflict in a with main: rebase #7"),
            completes(
                Failure,
                "Job failed in initupload: conflict in a with main: rebase #7",
            ),
        ),
        (
            "well before the cluster could end it is a success",
            disrupted,
            completes(Success, "Job succeeded."),
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
#[expect(clippy::too_many_lines, reason = "one table")]
fn a_pod_that_the_cluster_stopped() {
    let revives = TransitionStep::Change(ProwJobChange::Revive);
    let stopped = |phase, reason: &str| PodView {
        reason: reason.into(),
        ..pod(phase)
    };
    let revived = |count| with_status(job(Pending), |status| status.pod_revival_count = count);
    let mut strict = job(Pending);
    strict.spec.error_on_eviction = true;
    let mut lost = stopped(PodPhase::Running, "NodeLost");
    lost.deleting = Some(now());
    let mut oom = pod(PodPhase::Running);
    oom.containers = vec![ended(137, "OOMKilled"), container(ContainerState::Running)];
    oom.containers[0].memory_limit = "512Mi".into();
    let disrupted = |phase, reason: &str| PodView {
        disruption: Some(reason.into()),
        ..pod(phase)
    };
    let mut preempted = disrupted(PodPhase::Running, "PreemptionByScheduler");
    preempted.deleting = Some(now());
    let too_often = "Job pod reached max revivals (3) after being stopped unexpectedly (evicted)";
    for (name, job, pod, step) in [
        (
            "by eviction is revived",
            revived(0),
            stopped(PodPhase::Failed, "Evicted"),
            revives.clone(),
        ),
        (
            "a third time is revived",
            revived(2),
            stopped(PodPhase::Failed, "Evicted"),
            revives.clone(),
        ),
        (
            "once too often is an error",
            revived(3),
            stopped(PodPhase::Failed, "Evicted"),
            completes(Error, too_often),
        ),
        (
            "by eviction, where the job forbids it, is an error",
            strict,
            stopped(PodPhase::Failed, "Evicted"),
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
            stopped(PodPhase::Failed, "NodeLost"),
            revives.clone(),
        ),
        (
            "for unknown reasons is revived",
            revived(0),
            pod(PodPhase::Unknown),
            revives.clone(),
        ),
        (
            "by preemption is revived",
            revived(0),
            preempted,
            revives.clone(),
        ),
        (
            "by the kubelet's preemption is revived",
            revived(0),
            stopped(PodPhase::Failed, "Preempting"),
            revives.clone(),
        ),
        (
            "by the shutdown of its node is revived",
            revived(0),
            stopped(PodPhase::Failed, "Terminated"),
            revives.clone(),
        ),
        (
            "by a drain of its node is revived",
            revived(0),
            disrupted(PodPhase::Failed, "EvictionByEvictionAPI"),
            revives.clone(),
        ),
        (
            "with a node that is gone is revived",
            revived(0),
            disrupted(PodPhase::Failed, "DeletionByPodGC"),
            revives,
        ),
        (
            "only by announcement goes on",
            revived(0),
            disrupted(PodPhase::Running, "DeletionByTaintManager"),
            TransitionStep::Wait,
        ),
        (
            "for memory is an error",
            revived(0),
            oom,
            completes(
                Error,
                "Container test ran out of memory (limit 512Mi): raise its \
                 memory limit.",
            ),
        ),
    ] {
        assert_eq!(decide(&job, Some(&pod)).step, step, "a pod stopped {name}");
    }
}

#[test]
fn an_eviction_is_told_with_the_kubelets_reason() {
    let evicted = PodView {
        reason: "Evicted".into(),
        message: "Usage of EmptyDir volume \"scratch\" exceeds the limit \"10Mi\". ".into(),
        ..pod(PodPhase::Failed)
    };
    let revived = with_status(job(Pending), |status| status.pod_revival_count = 3);
    let mut strict = job(Pending);
    strict.spec.error_on_eviction = true;
    let why = "Usage of EmptyDir volume \"scratch\" exceeds the limit \"10Mi\".";
    for (job, text) in [
        (
            revived,
            format!(
                "Job pod reached max revivals (3) after being stopped unexpectedly (evicted: {why})"
            ),
        ),
        (strict, format!("Job pod was evicted by the cluster: {why}")),
    ] {
        let step = decide(&job, Some(&evicted)).step;
        assert_eq!(step, completes(Error, &text));
    }
}

#[test]
fn a_pod_that_somebody_deletes() {
    for phase in [PodPhase::Pending, PodPhase::Running, PodPhase::Unset] {
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
