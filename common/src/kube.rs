//! The infrastructure cluster, which holds the `ProwJob`s, and the build clusters, which run pods.
//!
//! ```text
//! kubeconfig files ─► contexts ─┐
//! disabled_clusters ────────────┴► cluster_registry ─► attempt: make a client, check permissions
//!                                    │  ▲                 │
//!                                    │  └──── outcome ────┘
//!                                    └► ClusterClients, the handle of every service
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
