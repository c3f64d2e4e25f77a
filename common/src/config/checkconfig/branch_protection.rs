//! Warnings about `branch-protection`. They depend on the level at which a setting is made.

use std::collections::BTreeMap;

use super::{CheckconfigInput, tide};
use crate::config::{
    ConfigPath,
    diagnostics::Diagnostics,
    plugins::RepoSet,
    prow::{BranchProtectionPolicy, ProtectedOrg, ProtectedRepo},
};

/// The `protect` and the `required_status_checks.strict` of a policy.
type StrictPolicy = (Option<bool>, Option<bool>);

/// Settings that the policy leaves out are those of `above`.
fn strict_at(policy: &BranchProtectionPolicy, above: StrictPolicy) -> StrictPolicy {
    let checks = policy.required_status_checks.as_ref();
    let strict = checks.and_then(|checks| checks.strict);
    (policy.protect.or(above.0), strict.or(above.1))
}

fn is_managed(policy: &BranchProtectionPolicy) -> bool {
    policy.unmanaged == Some(false)
}

fn is_unmanaged(policy: &BranchProtectionPolicy) -> bool {
    policy.unmanaged == Some(true)
}

fn has_managed_branches(repo: &ProtectedRepo) -> bool {
    repo.branches.values().any(is_managed)
}

fn has_managed_below(org: &ProtectedOrg) -> bool {
    let mut repos = org.repos.values();
    repos.any(|repo| is_managed(&repo.policy) || has_managed_branches(repo))
}

const STRICT: StrictPolicy = (Some(true), Some(true));

/// Tide merges what was tested together with its base, so GitHub need not require that branches
/// are up to date; where it does, Tide cannot merge.
pub(super) fn check_strict_branches(subject: &CheckconfigInput<'_>, findings: &mut Diagnostics) {
    let queries = &subject.config.prow.tide.queries;
    if queries.is_empty() {
        return;
    }
    let rule = "tide-strict-branch";
    let path = ConfigPath::Root.key("branch-protection");
    let all = &subject.config.prow.branch_protection;
    let everywhere = strict_at(&all.policy, (None, None));
    if everywhere == STRICT {
        let message = "every branch has to be up to date to merge, which Tide cannot wait for";
        return subject.add_diagnostic(rule, &path, message, findings);
    }
    let both = tide::covered_repos(queries).intersection(&strict_places(&all.orgs, everywhere));
    let orgs = path.key("orgs");
    for item in both.iter_items() {
        let message = format!(
            "{item} is merged by Tide, and branch protection wants its branches up to date, which \
             Tide cannot wait for"
        );
        let (org, repo) = item
            .config_key()
            .split_once('/')
            .unwrap_or((item.config_key(), ""));
        let org = orgs.key(org);
        let repos = org.key("repos");
        let place = if repo.is_empty() {
            org
        } else {
            repos.key(repo)
        };
        subject.add_diagnostic(rule, &place, message, findings);
    }
}

/// A repository counts as strict if one of its branches is.
fn strict_places(orgs: &BTreeMap<String, ProtectedOrg>, everywhere: StrictPolicy) -> RepoSet {
    let mut places = RepoSet::default();
    for (org_name, org) in orgs {
        let of_org = strict_at(&org.policy, everywhere);
        let (strict, others): (Vec<_>, Vec<_>) = org.repos.iter().partition(|(_, repo)| {
            let of_repo = strict_at(&repo.policy, of_org);
            let mut branches = repo.branches.values();
            of_repo == STRICT || branches.any(|branch| strict_at(branch, of_repo) == STRICT)
        });
        let full = |(name, _): (&String, &ProtectedRepo)| format!("{org_name}/{name}");
        if of_org == STRICT {
            let others = others.into_iter().map(full).collect();
            places.orgs.insert(org_name.clone(), others);
        } else {
            places.repos.extend(strict.into_iter().map(full));
        }
    }
    places
}

/// An unmanaged level is left alone, so its settings have no effect. As in Prow, there is no
/// warning if a level below it is managed.
pub(super) fn check_unmanaged_branches(subject: &CheckconfigInput<'_>, findings: &mut Diagnostics) {
    let mut tell = |path: &ConfigPath<'_>, message: String| {
        let rule = "validate-unmanaged-branchconfig-has-no-subconfig";
        subject.add_diagnostic(rule, path, message, findings);
    };
    let all = &subject.config.prow.branch_protection;
    let path = ConfigPath::Root.key("branch-protection");
    let nothing = is_unmanaged(&all.policy);
    let any_managed = |org: &ProtectedOrg| is_managed(&org.policy) || has_managed_below(org);
    if nothing && all.policy.has_settings() && !all.orgs.values().any(any_managed) {
        tell(&path, "everything is unmanaged, and has settings".into());
    }
    let orgs = path.key("orgs");
    for (name, org) in &all.orgs {
        let path = orgs.key(name);
        if nothing && !org.repos.values().any(|repo| is_managed(&repo.policy)) {
            let message = format!("{name} is configured, and everything is unmanaged");
            tell(&path, message);
        }
        check_unmanaged_org(name, org, &path, &mut tell);
    }
}

fn check_unmanaged_org(
    name: &str,
    org: &ProtectedOrg,
    path: &ConfigPath<'_>,
    tell: &mut impl FnMut(&ConfigPath<'_>, String),
) {
    let nothing = is_unmanaged(&org.policy);
    if nothing && org.policy.has_settings() && !has_managed_below(org) {
        tell(path, format!("{name} is unmanaged, and has settings"));
    }
    let repos = path.key("repos");
    for (repo_name, repo) in &org.repos {
        let name = format!("{name}/{repo_name}");
        let path = repos.key(repo_name);
        if nothing && !has_managed_branches(repo) {
            let message = format!("{name} is configured, and its organisation is unmanaged");
            tell(&path, message);
        }
        check_unmanaged_repo(&name, repo, &path, tell);
    }
}

fn check_unmanaged_repo(
    name: &str,
    repo: &ProtectedRepo,
    path: &ConfigPath<'_>,
    tell: &mut impl FnMut(&ConfigPath<'_>, String),
) {
    let nothing = is_unmanaged(&repo.policy);
    if nothing && repo.policy.has_settings() && !has_managed_branches(repo) {
        tell(path, format!("{name} is unmanaged, and has settings"));
    }
    let branches = path.key("branches");
    for (branch_name, branch) in &repo.branches {
        let path = branches.key(branch_name);
        if nothing && !is_managed(branch) {
            let message = format!("{name} is unmanaged, and has settings for {branch_name}");
            tell(&path, message);
        } else if is_unmanaged(branch) && branch.has_settings() {
            let message = format!("{name} has settings for {branch_name}, which is unmanaged");
            tell(&path, message);
        }
    }
}
