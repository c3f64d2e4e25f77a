//! `branch-protection`: what GitHub requires before it merges into a branch.

mod policy;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use policy::{
    BranchProtectionPolicy, PushRestrictions, RequiredStatusChecks, ReviewPolicy, UsersAndTeams,
};

use crate::{
    config::{ConfigPath, section_diagnostics::SectionDiagnostics},
    repo_names,
};

/// Policy for everything, and by organisation. What a level leaves out comes from the level
/// above; its lists add to those above.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct BranchProtection {
    #[serde(flatten)]
    pub policy: BranchProtectionPolicy,
    /// Repositories with jobs are protected whether or not they are listed.
    #[serde(rename = "protect-tested-repos")]
    pub protect_tested_repos: Option<bool>,
    pub orgs: BTreeMap<String, ProtectedOrg>,
    /// A level may disable protection that a level above enables.
    pub allow_disabled_policies: Option<bool>,
    /// A branch may be unprotected although jobs are required for it.
    pub allow_disabled_job_policies: Option<bool>,
    /// Repositories whose jobs are all optional are protected, too.
    pub protect_repos_with_optional_jobs: Option<bool>,
}

/// Policy for an organisation, and by the bare name of its repositories.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ProtectedOrg {
    #[serde(flatten)]
    pub policy: BranchProtectionPolicy,
    pub repos: BTreeMap<String, ProtectedRepo>,
}

/// Policy for a repository, and by branch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ProtectedRepo {
    #[serde(flatten)]
    pub policy: BranchProtectionPolicy,
    pub branches: BTreeMap<String, BranchProtectionPolicy>,
}

impl BranchProtection {
    /// The policies that apply to a branch, from the widest level.
    pub fn policy_levels(
        &self,
        org: &str,
        repo: &str,
        branch: &str,
    ) -> impl Iterator<Item = &BranchProtectionPolicy> {
        let org = repo_names::find_by_name(&self.orgs, org);
        let repo = org.and_then(|org| repo_names::find_by_name(&org.repos, repo));
        let branch = repo.and_then(|repo| repo.branches.get(branch));
        let narrower = [org.map(|it| &it.policy), repo.map(|it| &it.policy), branch];
        [&self.policy]
            .into_iter()
            .chain(narrower.into_iter().flatten())
    }

    /// Prow checks the widest level only.
    pub(super) fn check_branch_protection(&self, report: &mut SectionDiagnostics<'_>) {
        if !self.policy.include.is_empty() && !self.policy.exclude.is_empty() {
            report.add_diagnostic(
                "branch-protection-branches",
                &ConfigPath::Root.key("branch-protection").key("exclude"),
                "include and exclude exclude each other",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::prow::tests::{loaded, refused};

    #[test]
    fn branches_are_included_or_excluded() {
        assert_eq!(
            refused("branch-protection: {include: [a], exclude: [b]}"),
            "config.yaml:1:35: branch-protection.exclude: include and exclude exclude each other"
        );
    }

    #[test]
    fn levels_go_from_wide_to_narrow() {
        let protection = loaded(
            "
branch-protection:
  protect: true
  orgs:
    o:
      enforce_admins: true
      repos:
        r:
          required_status_checks: {contexts: [a], strict: true}
          branches:
            main: {protect: false}
",
        )
        .branch_protection;
        let protect = |branch| {
            let levels = protection.policy_levels("o", "r", branch);
            levels.map(|policy| policy.protect).collect::<Vec<_>>()
        };
        assert_eq!(protect("main"), [Some(true), None, None, Some(false)]);
        assert_eq!(protect("dev"), [Some(true), None, None]);
        assert_eq!(protection.policy_levels("p", "r", "main").count(), 1);
    }
}
