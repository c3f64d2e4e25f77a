//! A pod that the cluster stopped, not the job: it is made anew, within a limit.

use common::prowjob::ProwJobState;

use super::{
    Change, Decision, Observed, change, complete,
    killed::{is_oom, sentence},
    words::{reason_and_message, short},
};
use crate::pod_view::{Phase, PodView};

/// Why the cluster stopped it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    Evicted,
    Unreachable,
    Preempted,
    Shutdown,
    OomKilled,
    Unknown,
}

impl Stop {
    fn cause(self) -> &'static str {
        match self {
            Self::Evicted => "evicted",
            Self::Unreachable => "unreachable",
            Self::Preempted => "preempted",
            Self::Shutdown => "node shutdown",
            Self::OomKilled => "oomkilled",
            Self::Unknown => "unknown",
        }
    }
}

/// What a pod was stopped by, if it was not by itself.
///
/// `NodeLost` counts with and without a deletion under way: a runner that finds a pod's
/// processes gone after its own restart says Failed/NodeLost and deletes nothing.
pub(super) fn stop(pod: &PodView) -> Option<Stop> {
    if pod.phase == Phase::Succeeded {
        return None;
    }
    // Words of the kubelet: https://kubernetes.io/docs/concepts/cluster-administration/node-shutdown/
    match pod.reason.as_str() {
        "Evicted" => return Some(Stop::Evicted),
        "NodeLost" => return Some(Stop::Unreachable),
        "Preempting" => return Some(Stop::Preempted),
        "Terminated" | "NodeShutdown" | "Shutdown" => return Some(Stop::Shutdown),
        _ => {}
    }
    // The condition announces a disruption; it has happened when the pod is ended or ending.
    if pod.phase == Phase::Failed || pod.deleting.is_some() {
        // https://kubernetes.io/docs/concepts/workloads/pods/disruptions/#pod-disruption-conditions
        match pod.disruption.as_deref() {
            Some("EvictionByEvictionAPI") => return Some(Stop::Evicted),
            Some("DeletionByTaintManager" | "DeletionByPodGC") => return Some(Stop::Unreachable),
            Some("PreemptionByScheduler") => return Some(Stop::Preempted),
            Some("TerminationByKubelet") => return Some(Stop::Shutdown),
            _ => {}
        }
    }
    match pod.phase {
        Phase::Running if pod.containers.iter().any(is_oom) => Some(Stop::OomKilled),
        Phase::Unknown => Some(Stop::Unknown),
        _ => None,
    }
}

pub(super) fn stopped(
    seen: &Observed<'_>,
    pod: &PodView,
    stop: Stop,
    max_revivals: i64,
) -> Decision {
    let error = |text: String, why| complete(ProwJobState::Error, text, why);
    let status = seen.job.status.as_ref();
    let revivals = status.map_or(0, |status| status.pod_revival_count);
    match stop {
        // Its sidecar may still upload, so the pod goes on.
        Stop::OomKilled => {
            let killed = pod.containers.iter().find(|it| is_oom(it));
            error(killed.map(sentence).unwrap_or_default(), "out of memory")
        }
        Stop::Evicted if seen.job.spec.error_on_eviction => error(
            match pod.message.trim() {
                "" => "Job pod was evicted by the cluster.".to_owned(),
                why => format!("Job pod was evicted by the cluster: {}", short(why)),
            },
            "evicted, and the job forbids it",
        ),
        _ if revivals >= max_revivals => error(
            format!(
                "Job pod reached max revivals ({max_revivals}) after being stopped unexpectedly ({})",
                reason_and_message(stop.cause(), &pod.message)
            ),
            "stopped unexpectedly too often",
        ),
        _ => change(Change::Revive, "its pod was stopped unexpectedly"),
    }
}
