//! Containers that ended without a marker for their sidecar, and the text for each end.

use super::*;

fn decorated() -> ProwJob {
    let mut job = job(Pending);
    job.spec.decoration_config = Some(DecorationConfig::default());
    job
}

fn exited(name: &str, exit_code: i32, reason: &str, seconds: i64) -> ContainerView {
    ContainerView {
        name: name.into(),
        state: ContainerState::Terminated {
            reason: reason.into(),
            exit_code,
            finished: Some(ago(seconds)),
        },
        memory_limit: "512Mi".into(),
        ..ContainerView::default()
    }
}

fn marked(container: ContainerView) -> ContainerView {
    ContainerView {
        is_marked: true,
        ..container
    }
}

fn runs(name: &str) -> ContainerView {
    ContainerView {
        name: name.into(),
        state: ContainerState::Running,
        ..ContainerView::default()
    }
}

fn refused(name: &str) -> ContainerView {
    ContainerView {
        state: ContainerState::Refused {
            reason: "StartError".into(),
            message: "no such file: nope".into(),
        },
        ..runs(name)
    }
}

fn with(phase: PodPhase, containers: Vec<ContainerView>) -> PodView {
    PodView {
        containers,
        ..pod(phase)
    }
}

const OOM: &str = "Container test ran out of memory (limit 512Mi): raise its memory limit.";
const KILLED: &str = "Container test was killed (SIGKILL, exit code 137): by the job, or for \
                      memory of its node.";

#[test]
fn a_container_that_ended_without_its_marker_ends_the_run() {
    let not_found = "Container test ended with exit code 127: check its command, its image and \
                     ENTRYPOINT_OPTIONS.";
    let no_sidecar = "Container sidecar was killed (SIGKILL, exit code 137): by the job, or for \
                      memory of its node. The log and the artifacts of this \
                      run can not be stored.";
    let start = "Pod could not start: container test: StartError: no such file: nope";
    let test = |exit_code, reason, seconds| {
        vec![exited("test", exit_code, reason, seconds), runs("sidecar")]
    };
    for (name, containers, step) in [
        (
            "out of memory, at once",
            test(137, "OOMKilled", 0),
            completes(Error, OOM),
        ),
        (
            "that never started, at once",
            vec![refused("test"), runs("sidecar")],
            completes(Error, start),
        ),
        (
            "killed, when its sidecar did not end for it",
            test(137, "Error", 45),
            completes(Error, KILLED),
        ),
        (
            "killed just now",
            test(137, "Error", 44),
            TransitionStep::Wait,
        ),
        (
            "whose options entrypoint could not read",
            test(127, "Error", 45),
            completes(Error, not_found),
        ),
        (
            "that failed and is uploaded",
            test(1, "Error", 3000),
            TransitionStep::Wait,
        ),
        (
            "that timed out and is uploaded",
            test(130, "Error", 3000),
            TransitionStep::Wait,
        ),
        (
            "that succeeded and is uploaded",
            test(0, "Completed", 3000),
            TransitionStep::Wait,
        ),
        (
            "of two, while the other runs",
            vec![
                exited("test", 137, "Error", 45),
                runs("other"),
                runs("sidecar"),
            ],
            TransitionStep::Wait,
        ),
        (
            "of two, when the other has ended, too",
            vec![
                exited("test", 137, "Error", 3000),
                exited("other", 0, "Completed", 45),
                runs("sidecar"),
            ],
            completes(Error, KILLED),
        ),
        (
            "whose sidecar was killed",
            vec![runs("test"), exited("sidecar", 137, "Error", 15)],
            completes(Error, no_sidecar),
        ),
        (
            "that ends together with its sidecar",
            vec![runs("test"), exited("sidecar", 0, "Completed", 14)],
            TransitionStep::Wait,
        ),
    ] {
        let pod = with(PodPhase::Running, containers);
        let decision = decide(&decorated(), Some(&pod));
        assert_eq!(decision.step, step, "a container {name}");
    }
    let soon = with(PodPhase::Running, test(137, "Error", 10));
    let look = decide(&decorated(), Some(&soon)).look_again_at;
    assert_eq!(
        look,
        Some(now() + 35.seconds()),
        "within a minute of its end"
    );
    let plain = with(PodPhase::Running, test(137, "Error", 3000));
    assert_eq!(
        decide(&job(Pending), Some(&plain)).step,
        TransitionStep::Wait,
        "no marker is waited for"
    );
}

