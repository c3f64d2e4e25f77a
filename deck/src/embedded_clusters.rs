//! Whether a build cluster is Prow's embedded one, whose pods are processes of its own machine and
//! do not use their images. The version of its API, which everybody may read, says so.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use common::kube::ClusterClients;

/// Suffix of the version of the embedded API.
const EMBEDDED_SUFFIX: &str = "+embedded";

/// By cluster name: whether the cluster is embedded, as far as known.
#[derive(Debug, Default)]
pub(crate) struct EmbeddedClusters(Mutex<HashMap<String, bool>>);

impl EmbeddedClusters {
    /// Whether the cluster is embedded; `false` if it does not answer.
    pub(crate) async fn is_embedded(&self, clusters: &ClusterClients, cluster: &str) -> bool {
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(is_embedded) = known().get(cluster) {
            return *is_embedded;
        }
        let Some(client) = clusters.build_client(cluster) else {
            return false;
        };
        match client.apiserver_version().await {
            Ok(version) => {
                let is_embedded = version.git_version.ends_with(EMBEDDED_SUFFIX);
                known().insert(cluster.to_owned(), is_embedded);
                is_embedded
            }
            Err(error) => {
                tracing::debug!(cluster, %error, "the version of a cluster is not known");
                false
            }
        }
    }
}
