//! The rows of Prow's transition table, and what we decide differently, each by name.

mod ending;
mod judged;
mod starting;
mod waiting;

use common::prowjob::{
    DecorationConfig, ProwJob, ProwJobAgent, ProwJobState, ProwJobStatus, ProwJobType,
};
use jiff::{Timestamp, ToSpan};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;
use crate::pod_view::{ContainerState, ContainerView, FailedInit};

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
        pull_failures: 0,
        pull_error: String::new(),
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
        delayed: None,
        references: References::NotAsked,
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

fn describes(text: &str) -> Step {
    Step::Change(Change::Describe(text.into()))
}

fn supersedes() -> Step {
    Step::Change(Change::Supersede { by: "newer".into() })
}

fn claims() -> Step {
    Step::Change(Change::Claim { build_id: None })
}

use ProwJobState::{Aborted, Error, Failure, Pending, Scheduling, Success, Triggered};
