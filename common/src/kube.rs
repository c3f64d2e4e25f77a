//! The clusters: one that holds the `ProwJob`s, and those where pods run.
//!
//! ```text
//! kubeconfig files ─► contexts ─┐
//! disabled_clusters ────────────┴► roster ─► attempt: make a client, ask for rights
//!                                    │  ▲            │
//!                                    │  └─ again ────┘
//!                                    └► Clusters, the handle of every service
//! ```

mod attempt;
mod client;
mod cluster_registry;
mod cluster_watcher;
mod clusters;
mod contexts;
mod guard;
mod infra;
mod obstacle;
mod options;
mod permissions;
mod watch;

pub use clusters::{BuildClusterClient, BuildClusterClients, ClusterClients};
pub use guard::DeserializeGuard;
pub use infra::infra_client;
pub use obstacle::ClusterObstacle;
pub use options::{KubernetesOptions, KubernetesTimeouts};
pub use permissions::{ClusterPermission, MissingPermission, RequiredPermissions};
pub use watch::{watch_objects, watch_objects_with_failures};
