//! The one step a job takes next, and why. Plain values in, plain values out.
//!
//! A decision is a single step. Whoever applies it looks again afterwards and asks for the
//! next one, so every step leaves a state from which the next follows, and a crash between two
//! steps loses nothing.

mod ended;
mod killed;
#[cfg(test)]
mod law;
mod observed;
mod obstacle;
mod pending;
mod replace;
mod sighting;
mod starting;
mod step;
mod stopped;
#[cfg(test)]
mod tests;
mod waits;
mod words;

use common::{
    duration::GoDuration,
    prowjob::{DecorationConfig, ProwJob, ProwJobState},
};
use jiff::{SignedDuration, Timestamp};

pub use observed::{
    Cluster, Controllers, Limit, Observed, References, Settings, Start, Token, Undeleted,
};
pub(crate) use pending::TRIGGERED;
pub use sighting::{Kind, Refusals, Sighting};
pub use step::{Change, Decision, Step};

use crate::pod_view::{Phase, PodView};
use words::{capital, short};

/// How long a deletion may fail before the job is completed without it: a missing right is not
/// given by waiting.
const DELETION_MARGIN: SignedDuration = SignedDuration::from_secs(60);

/// How long past its grace period a pod that is being deleted may stay before the job is completed
/// without it: a lost node never confirms. With a decoration's default grace period of 15 s, of which
/// the pod gets a quarter more, the job ends 53 s after the deletion: within a minute with its writes.
const CONFIRMATION_MARGIN: SignedDuration = SignedDuration::from_secs(35);

/// What every part of a decision looks at.
struct Case<'a> {
    seen: &'a Observed<'a>,
    sighting: Option<&'a Sighting>,
    settings: &'a Settings,
    now: Timestamp,
}

/// Decides the next step of a job.
pub fn transition(seen: &Observed<'_>, settings: &Settings, now: Timestamp) -> Decision {
    let sighting = Sighting::of(seen, now);
    let decision = decide(&Case {
        seen,
        sighting: sighting.as_ref(),
        settings,
        now,
    });
    let step = match decision.step {
        step if step.is_final() && !seen.is_fresh => Step::ReadJob,
        step => step,
    };
    Decision {
        step,
        sighting,
        ..decision
    }
}

fn decide(case: &Case<'_>) -> Decision {
    let (seen, controllers) = (case.seen, case.settings.controllers);
    let job = seen.job;
    let (state, complete_job) = (job.state(), job.is_complete());
    if state == ProwJobState::Scheduling && !complete_job && controllers.scheduler {
        return match seen.refused {
            Some(refusal) => refused(refusal),
            None => Decision {
                step: Step::Schedule,
                ..wait("it needs a build cluster")
            },
        };
    }
    if !job.spec.agent.is_kubernetes() {
        return wait("another controller's agent runs it");
    }
    if !controllers.plank {
        return wait("plank is not among the controllers that are enabled");
    }
    if complete_job {
        return completed(seen);
    }
    match state {
        ProwJobState::Triggered | ProwJobState::Pending => {
            if let Some(by) = seen.superseded_by {
                let by = by.to_owned();
                let why = "a newer presubmit tests the same pull request";
                return change(Change::Supersede { by }, why);
            }
            if let Some(refusal) = seen.refused {
                return refused(refusal);
            }
        }
        ProwJobState::Aborted => {}
        _ => return wait("the state is not to be moved on here"),
    }
    match seen.cluster {
        Cluster::Unknown => {
            let alias = job.spec.cluster_alias();
            let text = format!("Terminal error: no client for build cluster {alias:?}.");
            return complete(ProwJobState::Error, text, "unknown build cluster");
        }
        Cluster::Unready(since) => return waits::for_cluster(case, since),
        Cluster::Ready => {}
    }
    match state {
        ProwJobState::Triggered => triggered(case),
        ProwJobState::Pending => pending::pending(case),
        _ => aborted(seen, case.now),
    }
}

/// The API refuses the pod, or a change that leads to it, for good.
fn refused(refusal: &str) -> Decision {
    let text = format!("Pod can not be created: {}", short(refusal));
    complete(ProwJobState::Error, text, "its pod can never be created")
}

fn triggered(case: &Case<'_>) -> Decision {
    let seen = case.seen;
    if let Some(pod) = seen.pod {
        if is_of_an_earlier_job(pod, seen.job) {
            return replace::left_by_an_earlier_job(case, pod);
        }
        return match (is_for(pod, seen.job), &pod.build_id) {
            (true, Some(build_id)) => {
                let build_id = Some(build_id.clone());
                change(Change::Claim { build_id }, "its pod is already there")
            }
            _ => foreign(seen.job),
        };
    }
    match seen.start {
        Start::Waits(limit) => waits::for_slot(seen.job, limit),
        Start::NoKey(error) => waits::for_key(seen.job, error, case.now),
        Start::NotKnown => wait("not all jobs are known yet"),
        Start::Now => change(
            Change::Claim { build_id: None },
            "nothing keeps it from starting",
        ),
    }
}

