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
mod clusters;
mod contexts;
mod follow;
mod guard;
mod infra;
mod obstacle;
mod options;
mod rights;
mod roster;
mod watch;

pub use clusters::{BuildClusters, ClusterClient, Clusters};
pub use guard::DeserializeGuard;
pub use infra::infra_client;
pub use obstacle::Obstacle;
pub use options::{Options, Timeouts};
pub use rights::{Missing, Needs, Right};
pub use watch::{watch_objects, watch_objects_with_failures};
