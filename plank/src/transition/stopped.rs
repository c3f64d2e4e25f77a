//! Decides on a pod that the cluster stopped, not the job: it is created anew, within a limit.

use common::prowjob::ProwJobState;

use super::{
    ObservedJob, ProwJobChange, TransitionDecision, change_decision, completion_decision,
    killed::{describe_container_end, is_oom_killed},
    message_text::{format_reason, shorten_message},
};
use crate::pod_view::{PodPhase, PodView};

/// Why the cluster stopped a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PodStopCause {
    Evicted,
    Unreachable,
    Preempted,
    Shutdown,
    OomKilled,
    Unknown,
}

impl PodStopCause {
    fn describe_cause(self) -> &'static str {
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

/// What stopped a pod, if it did not end by itself.
///
/// `NodeLost` counts with and without a deletion under way: a pod runner that finds a pod's
/// processes gone after its own restart says Failed/NodeLost and deletes nothing.
pub(super) fn find_stop_cause(pod: &PodView) -> Option<PodStopCause> {
    if pod.phase == PodPhase::Succeeded {
        return None;
    }
    // Kubelet's reasons: https://kubernetes.io/docs/concepts/cluster-administration/node-shutdown/
    match pod.reason.as_str() {
        "Evicted" => return Some(PodStopCause::Evicted),
        "NodeLost" => return Some(PodStopCause::Unreachable),
        "Preempting" => return Some(PodStopCause::Preempted),
        "Terminated" | "NodeShutdown" | "Shutdown" => return Some(PodStopCause::Shutdown),
        _ => {}
    }
    // The condition announces a disruption; it has happened when the pod is ended or ending.
    if pod.phase == PodPhase::Failed || pod.deleting.is_some() {
        // https://kubernetes.io/docs/concepts/workloads/pods/disruptions/#pod-disruption-conditions
        match pod.disruption.as_deref() {
            Some("EvictionByEvictionAPI") => return Some(PodStopCause::Evicted),
            Some("DeletionByTaintManager" | "DeletionByPodGC") => {
                return Some(PodStopCause::Unreachable);
            }
            Some("PreemptionByScheduler") => return Some(PodStopCause::Preempted),
            Some("TerminationByKubelet") => return Some(PodStopCause::Shutdown),
            _ => {}
        }
    }
    match pod.phase {
        PodPhase::Running if pod.containers.iter().any(is_oom_killed) => {
            Some(PodStopCause::OomKilled)
        }
        PodPhase::Unknown => Some(PodStopCause::Unknown),
        _ => None,
    }
}

pub(super) fn decide_stopped_pod(
    seen: &ObservedJob<'_>,
    pod: &PodView,
    stop: PodStopCause,
    max_revivals: i64,
) -> TransitionDecision {
    let error = |text: String, why| completion_decision(ProwJobState::Error, text, why);
    let revivals = seen.job.pod_revival_count();
    match stop {
        // Its sidecar may still upload, so the pod goes on.
        PodStopCause::OomKilled => {
            let killed = pod.containers.iter().find(|it| is_oom_killed(it));
            error(
                killed.map(describe_container_end).unwrap_or_default(),
                "out of memory",
            )
        }
        PodStopCause::Evicted if seen.job.spec.error_on_eviction => error(
            match pod.message.trim() {
                "" => "Job pod was evicted by the cluster.".to_owned(),
                why => format!(
                    "Job pod was evicted by the cluster: {}",
                    shorten_message(why)
                ),
            },
            "evicted, and the job forbids it",
        ),
        _ if revivals >= max_revivals => error(
            format!(
                "Job pod reached max revivals ({max_revivals}) after being stopped unexpectedly ({})",
                format_reason(stop.describe_cause(), &pod.message)
            ),
            "stopped unexpectedly too often",
        ),
        _ => change_decision(ProwJobChange::Revive, "its pod was stopped unexpectedly"),
    }
}