fn aborted(seen: &Observed<'_>, now: Timestamp) -> Decision {
    let done = |description, why| {
        let change = Change::Complete {
            state: ProwJobState::Aborted,
            description,
        };
        self::change(change, why)
    };
    let Some(pod) = seen.pod.filter(|pod| is_for(pod, seen.job)) else {
        return done(None, "aborted, and its pod is gone");
    };
    // Until the job is complete, crier's finalizer keeps the pod.
    if pod.phase.is_final() || pod.deletion_confirmed {
        return done(None, "aborted, and its pod has ended");
    }
    let (deadline, description, why) = match (pod.deleting, &seen.undeleted) {
        (Some(ends), _) => (
            after(ends, CONFIRMATION_MARGIN),
            None,
            "aborted, and its pod's deletion is never confirmed",
        ),
        (None, Some(undeleted)) => {
            let status = seen.job.status.as_ref();
            let before = status.map_or("", |status| &status.description);
            let text = format!("{before} {}", capital(&given_up(seen.job, undeleted)));
            (
                after(undeleted.since, DELETION_MARGIN),
                Some(text.trim_start().to_owned()),
                "aborted, and its pod can not be deleted",
            )
        }
        (None, None) => return delete(pod, "aborted"),
    };
    if now >= deadline {
        return done(description, why);
    }
    Decision {
        look_again_at: Some(deadline),
        ..wait("aborted, and its pod is ending")
    }
}

/// That a pod stays, and what to do.
fn given_up(job: &ProwJob, undeleted: &Undeleted<'_>) -> String {
    let (name, why) = (job.metadata.name.as_deref(), short(undeleted.why));
    let name = name.unwrap_or_default();
    format!("its pod {name} can not be deleted and may go on; delete it by hand: {why}")
}

/// A complete job owns no pod that could still do something: what was left by a crash between
/// completing and deleting is deleted.
fn completed(seen: &Observed<'_>) -> Decision {
    let done = wait("complete");
    let Some(pod) = seen.pod.filter(|pod| is_for(pod, seen.job)) else {
        return done;
    };
    if seen.undeleted.is_some() {
        return wait("complete, and its pod can not be deleted now");
    }
    if pod.deleting.is_some() || pod.phase.is_final() {
        return done;
    }
    match (seen.job.state(), pod.phase) {
        (ProwJobState::Aborted, _) => delete(pod, "aborted"),
        (ProwJobState::Error, Phase::Pending | Phase::Unset) => {
            delete(pod, "the job ended before its pod started")
        }
        (ProwJobState::Error, _) if killed::has_lost_its_sidecar(seen.job, pod) => {
            stop(pod, "nothing is left that could upload")
        }
        _ => done,
    }
}

/// The pod under a job's name is nobody's to take over.
fn foreign(job: &ProwJob) -> Decision {
    let name = job.metadata.name.as_deref().unwrap_or_default();
    let text = format!(
        "Pod can not be created: a pod named {name} that was not made for this run already exists"
    );
    complete(ProwJobState::Error, text, "another pod has the name")
}

fn is_for(pod: &PodView, job: &ProwJob) -> bool {
    has_name_of(pod, job) && !is_of_an_earlier_job(pod, job)
}

fn has_name_of(pod: &PodView, job: &ProwJob) -> bool {
    pod.job.is_some() && pod.job == job.metadata.name
}

/// The job that the pod was made for had this one's name, and is gone: nobody waits for the pod.
///
/// A pod that does not say whose it is, as those of Prow's plank, is taken for the job's, as Prow
/// takes it. So is one with the job's build id: a job that was moved to another cluster has
/// another uid.
fn is_of_an_earlier_job(pod: &PodView, job: &ProwJob) -> bool {
    let build_id = job.status.as_ref().map(|status| &status.build_id);
    let is_of_this_build =
        build_id.is_some_and(|id| !id.is_empty() && pod.build_id.as_ref() == Some(id));
    has_name_of(pod, job)
        && !is_of_this_build
        && pod.job_uid.is_some()
        && pod.job_uid != job.metadata.uid
}

fn wait(why: &'static str) -> Decision {
    Decision {
        step: Step::Wait,
        look_again_at: None,
        why,
        sighting: None,
    }
}

fn change(change: Change, why: &'static str) -> Decision {
    Decision {
        step: Step::Change(change),
        ..wait(why)
    }
}

fn complete(state: ProwJobState, description: impl Into<String>, why: &'static str) -> Decision {
    let description = Some(description.into());
    change(Change::Complete { state, description }, why)
}

fn stop(pod: &PodView, why: &'static str) -> Decision {
    if pod.is_told_to_end {
        return wait("complete, and its pod is ending");
    }
    Decision {
        step: Step::StopPod {
            uid: pod.uid.clone(),
        },
        ..wait(why)
    }
}

fn delete(pod: &PodView, why: &'static str) -> Decision {
    Decision {
        step: Step::DeletePod {
            uid: pod.uid.clone(),
        },
        ..wait(why)
    }
}

/// The job's own value, which has the installation's defaults merged in, beats plank's.
fn timeout(
    decoration: Option<&DecorationConfig>,
    default: SignedDuration,
    field: impl Fn(&DecorationConfig) -> Option<GoDuration>,
) -> SignedDuration {
    let own = decoration.and_then(field);
    own.map_or(default, |own| SignedDuration::from_nanos(own.nanos()))
}

fn after(since: Timestamp, duration: SignedDuration) -> Timestamp {
    since.saturating_add(duration).unwrap_or(since)
}