/// With our entrypoint and another's sidecar.
#[test]
fn a_container_that_left_its_code_is_not_doubted() {
    for (name, containers, step) in [
        (
            "killed, whose entrypoint had left the code, and is uploaded",
            vec![marked(exited("test", 137, "Error", 3000)), runs("sidecar")],
            TransitionStep::Wait,
        ),
        (
            "that ran into its timeout and is uploaded",
            vec![marked(exited("test", 127, "Error", 3000)), runs("sidecar")],
            TransitionStep::Wait,
        ),
        (
            "of two killed ones, of which one left its code",
            vec![
                marked(exited("test", 137, "Error", 45)),
                exited("other", 137, "Error", 45),
                runs("sidecar"),
            ],
            completes(Error, &KILLED.replace("test", "other")),
        ),
        (
            "out of memory, whatever its entrypoint says",
            vec![marked(exited("test", 137, "OOMKilled", 0)), runs("sidecar")],
            completes(Error, OOM),
        ),
    ] {
        let pod = with(PodPhase::Running, containers);
        let decision = decide(&decorated(), Some(&pod));
        assert_eq!(decision.step, step, "a container {name}");
    }
}

#[test]
fn an_upload_that_may_be_under_way_is_not_cut_off() {
    let ended = with_status(decorated(), |status| {
        status.state = Error;
        status.completion_time = Some(Time(now()));
    });
    for (name, containers, step) in [
        (
            "while the sidecar lives",
            vec![exited("test", 137, "Error", 60), runs("sidecar")],
            TransitionStep::Wait,
        ),
        (
            "and a pod that nobody can upload from is ended, not deleted: it has the only log",
            vec![runs("test"), exited("sidecar", 137, "Error", 60)],
            TransitionStep::StopPod { uid: "uid".into() },
        ),
    ] {
        let mut pod = with(PodPhase::Running, containers);
        assert_eq!(decide(&ended, Some(&pod)).step, step, "{name}");
        pod.is_told_to_end = true;
        assert_eq!(
            decide(&ended, Some(&pod)).step,
            TransitionStep::Wait,
            "{name}, twice"
        );
    }
}

#[test]
fn a_pod_that_failed_says_which_container_and_why() {
    let cloned = ContainerView {
        is_init: true,
        ..exited("clonerefs", 0, "Completed", 9)
    };
    let failed = |text: &str| completes(Failure, text);
    let plain = "Job failed: Container test was killed (SIGKILL, exit code 137): by the job, or \
                 for memory of its node.";
    for (name, job, containers, step) in [
        (
            "out of memory",
            decorated(),
            vec![
                exited("test", 137, "OOMKilled", 5),
                exited("sidecar", 0, "", 1),
            ],
            completes(Error, OOM),
        ),
        (
            "killed",
            decorated(),
            vec![exited("test", 137, "Error", 5), exited("sidecar", 0, "", 1)],
            completes(Error, KILLED),
        ),
        (
            "killed, undecorated",
            job(Pending),
            vec![exited("test", 137, "Error", 5)],
            failed(plain),
        ),
        (
            "in the sidecar alone",
            decorated(),
            vec![exited("test", 0, "", 5), exited("sidecar", 1, "Error", 1)],
            failed(
                "Job failed: container sidecar ended with exit code 1: the log and the artifacts \
                 may be incomplete.",
            ),
        ),
        (
            "in the test",
            decorated(),
            vec![
                cloned,
                exited("test", 3, "Error", 5),
                exited("sidecar", 0, "", 1),
            ],
            failed("Job failed. Container test ended with exit code 3."),
        ),
        (
            "in the test, or by its timeout",
            decorated(),
            vec![exited("test", 127, "Error", 5), exited("sidecar", 0, "", 1)],
            failed("Job failed."),
        ),
    ] {
        let pod = with(PodPhase::Failed, containers);
        assert_eq!(
            decide(&job, Some(&pod)).step,
            step,
            "a pod that failed {name}"
        );
    }
    let mut bare = exited("test", 137, "OOMKilled", 5);
    bare.memory_limit.clear();
    let without = "Container test ran out of memory (no limit: its node or pod had no more): give \
                   it a memory request and limit.";
    let pod = with(PodPhase::Failed, vec![bare]);
    assert_eq!(
        decide(&decorated(), Some(&pod)).step,
        completes(Error, without)
    );
}
