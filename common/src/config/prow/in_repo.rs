//! `in_repo_config`: which repositories may define jobs of their own, and where those may run.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    prowjob::{DEFAULT_CLUSTER, null_default},
    repo_names::{find_by_name, find_most_specific},
};

/// Keys are `org/repo`, `org` or `*`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct InRepoConfig {
    #[serde(deserialize_with = "null_default")]
    pub enabled: BTreeMap<String, bool>,
    #[serde(deserialize_with = "null_default")]
    pub allowed_clusters: BTreeMap<String, Vec<String>>,
}

impl InRepoConfig {
    /// Whether the repository may define jobs: the most specific key decides, `false` without one.
    pub fn is_enabled(&self, org: &str, repo: &str) -> bool {
        find_most_specific(&self.enabled, org, repo)
            .copied()
            .unwrap_or(false)
    }

    /// The build clusters that its own jobs may name: those of all three keys together. Without a
    /// `*` key, `default` is allowed, too.
    pub fn allowed_clusters_for(&self, org: &str, repo: &str) -> Vec<&str> {
        let global = match self.allowed_clusters.get("*") {
            Some(clusters) => clusters.iter().map(String::as_str).collect(),
            None => vec![DEFAULT_CLUSTER],
        };
        let full = format!("{org}/{repo}");
        let mut all: Vec<&str> = [full.as_str(), org]
            .iter()
            .filter_map(|key| find_by_name(&self.allowed_clusters, key))
            .flatten()
            .map(String::as_str)
            .chain(global)
            .collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(json: serde_json::Value) -> InRepoConfig {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn the_narrowest_key_decides() {
        let section = section(serde_json::json!({
            "enabled": {"*": true, "closed": false, "closed/open": true}
        }));
        for (org, repo, expected) in [
            ("any", "where", true),
            ("closed", "x", false),
            ("closed", "open", true),
            ("Closed", "x", false),
            ("CLOSED", "Open", true),
        ] {
            assert_eq!(section.is_enabled(org, repo), expected, "{org}/{repo}");
        }
        assert!(!InRepoConfig::default().is_enabled("any", "where"));
    }

    #[test]
    fn clusters_add_up_and_a_star_replaces_the_default() {
        let defaulted =
            section(serde_json::json!({"allowed_clusters": {"o/r": ["b"], "o": ["a"]}}));
        assert_eq!(
            defaulted.allowed_clusters_for("o", "r"),
            ["a", "b", "default"]
        );
        assert_eq!(defaulted.allowed_clusters_for("o", "s"), ["a", "default"]);
        let none = section(serde_json::json!({"allowed_clusters": {"*": [], "o/r": ["b"]}}));
        assert_eq!(none.allowed_clusters_for("o", "r"), ["b"]);
        assert!(none.allowed_clusters_for("p", "q").is_empty());
    }
}
