//! What is decided.

use common::prowjob::ProwJobState;
use jiff::Timestamp;

use super::ObservedObstacle;

/// One step, when to look again if nothing happens, and the reason for both.
#[derive(Clone, Debug, PartialEq)]
pub struct TransitionDecision {
    pub step: TransitionStep,
    pub look_again_at: Option<Timestamp>,
    pub why: &'static str,
    /// What is in the way now, for the next decision to know of.
    pub sighting: Option<ObservedObstacle>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum TransitionStep {
    /// Nothing to do until something changes or `look_again_at`.
    Wait,
    /// Read the job from the API: what is decided on a cache cannot be taken back.
    ReadJob,
    /// Patch the `ProwJob`, under its resourceVersion.
    Change(ProwJobChange),
    /// Find out which build cluster a job of state `scheduling` goes to.
    Schedule,
    /// Look whether the pod's events tell of a missing Secret or `ConfigMap`.
    ReadEvents { pod_uid: String },
    /// Create the pod that the status names, with the build id it names.
    CreatePod,
    /// Create the Secret with the pod's token for Deck's storage.
    CreateToken { pod_uid: String },
    /// End the containers of this very pod. It stays, and with it what the kubelet has of its logs.
    StopPod { uid: String },
    /// Delete this very pod. crier's finalizer stays, so that it can tell of the pod.
    DeletePod { uid: String },
    /// Take crier's finalizer off this pod, which is replaced, and delete it if it is not yet
    /// being deleted.
    ReplacePod {
        uid: String,
        is_held: bool,
        is_ending: bool,
    },
}

impl TransitionStep {
    /// What was decided on an old state of the job would be wrong, and no resourceVersion
    /// keeps it from being done.
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
        /// What is in the way, for a plank that starts anew.
        sighting: Option<ObservedObstacle>,
    },
    /// triggered → pending: from now on this job has this build id and gets one pod for it.
    Claim {
        /// Of a pod that is already there; a new one otherwise.
        build_id: Option<String>,
    },
    /// The pod was stopped by the cluster: counts it, and claims anew.
    Revive,
    /// A newer run takes its place. Its pod is ended next.
    Supersede { by: String },
    /// Sets the completion time.
    Complete {
        state: ProwJobState,
        /// `None` leaves it as it is.
        description: Option<String>,
    },
}
