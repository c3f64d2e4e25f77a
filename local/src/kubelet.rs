//! The pod runner: a small kubelet that runs the pods of an API as processes of this machine.
//!
//! It watches pods, binds those that have no node, runs them and reports their status. It knows
//! nothing of Prow but a map from images to binaries. It is not a sandbox: whoever may create a pod
//! runs code as the user who runs this.
//!
//! pod → [`plan`] → [`worker`] → [`running`] (decides by [`progress`] and [`restart`]) → [`task`]
//! per container → [`launch`] → [`container`], the binary executed again → the container's program.
//! Events come back to [`running`], which makes the pod's [`status`] and Event objects
//! ([`events`]). [`node_registration`] keeps the Node object.

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

/// The name of the only node.
pub(crate) const NODE_NAME: &str = "local";

/// What the pod runner needs.
pub struct KubeletOptions {
    /// The API whose pods are run, in all its namespaces.
    pub client: kube::Client,
    /// A binary that calls [`container_main`] when its first argument is `container`.
    pub exe: PathBuf,
    /// What to run for a container that names one of these images and no `command`.
    pub images: BTreeMap<String, UtilityImage>,
    /// Folder of volumes and process records. Only one runner may use it.
    pub state: PathBuf,
    /// Logs go to `<logs>/<namespace>/<pod uid>/<container>.log`.
    pub logs: PathBuf,
    pub isolation: Isolation,
}

/// An image that stands for a binary of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UtilityImage {
    pub binary: PathBuf,
    /// The program's name, `argv[0]`.
    pub argv0: String,
}

/// How containers see volumes at the mount paths of the pod spec.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// Each container has its own root. An error where the kernel refuses.
    Namespaces,
    /// Mount paths are replaced at the start of arguments and environment values.
    Translate,
    /// `Namespaces` if the kernel allows it, else `Translate`.
    #[default]
    Auto,
}

/// What all pod workers share.
pub(crate) struct KubeletContext {
    client: kube::Client,
    exe: PathBuf,
    images: BTreeMap<String, UtilityImage>,
    state: PathBuf,
    logs: PathBuf,
    /// Whether containers have their own roots.
    own_roots: bool,
    /// The user that containers run as, unless the runner is root already.
    user: Option<launch::ContainerUser>,
    /// An empty folder in which containers build their roots.
    staging: PathBuf,
    /// Folders that containers must not see.
    hidden: Vec<PathBuf>,
    /// `PATH` of containers that set none.
    path: String,
    /// Increases when a Secret or `ConfigMap` may have changed.
    changes: watch::Receiver<u64>,
    /// UIDs of pods that had processes when an earlier runner ended.
    lost: HashSet<String>,
    events: events::EventRecorder,
}
