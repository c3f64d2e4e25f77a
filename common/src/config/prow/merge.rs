//! Supplemental files of `config.yaml`: what they may contain, and how they are merged.

use std::{collections::BTreeMap, sync::Arc};

use super::{BranchProtection, BranchProtectionPolicy, ProwConfig, TideConfig};
use crate::config::{
    ConfigPath, PathSegment,
    diagnostics::Diagnostics,
    source_map::{SUPPLEMENTAL_DUPLICATE, SupplementalMerge, differing_keys, key_path},
};

/// What a supplemental file may contain.
const MERGEABLE: &str =
    "branch-protection, slack_reporter_configs, tide.merge_method, tide.queries";

impl ProwConfig {
    /// Merges a supplemental file.
    pub(super) fn merge_part(&mut self, part: Self, file: &Arc<str>, findings: &mut Diagnostics) {
        let mut merge = SupplementalMerge {
            places: &mut self.places,
            file: Arc::clone(file),
            findings,
        };
        for path in part.not_mergeable() {
            let message =
                format!("only --config-path may say this; a further part has {MERGEABLE}");
            merge.refuse_value("supplemental-section", &path, message);
        }
        merge.append_list(
            &mut self.tide.queries,
            part.tide.queries,
            &["tide", "queries"],
        );
        merge.merge_entries(
            &mut self.tide.merge_method,
            part.tide.merge_method,
            &["tide", "merge_method"],
        );
        merge.merge_entries(
            &mut self.slack_reporter_configs,
            part.slack_reporter_configs,
            &["slack_reporter_configs"],
        );
        let (into, from) = (&mut self.branch_protection, part.branch_protection);
        merge_branch_protection(&mut merge, into, from);
        self.unused.extend(part.unused);
    }

    /// Fields of this file that only the main file may have.
    fn not_mergeable(&self) -> Vec<Vec<PathSegment>> {
        let mut tide = self.tide.clone();
        tide.queries.clear();
        tide.merge_method.clear();
        let of_tide = differing_keys(&tide, &TideConfig::default());
        let rest = Self {
            branch_protection: BranchProtection::default(),
            slack_reporter_configs: BTreeMap::new(),
            tide: TideConfig::default(),
            ..self.clone()
        };
        let sections = differing_keys(&rest, &Self::default());
        let sections = sections.iter().map(|section| key_path(&[], section));
        sections
            .chain(of_tide.iter().map(|field| key_path(&["tide"], field)))
            .collect()
    }
}

const BRANCH_PROTECTION: &str = "branch-protection";

/// Only one file may set the policy of a level, or a switch.
fn merge_branch_protection(
    merge: &mut SupplementalMerge<'_>,
    into: &mut BranchProtection,
    from: BranchProtection,
) {
    let at = [BRANCH_PROTECTION];
    merge_policy(merge, &mut into.policy, from.policy, &at);
    for (key, into, from) in [
        (
            "protect-tested-repos",
            &mut into.protect_tested_repos,
            from.protect_tested_repos,
        ),
        (
            "allow_disabled_policies",
            &mut into.allow_disabled_policies,
            from.allow_disabled_policies,
        ),
        (
            "allow_disabled_job_policies",
            &mut into.allow_disabled_job_policies,
            from.allow_disabled_job_policies,
        ),
        (
            "protect_repos_with_optional_jobs",
            &mut into.protect_repos_with_optional_jobs,
            from.protect_repos_with_optional_jobs,
        ),
    ] {
        merge.merge_value(into, from, &key_path(&at, key));
    }
    for (name, org) in from.orgs {
        let at = [BRANCH_PROTECTION, "orgs", &name];
        let into = get_or_insert_entry(merge, &mut into.orgs, &at);
        merge_policy(merge, &mut into.policy, org.policy, &at);
        for (repo_name, repo) in org.repos {
            let at = [BRANCH_PROTECTION, "orgs", &name, "repos", &repo_name];
            let into = get_or_insert_entry(merge, &mut into.repos, &at);
            merge_policy(merge, &mut into.policy, repo.policy, &at);
            for (branch, of_branch) in repo.branches {
                let at = [&at[..], &["branches", &branch]].concat();
                let into = get_or_insert_entry(merge, &mut into.branches, &at);
                merge_policy(merge, into, of_branch, &at);
            }
        }
    }
}

/// The entry to merge into; the source of a new entry is the supplemental file.
fn get_or_insert_entry<'m, T: Default>(
    merge: &mut SupplementalMerge<'_>,
    into: &'m mut BTreeMap<String, T>,
    at: &[&str],
) -> &'m mut T {
    let (name, above) = at.split_last().expect("an entry has a name");
    if !into.contains_key(*name) {
        merge.record_source(key_path(above, name));
    }
    into.entry((*name).to_owned()).or_default()
}

