//! `config.yaml` without its jobs: the sections that the services read, each with Prow's
//! defaults. Sections nobody here reads are kept as they are and listed.

mod by_repo;
mod in_repo;
mod plank;
mod reporter;
mod sinker;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use by_repo::ByRepoAndCluster;
use by_repo::narrowest;
pub use in_repo::InRepoConfig;
pub use plank::Plank;
pub use reporter::GithubReporter;
pub use sinker::Sinker;

use crate::prowjob::{ProwJobDefault, null_default};

/// The sections of `config.yaml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ProwConfig {
    /// Where `ProwJob`s live.
    #[serde(deserialize_with = "namespace")]
    pub prowjob_namespace: String,
    /// Where pods live, in every build cluster.
    #[serde(deserialize_with = "namespace")]
    pub pod_namespace: String,
    /// `debug`, `info`, `warn`, `warning`, `error`, `fatal` or `panic`.
    #[serde(deserialize_with = "log_level")]
    pub log_level: String,
    #[serde(deserialize_with = "null_default")]
    pub github: GithubLinks,
    #[serde(deserialize_with = "null_default")]
    pub plank: Plank,
    #[serde(deserialize_with = "null_default")]
    pub sinker: Sinker,
    #[serde(deserialize_with = "null_default")]
    pub in_repo_config: InRepoConfig,
    #[serde(deserialize_with = "null_default")]
    pub github_reporter: GithubReporter,
    /// What `prowjob_defaults` start from, by repository and cluster; a later entry wins.
    #[serde(deserialize_with = "null_default")]
    pub prowjob_default_entries: Vec<ByRepoAndCluster<ProwJobDefault>>,
    /// Deck's section as written; Deck reads it.
    pub deck: Value,
    /// Jobs without a `decorate` of their own are decorated.
    #[serde(deserialize_with = "null_default")]
    pub decorate_all_jobs: bool,
    /// Sections no service here reads, as written.
    #[serde(skip)]
    pub unused: BTreeMap<String, Value>,
}

impl Default for ProwConfig {
    fn default() -> Self {
        Self {
            prowjob_namespace: "default".into(),
            pod_namespace: "default".into(),
            log_level: "info".into(),
            github: GithubLinks::default(),
            plank: Plank::default(),
            sinker: Sinker::default(),
            in_repo_config: InRepoConfig::default(),
            github_reporter: GithubReporter::default(),
            prowjob_default_entries: Vec::new(),
            deck: Value::Null,
            decorate_all_jobs: false,
            unused: BTreeMap::new(),
        }
    }
}

/// `github`: how links into GitHub begin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct GithubLinks {
    pub link_url: String,
}

impl Default for GithubLinks {
    fn default() -> Self {
        Self {
            link_url: "https://github.com".into(),
        }
    }
}

fn namespace<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    non_empty(deserializer, "default")
}

fn log_level<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    non_empty(deserializer, "info")
}

fn non_empty<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
    default: &str,
) -> Result<String, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?
        .filter(|text| !text.is_empty())
        .unwrap_or_else(|| default.to_owned()))
}
