//! Which pods with the job's name are the job's.

use super::*;

/// A job with its uid, and a build id unless it is triggered.
fn new_job(state: ProwJobState, build_id: &str) -> ProwJob {
    let mut job = job(state);
    job.metadata.uid = Some("new".into());
    with_status(job, |status| status.build_id = build_id.into())
}

/// A pod of build 7 that has ended.
fn pod_of(job_uid: Option<&str>) -> PodView {
    PodView {
        job_uid: job_uid.map(Into::into),
        ..pod(PodPhase::Succeeded)
    }
}

#[test]
fn a_pod_is_a_jobs_by_more_than_its_name() {
    let adopted = TransitionStep::Change(ProwJobChange::Claim {
        build_id: Some("7".into()),
    });
    let succeeds = completes(Success, "Job succeeded.");
    let aborted = TransitionStep::Change(ProwJobChange::Complete {
        state: Aborted,
        description: None,
    });
    for (what, state, build_id, job_uid, expected) in [
        ("its own", Triggered, "", Some("new"), adopted.clone()),
        ("made by Prow's plank", Triggered, "", None, adopted),
        (
            "an earlier job's",
            Triggered,
            "",
            Some("old"),
            replaces(false, false),
        ),
        (
            "an earlier job's, seen late",
            Pending,
            "8",
            Some("old"),
            replaces(false, false),
        ),
        (
            "the job was moved here",
            Pending,
            "7",
            Some("old"),
            succeeds.clone(),
        ),
        ("its own build", Pending, "7", Some("new"), succeeds),
        ("not to be waited for", Aborted, "8", Some("old"), aborted),
    ] {
        let (job, pod) = (new_job(state, build_id), pod_of(job_uid));
        assert_eq!(decide(&job, Some(&pod)).step, expected, "{what}");
    }
}

#[test]
fn a_pod_of_an_earlier_job_is_waited_for_as_long_as_any() {
    let job = new_job(Triggered, "");
    let held = PodView {
        deleting: Some(ago(34)),
        has_report_finalizer: true,
        ..pod_of(Some("old"))
    };
    assert_eq!(decide(&job, Some(&held)).step, replaces(true, true));
    let ending = |seconds| PodView {
        deleting: Some(ago(seconds)),
        ..pod_of(Some("old"))
    };
    assert_eq!(decide(&job, Some(&ending(34))).step, TransitionStep::Wait);
    let lost = "An earlier job of this name left a pod, and its node never confirms that it is gone: run it again";
    assert_eq!(decide(&job, Some(&ending(35))).step, completes(Error, lost));
}