fn merge_policy(
    merge: &mut SupplementalMerge<'_>,
    into: &mut BranchProtectionPolicy,
    from: BranchProtectionPolicy,
    at: &[&str],
) {
    let nothing = BranchProtectionPolicy::default();
    let (own, more) = (
        differing_keys(into, &nothing),
        differing_keys(&from, &nothing),
    );
    let Some(first) = more.first() else { return };
    if let Some(own) = own.first() {
        let (file, _) = merge
            .places
            .locate_path(&ConfigPath::Below(&key_path(at, own)));
        let message = format!("a policy of this level is already in {file}");
        return merge.refuse_value(SUPPLEMENTAL_DUPLICATE, &key_path(at, first), message);
    }
    for field in &more {
        merge.record_source(key_path(at, field));
    }
    *into = from;
}

#[cfg(test)]
mod tests {
    use crate::config::prow::tests::merged;

    const MAIN: &str = "
tide:
  sync_period: 1m
  queries: [{orgs: [o]}]
  merge_method: {o: squash}
slack_reporter_configs: {o: {channel: c}}
branch-protection:
  allow_disabled_policies: true
  orgs: {o: {repos: {r: {protect: true}}}}
";

    #[test]
    fn parts_add_up() {
        let part = "
tide: {queries: [{orgs: [p], repos: [q/r]}], merge_method: {p: rebase}}
slack_reporter_configs: {'*': {channel: d}}
branch-protection:
  protect: false
  orgs:
    o: {enforce_admins: true, repos: {s: {protect: true}, r: {branches: {main: {protect: false}}}}}
    p: {protect: true}
";
        let whole = "
tide:
  sync_period: 1m
  queries: [{orgs: [o]}, {orgs: [p], repos: [q/r]}]
  merge_method: {o: squash, p: rebase}
slack_reporter_configs: {o: {channel: c}, '*': {channel: d}}
branch-protection:
  allow_disabled_policies: true
  protect: false
  orgs:
    o:
      enforce_admins: true
      repos: {r: {protect: true, branches: {main: {protect: false}}}, s: {protect: true}}
    p: {protect: true}
";
        let mut found = merged(MAIN, part).unwrap();
        found.places = Default::default();
        let mut expected = merged(whole, "").unwrap();
        expected.places = Default::default();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_part_neither_repeats_nor_says_what_is_for_all() {
        for (part, message) in [
            (
                "plank: {max_concurrency: 1}",
                "o/x_prowconfig.yaml:1:1: plank: only --config-path may say this; a further part has branch-protection, slack_reporter_configs, tide.merge_method, tide.queries",
            ),
            (
                "tide:\n  sync_period: 2m",
                "o/x_prowconfig.yaml:2:3: tide.sync_period: only --config-path may say this; a further part has branch-protection, slack_reporter_configs, tide.merge_method, tide.queries",
            ),
            (
                "tide:\n  merge_method: {o: merge}",
                "o/x_prowconfig.yaml:2:18: tide.merge_method.o: is already in config.yaml",
            ),
            (
                "slack_reporter_configs: {o: {channel: d}}",
                "o/x_prowconfig.yaml:1:26: slack_reporter_configs.o: is already in config.yaml",
            ),
            (
                "branch-protection: {allow_disabled_policies: false}",
                "o/x_prowconfig.yaml:1:21: branch-protection.allow_disabled_policies: is already in config.yaml",
            ),
            (
                "branch-protection: {orgs: {o: {repos: {r: {exclude: [a]}}}}}",
                "o/x_prowconfig.yaml:1:44: branch-protection.orgs.o.repos.r.exclude: a policy of this level is already in config.yaml",
            ),
        ] {
            assert_eq!(merged(MAIN, part).unwrap_err(), message);
        }
    }

    #[test]
    fn a_policy_is_in_one_file() {
        let all = "branch-protection: {protect: true, orgs: {o: {protect: true, repos: {r: {branches: {b: {protect: true}}}}}}}";
        assert_eq!(
            merged(all, all).unwrap_err(),
            "o/x_prowconfig.yaml:1:21: branch-protection.protect: a policy of this level is already in config.yaml\n\
             o/x_prowconfig.yaml:1:47: branch-protection.orgs.o.protect: a policy of this level is already in config.yaml\n\
             o/x_prowconfig.yaml:1:89: branch-protection.orgs.o.repos.r.branches.b.protect: a policy of this level is already in config.yaml"
        );
    }

    #[test]
    fn mistakes_in_a_part_are_told_there() {
        assert_eq!(
            merged(
                MAIN,
                "tide:\n  queries: [{orgs: [a]}, {orgs: [o/r]}]\nslack_reporter_configs:\n  p: {}"
            )
            .unwrap_err(),
            "o/x_prowconfig.yaml:2:34: tide.queries[1].orgs[0]: found \"o/r\", expected the name of an organisation\n\
             o/x_prowconfig.yaml:4:3: slack_reporter_configs.p.channel: is required"
        );
    }
}
