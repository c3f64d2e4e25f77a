//! A container that ended without a marker for its sidecar, and how that is described.
//!
//! Entrypoint leaves the result in a marker file, which the sidecar waits for before it uploads. If
//! entrypoint is killed or cannot start, its sidecar may wait for ever. Ours notices and ends, so
//! that the pod ends by itself; this module is for other sidecars, and for one that was itself
//! killed. A pod is never deleted for it while its sidecar lives: if the marker was written all the
//! same, the upload goes on.

use common::prowjob::ProwJob;
use jiff::{SignedDuration, Timestamp};

use super::{message_text::format_reason, time_after};
use crate::pod_view::{ContainerState, ContainerView, PodView};

pub(super) const SIDECAR: &str = "sidecar";

/// Time for a sidecar that does notice to upload and end.
const MARKER_MARGIN: SignedDuration = SignedDuration::from_secs(45);

/// A node that ends all containers of a pod does not report them all at once.
const SAME_END: SignedDuration = SignedDuration::from_secs(15);

const SIGKILL: i32 = 128 + 9;
/// The exit code of entrypoint and shells where a program or an option is not found.
pub(super) const NOT_FOUND: i32 = 127;

/// A container's end after which its pod may never end by itself.
pub(super) struct SilentEnd {
    /// When the job is ended because of it.
    pub(super) at: Timestamp,
    pub(super) text: String,
}

/// The first end of a container in a running pod of which the sidecar may not know.
pub(super) fn find_silent_end(job: &ProwJob, pod: &PodView) -> Option<SilentEnd> {
    job.spec.decoration_config.as_ref()?;
    let sidecar = find_sidecar(pod)?;
    let tests = || pod.containers.iter().filter(|it| is_test(it));
    let tests_are_over = tests().all(ContainerView::is_over);
    if tests_are_over && sidecar.is_over() {
        return None;
    }
    if sidecar.is_over() {
        let since = ended_at(sidecar).or(pod.started).unwrap_or_default();
        return Some(SilentEnd {
            at: time_after(since, SAME_END),
            text: format!(
                "{} The log and the artifacts of this run can not be stored.",
                describe_container_end(sidecar)
            ),
        });
    }
    let ends = tests().filter_map(|container| {
        let margin = match &container.state {
            // It never ran, so it wrote no marker.
            ContainerState::Refused { .. } => SignedDuration::ZERO,
            // With a marker the pod ends when all tests have ended and all is uploaded.
            ContainerState::Terminated {
                exit_code: SIGKILL | NOT_FOUND,
                ..
            } if tests_are_over && !container.is_marked => MARKER_MARGIN,
            _ => return None,
        };
        let last_end = tests().filter_map(ended_at).max();
        let since = last_end.or(pod.started).unwrap_or_default();
        let text = describe_container_end(container);
        let at = time_after(since, margin);
        Some(SilentEnd { at, text })
    });
    ends.min_by_key(|end| end.at)
}

/// Whether a pod's sidecar has ended: then nothing can be uploaded any more.
pub(super) fn has_lost_its_sidecar(job: &ProwJob, pod: &PodView) -> bool {
    let decorated = job.spec.decoration_config.is_some();
    decorated && find_sidecar(pod).is_some_and(ContainerView::is_over)
}

fn find_sidecar(pod: &PodView) -> Option<&ContainerView> {
    let mut all = pod.containers.iter();
    all.find(|it| !it.is_init && it.name == SIDECAR)
}

/// Whether it is a main container of the job's own, not of its decoration.
pub(super) fn is_test(container: &ContainerView) -> bool {
    !container.is_init && container.name != SIDECAR
}

fn ended_at(container: &ContainerView) -> Option<Timestamp> {
    match container.state {
        ContainerState::Terminated { finished, .. } => finished,
        _ => None,
    }
}

pub(super) fn is_oom_killed(container: &ContainerView) -> bool {
    matches!(&container.state, ContainerState::Terminated { reason, .. } if reason == "OOMKilled")
}

pub(super) fn is_killed(container: &ContainerView) -> bool {
    matches!(
        container.state,
        ContainerState::Terminated {
            exit_code: SIGKILL,
            ..
        }
    )
}

/// How a container ended and what to do about it. Short: GitHub shows 140 characters, and the base
/// commit takes 50 of them.
pub(super) fn describe_container_end(container: &ContainerView) -> String {
    let name = &container.name;
    let limit = &container.memory_limit;
    match &container.state {
        ContainerState::Terminated { .. } if is_oom_killed(container) && limit.is_empty() => {
            format!(
                "Container {name} ran out of memory (no limit: its node or pod had no more): give it a \
             memory request and limit."
            )
        }
        ContainerState::Terminated { .. } if is_oom_killed(container) => {
            format!("Container {name} ran out of memory (limit {limit}): raise its memory limit.")
        }
        ContainerState::Terminated {
            exit_code: SIGKILL, ..
        } => format!(
            "Container {name} was killed (SIGKILL, exit code 137): by the job, or for memory of its \
             node."
        ),
        ContainerState::Terminated {
            exit_code: NOT_FOUND,
            ..
        } => format!(
            "Container {name} ended with exit code 127: check its command, its image and \
             ENTRYPOINT_OPTIONS."
        ),
        ContainerState::Terminated { exit_code, .. } => {
            format!("Container {name} ended with exit code {exit_code}.")
        }
        ContainerState::Refused { reason, message } => format!(
            "Pod could not start: container {name}: {}",
            format_reason(reason, message)
        ),
        _ => format!("Container {name} ended."),
    }
}
