//! Settings by repository: lists of entries that each apply to a repository and a cluster.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{prowjob::null_default, repo_names};

/// A setting for the jobs of a repository and a cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    default,
    bound(
        serialize = "T: Serialize",
        deserialize = "T: Default + DeserializeOwned"
    )
)]
#[schemars(bound = "T: Default + Serialize + JsonSchema")]
pub struct ByRepoAndCluster<T> {
    /// `org/repo` or `org`; `*` and empty are all.
    #[serde(deserialize_with = "null_default")]
    pub repo: String,
    /// A build cluster; `*` and empty are all.
    #[serde(deserialize_with = "null_default")]
    pub cluster: String,
    #[serde(deserialize_with = "null_default")]
    pub config: T,
}

impl<T> ByRepoAndCluster<T> {
    /// Whether the entry applies to a job of this repository (`org/repo`; `None` for a periodic
    /// without one) and cluster.
    pub fn matches_job(&self, org_repo: Option<&str>, cluster: &str) -> bool {
        covers_repo(&self.repo, org_repo)
            && (matches!(self.cluster.as_str(), "" | "*") || self.cluster == cluster)
    }
}

/// Whether `entry` (`org/repo` or `org`; `*` and empty are all) applies to the repository.
pub(super) fn covers_repo(entry: &str, org_repo: Option<&str>) -> bool {
    matches!(entry, "" | "*")
        || org_repo
            .and_then(|name| name.split_once('/'))
            .is_some_and(|(org, repo)| repo_names::covers_repo(entry, org, repo))
}
