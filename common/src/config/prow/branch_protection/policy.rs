//! The policy of one level of branch protection.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct BranchProtectionPolicy {
    /// GitHub's settings are left unchanged.
    pub unmanaged: Option<bool>,
    pub protect: Option<bool>,
    pub required_status_checks: Option<RequiredStatusChecks>,
    /// Administrators must keep the policy, too.
    pub enforce_admins: Option<bool>,
    pub restrictions: Option<PushRestrictions>,
    /// Jobs that only a comment triggers are required.
    pub require_manually_triggered_jobs: Option<bool>,
    pub required_pull_request_reviews: Option<ReviewPolicy>,
    /// No merge commits.
    pub required_linear_history: Option<bool>,
    pub allow_force_pushes: Option<bool>,
    pub allow_deletions: Option<bool>,
    pub require_signed_commits: Option<bool>,
    /// Regular expressions of branches that the policy does not apply to.
    pub exclude: Vec<String>,
    /// Regular expressions of the branches that the policy applies to; all unless set.
    pub include: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RequiredStatusChecks {
    pub contexts: Vec<String>,
    /// The branch of a pull request must be up to date.
    pub strict: Option<bool>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ReviewPolicy {
    /// Who may dismiss a review.
    pub dismissal_restrictions: Option<UsersAndTeams>,
    /// A new commit dismisses the reviews before it.
    pub dismiss_stale_reviews: Option<bool>,
    pub require_code_owner_reviews: Option<bool>,
    pub required_approving_review_count: Option<i64>,
    /// Who needs no review.
    pub bypass_pull_request_allowances: Option<UsersAndTeams>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct UsersAndTeams {
    pub users: Vec<String>,
    pub teams: Vec<String>,
}

/// Who may push.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PushRestrictions {
    pub apps: Vec<String>,
    pub users: Vec<String>,
    pub teams: Vec<String>,
}

impl BranchProtectionPolicy {
    /// Whether anything is set.
    pub fn is_set(&self) -> bool {
        *self != Self::default()
    }

    /// Whether anything besides `unmanaged` is set.
    pub fn has_settings(&self) -> bool {
        let rest = Self {
            unmanaged: None,
            ..self.clone()
        };
        rest.is_set()
    }
}
