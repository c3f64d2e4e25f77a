//! `owners_dir_denylist`: folders whose OWNERS files are ignored.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::repo_names;

/// Ignored everywhere by default.
const PRECONFIGURED: [&str; 3] = [r"\.git$", "_output$", "vendor/.*/.*"];

/// Regular expressions for paths of folders. Prow compiles them when it looks for OWNERS files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct OwnersDirDenylist {
    /// By `org/repo` or `org`; both apply.
    pub repos: BTreeMap<String, Vec<String>>,
    /// For every repository.
    #[serde(rename = "default")]
    pub everywhere: Vec<String>,
    /// Prow's preconfigured expressions do not apply.
    pub ignore_preconfigured_defaults: bool,
}

impl OwnersDirDenylist {
    /// All expressions that apply to a repository.
    pub fn list_ignored_dirs(&self, org: &str, repo: &str) -> Vec<&str> {
        let full = format!("{org}/{repo}");
        let own = [org, &full].into_iter();
        let own = own
            .filter_map(|key| repo_names::find_by_name(&self.repos, key))
            .flatten();
        let brought: &[&str] = if self.ignore_preconfigured_defaults {
            &[]
        } else {
            &PRECONFIGURED
        };
        let written = self.everywhere.iter().chain(own).map(String::as_str);
        written.chain(brought.iter().copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_add_up() {
        let mut list: OwnersDirDenylist = serde_json::from_value(serde_json::json!({
            "default": ["a"], "repos": {"o": ["b"], "o/r": ["c"], "p": ["d"]},
        }))
        .unwrap();
        assert_eq!(
            list.list_ignored_dirs("o", "r"),
            ["a", "b", "c", r"\.git$", "_output$", "vendor/.*/.*"]
        );
        list.ignore_preconfigured_defaults = true;
        assert_eq!(list.list_ignored_dirs("x", "r"), ["a"]);
    }
}
