//! Checks that a supplemental file of `config.yaml` or `plugins.yaml` is about the organisation
//! and repository whose folder it is in, so that folders can have owners of their own.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::config::{ConfigErrors, plugins::ConfigScope, yaml};

/// Fields of `branch-protection` that name organisations, repositories and branches.
const LEVELS: [&str; 3] = ["orgs", "repos", "branches"];

/// The scope of a supplemental file of `config.yaml` with the content `text`.
pub fn config_scope(file: &str, text: &str) -> Result<ConfigScope, ConfigErrors> {
    let part: Value = yaml::parse_yaml(file, text)?;
    let mut scope = ConfigScope::default();
    let mut add = |name: &str| {
        let names = if name.contains('/') {
            &mut scope.repos
        } else {
            &mut scope.orgs
        };
        names.insert(name.to_owned());
    };
    let protection = &part["branch-protection"];
    let tide = &part["tide"];
    for (org, level) in iter_fields(&protection["orgs"]) {
        if iter_fields(level).any(|(field, _)| !LEVELS.contains(&field)) {
            add(org);
        }
        iter_fields(&level["repos"]).for_each(|(repo, _)| add(&format!("{org}/{repo}")));
    }
    let slack = iter_fields(&part["slack_reporter_configs"]).map(|(name, _)| name);
    let merged = iter_fields(&tide["merge_method"]).map(|(name, _)| name);
    merged
        .chain(slack)
        .filter(|name| *name != "*")
        .for_each(&mut add);
    for query in tide["queries"].as_array().into_iter().flatten() {
        let lists = [&query["orgs"], &query["repos"]]
            .into_iter()
            .filter_map(Value::as_array);
        lists.flatten().filter_map(Value::as_str).for_each(&mut add);
    }
    let else_than = |section: &Value, known: &[&str]| {
        iter_fields(section).any(|(name, value)| !known.contains(&name) && !value.is_null())
    };
    scope.global = else_than(protection, &LEVELS)
        || else_than(tide, &["merge_method", "queries"])
        || part["slack_reporter_configs"].get("*").is_some()
        || else_than(
            &part,
            &["branch-protection", "tide", "slack_reporter_configs"],
        );
    Ok(scope)
}

fn iter_fields(section: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let fields = section.as_object().into_iter().flatten();
    fields.map(|(name, value)| (name.as_str(), value))
}

/// What is wrong with the folder of a supplemental file: `below` is its path in the folder that
/// `--supplemental-…-config-dir` names. At the top of that folder a file may have any scope.
pub fn find_misplacement(below: &str, scope: &ConfigScope) -> Option<String> {
    let (folder, _) = below.rsplit_once('/')?;
    let mut parts = folder.split('/');
    let (org, repo) = (parts.next()?, parts.next());
    if parts.next().is_some() {
        return Some("found it three folders deep, expected org/repo/ at most".to_owned());
    }
    let own = repo.map_or_else(|| org.to_owned(), |repo| format!("{org}/{repo}"));
    let found: BTreeSet<&String> = scope.orgs.union(&scope.repos).collect();
    if !scope.global && found.len() == 1 && found.contains(&own) {
        return None;
    }
    let mut others: Vec<&str> = Vec::new();
    if scope.global {
        others.push("everybody");
    }
    others.extend(
        found
            .into_iter()
            .filter(|name| **name != own)
            .map(String::as_str),
    );
    let found = if others.is_empty() {
        "nothing".to_owned()
    } else {
        format!("configuration of {}", others.join(", "))
    };
    Some(format!(
        "found {found}, expected that of {own} only, whose folder it is in"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_config_is_about_those_it_names() {
        for (text, global, orgs, repos) in [
            ("", false, &[][..], &[][..]),
            (
                "tide: {queries: [{orgs: [o], repos: [p/q]}]}",
                false,
                &["o"],
                &["p/q"],
            ),
            (
                "tide: {merge_method: {o: squash, o/r: rebase}}",
                false,
                &["o"],
                &["o/r"],
            ),
            ("tide: {sync_period: 1m}", true, &[], &[]),
            (
                "slack_reporter_configs: {'*': {}, o: {}}",
                true,
                &["o"],
                &[],
            ),
            (
                "branch-protection: {orgs: {o: {repos: {r: {}}}}}",
                false,
                &[],
                &["o/r"],
            ),
            (
                "branch-protection: {orgs: {o: {protect: true}}}",
                false,
                &["o"],
                &[],
            ),
            ("branch-protection: {protect: true}", true, &[], &[]),
            ("plank: {max_concurrency: 1}", true, &[], &[]),
        ] {
            let scope = config_scope("part", text).unwrap();
            assert_eq!(scope.global, global, "{text}");
            assert!(scope.orgs.iter().eq(orgs), "{text}");
            assert!(scope.repos.iter().eq(repos), "{text}");
        }
    }

    #[test]
    fn a_part_is_about_its_folder() {
        let scope = |global, names: &[&str]| {
            let (repos, orgs) = names
                .iter()
                .map(ToString::to_string)
                .partition(|name| name.contains('/'));
            ConfigScope {
                global,
                orgs,
                repos,
            }
        };
        for (below, global, names, told) in [
            ("x.yaml", true, &["o", "p/q"][..], None),
            ("o/x.yaml", false, &["o"], None),
            ("o/r/x.yaml", false, &["o/r"], None),
            (
                "o/x.yaml",
                true,
                &["o", "o/r"],
                Some(
                    "found configuration of everybody, o/r, expected that of o only, whose folder it is in",
                ),
            ),
            (
                "o/r/x.yaml",
                false,
                &["o"],
                Some("found configuration of o, expected that of o/r only, whose folder it is in"),
            ),
            (
                "o/r/x.yaml",
                false,
                &[],
                Some("found nothing, expected that of o/r only, whose folder it is in"),
            ),
            (
                "a/b/c/x.yaml",
                false,
                &["a/b"],
                Some("found it three folders deep, expected org/repo/ at most"),
            ),
        ] {
            assert_eq!(
                find_misplacement(below, &scope(global, names)).as_deref(),
                told,
                "{below} {names:?}"
            );
        }
    }
}
