//! The result of a decision.

use common::prowjob::ProwJobState;
use jiff::Timestamp;

use super::ObservedObstacle;

/// One step, when to decide again if nothing happens, and the reason for both.
#[derive(Clone, Debug, PartialEq)]
pub struct TransitionDecision {
    pub step: TransitionStep,
    pub look_again_at: Option<Timestamp>,
    pub why: &'static str,
    /// The obstacle now, for the next decision.
    pub sighting: Option<ObservedObstacle>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum TransitionStep {
    /// Nothing to do until something changes or `look_again_at`.
    Wait,
    /// Read the job from the API: what cannot be taken back is not decided on a cache.
    ReadJob,
    /// Patch the `ProwJob`, under its resourceVersion.
    Change(ProwJobChange),
    /// Choose the build cluster of a job in state `scheduling`.
    Schedule,
    /// Read the pod's events for a missing Secret or `ConfigMap`.
    ReadEvents { pod_uid: String },
    /// Create the pod that the status names, with the build id it names.
    CreatePod,
    /// Create the Secret with the pod's token for Deck's storage.
    CreateToken { pod_uid: String },
    /// End the containers of the pod with this UID. It stays, with the logs that the kubelet has.
    StopPod { uid: String },
    /// Delete the pod with this UID. crier's finalizer stays, so that crier can report the pod.
    DeletePod { uid: String },
    /// Remove crier's finalizer from this pod, which is replaced, and delete it if it is not yet
    /// being deleted.
    ReplacePod {
        uid: String,
        is_held: bool,
        is_ending: bool,
    },
}

impl TransitionStep {
    /// Whether a decision on an old state of the job would be wrong without a resourceVersion that
    /// prevents the step.
    pub(super) fn is_final(&self) -> bool {
        matches!(
            self,
            Self::CreatePod
                | Self::StopPod { .. }
                | Self::DeletePod { .. }
                | Self::ReplacePod { .. }
        )
    }
}

/// A change of a job's status.
#[derive(Clone, Debug, PartialEq)]
pub enum ProwJobChange {
    /// scheduling → triggered: a build cluster was chosen.
    Schedule { cluster: String },
    /// Says why nothing happens. The state stays.
    Describe {
        text: String,
        /// The obstacle, for a plank that restarts.
        sighting: Option<ObservedObstacle>,
    },
    /// triggered → pending: from now on this job has this build id and gets one pod for it.
    Claim {
        /// The build id of a pod that is already there; a new one otherwise.
        build_id: Option<String>,
    },
    /// The cluster stopped the pod: counts that, and claims anew.
    Revive,
    /// A newer run supersedes this one. Its pod is ended next.
    Supersede { by: String },
    /// Sets the completion time.
    Complete {
        state: ProwJobState,
        /// `None` leaves the description as it is.
        description: Option<String>,
    },
}
