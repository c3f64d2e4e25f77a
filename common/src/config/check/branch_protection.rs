//! Warnings about `branch-protection`. It is looked at as written: what matters is at which
//! level something is said.

use serde_json::{Map, Value};

use super::{Subject, tide};
use crate::config::{Path, findings::Findings, plugins::Where};

/// Fields of a level that are no part of its policy.
const NO_POLICY: [&str; 8] = [
    "unmanaged",
    "orgs",
    "repos",
    "branches",
    "protect-tested-repos",
    "allow_disabled_policies",
    "allow_disabled_job_policies",
    "protect_repos_with_optional_jobs",
];

/// An organisation, a repository, a branch, or everything.
#[derive(Clone, Copy)]
struct Level<'a>(&'a Value);

impl<'a> Level<'a> {
    /// The levels below, by name.
    fn below(self, kind: &str) -> impl Iterator<Item = (&'a str, Self)> {
        let levels = self.0[kind].as_object().into_iter().flatten();
        levels.map(|(name, level)| (name.as_str(), Self(level)))
    }

    fn unmanaged(self) -> Option<bool> {
        self.0["unmanaged"].as_bool()
    }

    fn is_managed(self) -> bool {
        self.unmanaged() == Some(false)
    }

    fn has_settings(self) -> bool {
        let fields: Option<&Map<_, _>> = self.0.as_object();
        fields.is_some_and(|fields| {
            let mut set = fields.iter().filter(|(_, value)| !value.is_null());
            set.any(|(name, _)| !NO_POLICY.contains(&name.as_str()))
        })
    }

    fn has_managed_branches(self) -> bool {
        self.below("branches")
            .any(|(_, branch)| branch.is_managed())
    }

    /// Whether the policy protects and wants branches up to date. What it leaves out is `above`.
    fn strict(self, above: (Option<bool>, Option<bool>)) -> (Option<bool>, Option<bool>) {
        let protect = self.0["protect"].as_bool();
        let strict = self.0["required_status_checks"]["strict"].as_bool();
        (protect.or(above.0), strict.or(above.1))
    }
}

const STRICT: (Option<bool>, Option<bool>) = (Some(true), Some(true));

/// Tide merges what was tested together with its base, so that GitHub need not want the branch
/// up to date; where it does, Tide cannot merge.
pub(super) fn strict(subject: &Subject<'_>, findings: &mut Findings) {
    let queries = tide::queries(subject);
    let Some(section) = subject.config.prow.unused.get("branch-protection") else {
        return;
    };
    if queries.is_empty() {
        return;
    }
    let rule = "tide-strict-branch";
    let path = Path::Root.key("branch-protection");
    let all = Level(section);
    let everywhere = all.strict((None, None));
    if everywhere == STRICT {
        let message = "every branch has to be up to date to merge, which Tide cannot wait for";
        return findings.add(rule, &subject.config_file, &path, message);
    }
    let both = tide::covered(&queries).intersection(&strict_places(all, everywhere));
    let orgs = path.key("orgs");
    for item in both.items() {
        let message = format!(
            "{item} is merged by Tide, and branch protection wants its branches up to date, which \
             Tide cannot wait for"
        );
        let (org, repo) = item.key().split_once('/').unwrap_or((item.key(), ""));
        let org = orgs.key(org);
        let repos = org.key("repos");
        let place = if repo.is_empty() {
            org
        } else {
            repos.key(repo)
        };
        findings.add(rule, &subject.config_file, &place, message);
    }
}

/// A repository is strict where one of its branches is.
fn strict_places(all: Level<'_>, everywhere: (Option<bool>, Option<bool>)) -> Where {
    let mut places = Where::default();
    for (org_name, org) in all.below("orgs") {
        let of_org = org.strict(everywhere);
        let (strict, others): (Vec<_>, Vec<_>) = org.below("repos").partition(|(_, repo)| {
            let of_repo = repo.strict(of_org);
            let mut branches = repo.below("branches");
            of_repo == STRICT || branches.any(|(_, branch)| branch.strict(of_repo) == STRICT)
        });
        let full = |(name, _): (&str, Level<'_>)| format!("{org_name}/{name}");
        if of_org == STRICT {
            let others = others.into_iter().map(full).collect();
            places.orgs.insert(org_name.to_owned(), others);
        } else {
            places.repos.extend(strict.into_iter().map(full));
        }
    }
    places
}

/// What is unmanaged is left alone, so that settings for it do nothing. As in Prow, a level
/// below that is managed speaks for the settings above it.
pub(super) fn unmanaged(subject: &Subject<'_>, findings: &mut Findings) {
    let Some(section) = subject.config.prow.unused.get("branch-protection") else {
        return;
    };
    let mut tell = |path: &Path<'_>, message: String| {
        findings.add(
            "validate-unmanaged-branchconfig-has-no-subconfig",
            &subject.config_file,
            path,
            message,
        );
    };
    let all = Level(section);
    let path = Path::Root.key("branch-protection");
    let is_unmanaged = all.unmanaged() == Some(true);
    let any_managed = all.below("orgs").any(|(_, org)| {
        let managed_repo =
            |(_, repo): (_, Level<'_>)| repo.is_managed() || repo.has_managed_branches();
        org.is_managed() || org.below("repos").any(managed_repo)
    });
    if is_unmanaged && all.has_settings() && !any_managed {
        tell(&path, "everything is unmanaged, and has settings".into());
    }
    let orgs = path.key("orgs");
    for (name, org) in all.below("orgs") {
        let path = orgs.key(name);
        if is_unmanaged && !org.below("repos").any(|(_, repo)| repo.is_managed()) {
            let message = format!("{name} is configured, and everything is unmanaged");
            tell(&path, message);
        }
        organisation(name, org, &path, &mut tell);
    }
}

fn organisation(
    name: &str,
    org: Level<'_>,
    path: &Path<'_>,
    tell: &mut impl FnMut(&Path<'_>, String),
) {
    let is_unmanaged = org.unmanaged() == Some(true);
    let managed_below = org
        .below("repos")
        .any(|(_, repo)| repo.is_managed() || repo.has_managed_branches());
    if is_unmanaged && org.has_settings() && !managed_below {
        tell(path, format!("{name} is unmanaged, and has settings"));
    }
    let repos = path.key("repos");
    for (repo_name, repo) in org.below("repos") {
        let name = format!("{name}/{repo_name}");
        let path = repos.key(repo_name);
        if is_unmanaged && !repo.has_managed_branches() {
            let message = format!("{name} is configured, and its organisation is unmanaged");
            tell(&path, message);
        }
        repository(&name, repo, &path, tell);
    }
}

fn repository(
    name: &str,
    repo: Level<'_>,
    path: &Path<'_>,
    tell: &mut impl FnMut(&Path<'_>, String),
) {
    let is_unmanaged = repo.unmanaged() == Some(true);
    if is_unmanaged && repo.has_settings() && !repo.has_managed_branches() {
        tell(path, format!("{name} is unmanaged, and has settings"));
    }
    let branches = path.key("branches");
    for (branch_name, branch) in repo.below("branches") {
        let path = branches.key(branch_name);
        if is_unmanaged && !branch.is_managed() {
            let message = format!("{name} is unmanaged, and has settings for {branch_name}");
            tell(&path, message);
        } else if branch.unmanaged() == Some(true) && branch.has_settings() {
            let message = format!("{name} has settings for {branch_name}, which is unmanaged");
            tell(&path, message);
        }
    }
}
