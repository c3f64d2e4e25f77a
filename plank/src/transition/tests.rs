//! The rows of Prow's transition table, and where we decide differently, each by name.

mod api_refusals;
mod ended_pods;
mod ending;
mod killed;
mod replace;
mod report_finalizer;
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

fn pod(phase: PodPhase) -> PodView {
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
        ..ContainerView::default()
    }
}

fn ended(exit_code: i32, reason: &str) -> ContainerView {
    container(ContainerState::Terminated {
        reason: reason.into(),
        exit_code,
        finished: Some(now()),
    })
}

fn waiting(reason: &str, message: &str) -> ContainerView {
    container(ContainerState::Waiting {
        reason: reason.into(),
        message: message.into(),
    })
}

fn decide_with<'a>(
    job: &'a ProwJob,
    pod: Option<&'a PodView>,
    edit: impl FnOnce(&mut ObservedJob<'a>),
) -> TransitionDecision {
    let mut seen = ObservedJob::new(job, pod);
    edit(&mut seen);
    bare(decide_next_step(
        &seen,
        &TransitionSettings::default(),
        now(),
    ))
}

/// The decision without its recorded obstacle, which has tests of its own.
fn bare(decision: TransitionDecision) -> TransitionDecision {
    let step = match decision.step {
        TransitionStep::Change(ProwJobChange::Describe { text, .. }) => describes(&text),
        step => step,
    };
    TransitionDecision { step, ..decision }
}

/// An obstacle of build 7, observed so many seconds ago.
fn sighting(kind: ObstacleKind, seconds: i64) -> ObservedObstacle {
    ObservedObstacle {
        build: "7".into(),
        kind,
        since: ago(seconds),
        refusals: None,
    }
}

fn decide(job: &ProwJob, pod: Option<&PodView>) -> TransitionDecision {
    decide_with(job, pod, |_| {})
}

fn completes(state: ProwJobState, description: &str) -> TransitionStep {
    TransitionStep::Change(ProwJobChange::Complete {
        state,
        description: Some(description.into()),
    })
}

fn deletes() -> TransitionStep {
    TransitionStep::DeletePod { uid: "uid".into() }
}

fn replaces(is_held: bool, is_ending: bool) -> TransitionStep {
    TransitionStep::ReplacePod {
        uid: "uid".into(),
        is_held,
        is_ending,
    }
}

fn describes(text: &str) -> TransitionStep {
    let text = text.into();
    let sighting = None;
    TransitionStep::Change(ProwJobChange::Describe { text, sighting })
}

fn supersedes() -> TransitionStep {
    TransitionStep::Change(ProwJobChange::Supersede { by: "newer".into() })
}

fn claims() -> TransitionStep {
    TransitionStep::Change(ProwJobChange::Claim { build_id: None })
}

use ProwJobState::{Aborted, Error, Failure, Pending, Scheduling, Success, Triggered};
