//! The pod runner: a small kubelet that runs the pods of an API as processes of this machine.
//!
//! It watches pods, binds those that no node has, runs them and reports their status; it knows nothing of Prow but a
//! map from images to binaries. It is not a sandbox: whoever may create a pod runs code as the user who runs this.
//!
//! pod → [`plan`] → [`worker`] → [`running`] (decides by [`progress`] and [`restart`]) → [`task`] per container →
//! [`launch`] → [`container`], the binary executed again → the container's program; back come events, [`status`] from
//! them, and Event objects ([`events`]). [`node_registration`] keeps the Node object.

mod config_sources;
mod container;
mod env;
mod events;
mod launch;
mod leftovers;
mod log;
mod node;
mod node_registration;
mod plan;
mod process;
mod progress;
mod restart;
mod running;
mod spawn;
mod status;
mod task;
mod translate;
mod volume;
mod worker;

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use tokio::sync::watch;

pub use container::container_main;
pub use node::run_kubelet;

/// The name of the one node there is.
pub(crate) const NODE_NAME: &str = "local";

/// What the pod runner works with.
pub struct KubeletOptions {
    /// The API whose pods are run, all namespaces of it.
    pub client: kube::Client,
    /// A binary that calls [`container_main`] when its first argument is `container`.
    pub exe: PathBuf,
    /// What to run for a container that names one of these images and no `command`.
    pub images: BTreeMap<String, UtilityImage>,
    /// Volumes and records of processes; one runner only may use it.
    pub state: PathBuf,
    /// Logs go to `<logs>/<namespace>/<pod uid>/<container>.log`.
    pub logs: PathBuf,
    pub isolation: Isolation,
}

/// An image that stands for a binary of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UtilityImage {
    pub binary: PathBuf,
    /// The name it is called by.
    pub argv0: String,
}

/// How the paths of a pod spec are made true.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// Each container has a root of its own; an error where the kernel refuses.
    Namespaces,
    /// Mount paths are replaced at the start of arguments and values.
    Translate,
    /// The first if the kernel allows it, else the second.
    #[default]
    Auto,
}

/// What all workers share.
pub(crate) struct KubeletContext {
    client: kube::Client,
    exe: PathBuf,
    images: BTreeMap<String, UtilityImage>,
    state: PathBuf,
    logs: PathBuf,
    /// Whether containers have a root of their own.
    own_roots: bool,
    /// Whom containers run as, unless this is the superuser already.
    user: Option<launch::ContainerUser>,
    /// An empty folder in which containers build their roots.
    staging: PathBuf,
    /// Folders that containers must not see.
    hidden: Vec<PathBuf>,
    /// PATH of containers that set none.
    path: String,
    /// Rises when a Secret or config map may have changed.
    changes: watch::Receiver<u64>,
    /// UIDs of pods that had processes when an earlier runner ended.
    lost: HashSet<String>,
    events: events::EventRecorder,
}
