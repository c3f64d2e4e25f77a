//! `context_options`: which contexts a pull request needs to merge.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::repo_names;

/// Policy for everything, and by organisation. Lists of all levels add up; of any other setting
/// the narrowest counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TideContextPolicyOptions {
    #[serde(flatten)]
    pub policy: TideContextPolicy,
    pub orgs: BTreeMap<String, TideOrgContextPolicy>,
}

/// Policy for an organisation, and by the bare name of its repositories.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TideOrgContextPolicy {
    #[serde(flatten)]
    pub policy: TideContextPolicy,
    pub repos: BTreeMap<String, TideRepoContextPolicy>,
}

/// Policy for a repository, and by branch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TideRepoContextPolicy {
    #[serde(flatten)]
    pub policy: TideContextPolicy,
    pub branches: BTreeMap<String, TideContextPolicy>,
}

/// The policy of one level.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case")]
pub struct TideContextPolicy {
    /// Contexts that no list names are optional.
    pub skip_unknown_contexts: Option<bool>,
    pub required_contexts: Vec<String>,
    pub required_if_present_contexts: Vec<String>,
    pub optional_contexts: Vec<String>,
    /// Regular expressions.
    pub optional_regex_contexts: Vec<String>,
    /// Contexts that branch protection and jobs require are required here, too.
    pub from_branch_protection: Option<bool>,
    /// After a batch has passed, pending contexts of its pull requests are overwritten.
    pub overwrite_pending_contexts: Option<bool>,
}

impl TideContextPolicyOptions {
    /// The policies that apply to a branch, from the widest level.
    pub fn policy_levels(
        &self,
        org: &str,
        repo: &str,
        branch: &str,
    ) -> impl Iterator<Item = &TideContextPolicy> {
        let org = repo_names::find_by_name(&self.orgs, org);
        let repo = org.and_then(|org| repo_names::find_by_name(&org.repos, repo));
        let branch = repo.and_then(|repo| repo.branches.get(branch));
        let narrower = [org.map(|it| &it.policy), repo.map(|it| &it.policy), branch];
        [&self.policy]
            .into_iter()
            .chain(narrower.into_iter().flatten())
    }
}
