//! The warning about contexts of which Tide is told two things at once.
//!
//! Which branches a repository has is not known here; those that are named somewhere are taken.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Subject;
use crate::config::{Path, Pattern, Presubmit, findings::Findings};

const RULE: &str = "tide-context-policy";

/// What a branch's policy comes to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Policy {
    required: BTreeSet<String>,
    required_if_present: BTreeSet<String>,
    optional: BTreeSet<String>,
    optional_regex: BTreeSet<String>,
    from_branch_protection: bool,
}

pub(super) fn check(subject: &Subject<'_>, findings: &mut Findings) {
    let unused = &subject.config.prow.unused;
    let options = unused
        .get("tide")
        .map_or(&Value::Null, |tide| &tide["context_options"]);
    let protection = unused.get("branch-protection").unwrap_or(&Value::Null);
    let tide = Path::Root.key("tide");
    let place = tide.key("context_options");
    let place = place.key("orgs");
    for (org_repo, branches) in branches(subject, options, protection) {
        let Some((org, repo)) = org_repo.split_once('/') else {
            continue;
        };
        let presubmits = subject.config.presubmits_for(&org_repo);
        for branch in branches {
            let at = [org, repo, &branch];
            let mut policy = options_at(options, at);
            let manual = policy.from_branch_protection && protect(&mut policy, protection, at);
            for job in presubmits
                .iter()
                .filter(|job| job.brancher.runs_on(&branch))
            {
                policy.add(job, manual);
            }
            if let Some(conflict) = policy.conflict() {
                let message =
                    format!("{org_repo} tells Tide two things of branch {branch}: {conflict}");
                let org = place.key(org);
                let repos = org.key("repos");
                findings.add(RULE, &subject.config_file, &repos.key(repo), message);
            }
        }
    }
}

/// By repository, the branches that jobs, branch protection or Tide's options name.
fn branches(
    subject: &Subject<'_>,
    options: &Value,
    protection: &Value,
) -> BTreeMap<String, BTreeSet<String>> {
    let mut known: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (org_repo, jobs) in &subject.config.jobs.presubmits {
        let named = jobs.iter().flat_map(|job| &job.brancher.branches);
        let named = named.map(|branch| branch.as_str().to_owned());
        known.entry(org_repo.clone()).or_default().extend(named);
    }
    for section in [options, protection] {
        for (org, below) in entries(&section["orgs"]) {
            for (repo, below) in entries(&below["repos"]) {
                let named = entries(&below["branches"]).map(|(branch, _)| branch.clone());
                known
                    .entry(format!("{org}/{repo}"))
                    .or_default()
                    .extend(named);
            }
        }
    }
    for branches in known.values_mut().filter(|branches| branches.is_empty()) {
        branches.insert("master".to_owned());
    }
    known
}

/// The levels of a section that hold for a branch, from the widest.
fn levels<'a>(section: &'a Value, [org, repo, branch]: [&str; 3]) -> [&'a Value; 4] {
    let org = &section["orgs"][org];
    let repo = &org["repos"][repo];
    [section, org, repo, &repo["branches"][branch]]
}

fn options_at(options: &Value, at: [&str; 3]) -> Policy {
    let mut policy = Policy::default();
    for level in levels(options, at) {
        policy.required.extend(texts(&level["required-contexts"]));
        policy
            .required_if_present
            .extend(texts(&level["required-if-present-contexts"]));
        policy.optional.extend(texts(&level["optional-contexts"]));
        policy
            .optional_regex
            .extend(texts(&level["optional-regex-contexts"]));
        if let Some(set) = level["from-branch-protection"].as_bool() {
            policy.from_branch_protection = set;
        }
    }
    policy
}

/// Adds the contexts that GitHub requires; whether jobs that only a comment starts are required.
fn protect(policy: &mut Policy, protection: &Value, at: [&str; 3]) -> bool {
    let levels = levels(protection, at);
    let last = |key: &str| levels.iter().rev().find_map(|level| level[key].as_bool());
    if last("protect") == Some(true) {
        let contexts = levels
            .iter()
            .map(|level| &level["required_status_checks"]["contexts"]);
        policy.required.extend(contexts.flat_map(texts));
    }
    last("require_manually_triggered_jobs") == Some(true)
}

impl Policy {
    fn add(&mut self, job: &Presubmit, manual: bool) {
        let list = if !job.context_required() {
            &mut self.optional
        } else if job.triggers_conditionally() && !(manual && job.needs_explicit_trigger()) {
            &mut self.required_if_present
        } else {
            &mut self.required
        };
        list.insert(job.context.clone());
    }

    fn conflict(&self) -> Option<String> {
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
            let pattern = match Pattern::new(source) {
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

fn entries(section: &Value) -> impl Iterator<Item = (&String, &Value)> {
    section.as_object().into_iter().flatten()
}

fn texts(list: &Value) -> impl Iterator<Item = String> {
    let texts = list
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    texts.map(str::to_owned)
}
