//! The warning about contexts for which Tide has contradictory settings.
//!
//! The branches of a repository are not known here; those that are named somewhere are checked.

use std::collections::{BTreeMap, BTreeSet};

use super::CheckconfigInput;
use crate::config::{
    ConfigPath, GoRegexp, Presubmit,
    diagnostics::Diagnostics,
    prow::{BranchProtection, TideContextPolicyOptions},
};

const RULE: &str = "tide-context-policy";

/// The merged policy of a branch.
#[derive(Debug, Default, PartialEq, Eq)]
struct MergedContextPolicy {
    required: BTreeSet<String>,
    required_if_present: BTreeSet<String>,
    optional: BTreeSet<String>,
    optional_regex: BTreeSet<String>,
    from_branch_protection: bool,
}

pub(super) fn check_context_policy(subject: &CheckconfigInput<'_>, findings: &mut Diagnostics) {
    let prow = &subject.config.prow;
    let (options, protection) = (&prow.tide.context_options, &prow.branch_protection);
    let tide = ConfigPath::Root.key("tide");
    let place = tide.key("context_options");
    let place = place.key("orgs");
    for (org_repo, branches) in known_branches(subject) {
        let Some((org, repo)) = org_repo.split_once('/') else {
            continue;
        };
        let presubmits = subject.config.presubmits_for(&org_repo);
        for branch in branches {
            let at = [org, repo, &branch];
            let mut policy = merge_context_options(options, at);
            let manual = policy.from_branch_protection
                && add_protected_contexts(&mut policy, protection, at);
            for job in presubmits
                .iter()
                .filter(|job| job.brancher.runs_on(&branch))
            {
                policy.add_job(job, manual);
            }
            if let Some(conflict) = policy.find_conflict() {
                let message =
                    format!("{org_repo} tells Tide two things of branch {branch}: {conflict}");
                let org = place.key(org);
                let repos = org.key("repos");
                subject.add_diagnostic(RULE, &repos.key(repo), message, findings);
            }
        }
    }
}

/// By repository, the branches that jobs, branch protection or Tide's options name.
fn known_branches(subject: &CheckconfigInput<'_>) -> BTreeMap<String, BTreeSet<String>> {
    let prow = &subject.config.prow;
    let mut known: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (org_repo, jobs) in &subject.config.jobs.presubmits {
        let named = jobs.iter().flat_map(|job| &job.brancher.branches);
        let named = named.map(|branch| branch.as_str().to_owned());
        known.entry(org_repo.clone()).or_default().extend(named);
    }
    for (org, below) in &prow.tide.context_options.orgs {
        for (repo, below) in &below.repos {
            let branches = known.entry(format!("{org}/{repo}")).or_default();
            branches.extend(below.branches.keys().cloned());
        }
    }
    for (org, below) in &prow.branch_protection.orgs {
        for (repo, below) in &below.repos {
            let branches = known.entry(format!("{org}/{repo}")).or_default();
            branches.extend(below.branches.keys().cloned());
        }
    }
    for branches in known.values_mut().filter(|branches| branches.is_empty()) {
        branches.insert("master".to_owned());
    }
    known
}

fn merge_context_options(
    options: &TideContextPolicyOptions,
    [org, repo, branch]: [&str; 3],
) -> MergedContextPolicy {
    let mut policy = MergedContextPolicy::default();
    for level in options.policy_levels(org, repo, branch) {
        let add = |into: &mut BTreeSet<String>, list: &[String]| into.extend(list.iter().cloned());
        add(&mut policy.required, &level.required_contexts);
        add(
            &mut policy.required_if_present,
            &level.required_if_present_contexts,
        );
        add(&mut policy.optional, &level.optional_contexts);
        add(&mut policy.optional_regex, &level.optional_regex_contexts);
        if let Some(set) = level.from_branch_protection {
            policy.from_branch_protection = set;
        }
    }
    policy
}

/// Adds the contexts that GitHub requires; returns whether manually triggered jobs are required.
fn add_protected_contexts(
    policy: &mut MergedContextPolicy,
    protection: &BranchProtection,
    [org, repo, branch]: [&str; 3],
) -> bool {
    let levels = || protection.policy_levels(org, repo, branch);
    if levels().filter_map(|level| level.protect).last() == Some(true) {
        let checks = levels().filter_map(|level| level.required_status_checks.as_ref());
        let contexts = checks.flat_map(|checks| &checks.contexts);
        policy.required.extend(contexts.cloned());
    }
    let manual = levels().filter_map(|level| level.require_manually_triggered_jobs);
    manual.last() == Some(true)
}

impl MergedContextPolicy {
    fn add_job(&mut self, job: &Presubmit, manual: bool) {
        let list = if !job.context_required() {
            &mut self.optional
        } else if job.triggers_conditionally() && !(manual && job.needs_explicit_trigger()) {
            &mut self.required_if_present
        } else {
            &mut self.required
        };
        list.insert(job.context.clone());
    }

    fn find_conflict(&self) -> Option<String> {
        let (required, present) = (&self.required, &self.required_if_present);
        for (a, b, words) in [
            (required, &self.optional, "required and optional"),
            (required, present, "required and required if present"),
            (&self.optional, present, "optional and required if present"),
        ] {
            if let Some(both) = a.intersection(b).next() {
                return Some(format!("the context {both:?} is {words}"));
            }
        }
        self.optional_regex.iter().find_map(|source| {
            let pattern = match GoRegexp::new(source) {
                Ok(pattern) => pattern,
                Err(error) => return Some(error),
            };
            let found = required
                .iter()
                .chain(present)
                .find(|it| pattern.is_match(it))?;
            Some(format!(
                "the context {found:?} is required and optional, by {source:?}"
            ))
        })
    }
}
