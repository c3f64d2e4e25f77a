//! The warnings by name, and which of them are looked for.

use std::collections::BTreeSet;

use super::{Subject, branch_protection, contexts, jobs, own_node, plugins, sections, tide};
use crate::config::{findings::Findings, problem::nearest};

/// When a warning is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// Unless others are chosen.
    Default,
    /// When it is chosen, or all are.
    Optional,
    /// As [`Set::Optional`]; it asks GitHub for each repository.
    Expensive,
    /// As [`Set::Default`]; checkconfig has none like it, so `--strict` does not count it.
    Own,
}

/// One of checkconfig's warnings.
#[derive(Clone, Copy, Debug)]
pub struct Warning {
    pub name: &'static str,
    pub set: Set,
    /// What it is about, for a page of help.
    pub about: &'static str,
    pub(super) check: Option<Check>,
}

pub(super) type Check = fn(&Subject<'_>, &mut Findings);

impl Warning {
    /// Whether it takes more than a loaded configuration: files as written, or GitHub.
    pub fn needs_caller(&self) -> bool {
        self.check.is_none()
    }
}

const fn warning(
    name: &'static str,
    set: Set,
    about: &'static str,
    check: Option<Check>,
) -> Warning {
    Warning {
        name,
        set,
        about,
        check,
    }
}

/// All of them, in checkconfig's order, and then our own.
pub static WARNINGS: [Warning; 28] = [
    warning(
        "mismatched-tide",
        Set::Default,
        "labels that Tide asks for or forbids, without the plugin that sets them",
        Some(tide::mismatched),
    ),
    warning(
        "tide-strict-branch",
        Set::Default,
        "branch protection that wants branches up to date, where Tide merges",
        Some(branch_protection::strict),
    ),
    warning(
        "tide-context-policy",
        Set::Default,
        "contexts that Tide cannot decide about",
        Some(contexts::check),
    ),
    warning(
        "mismatched-tide-lenient",
        Set::Default,
        "as mismatched-tide, for lgtm and approve; only where that is excluded",
        Some(tide::mismatched_lenient),
    ),
    warning(
        "non-decorated-jobs",
        Set::Default,
        "jobs in Kubernetes without the pod utilities",
        Some(jobs::non_decorated),
    ),
    warning(
        "long-job-names",
        Set::Default,
        "names that do not fit into a label (63 characters)",
        Some(jobs::long_names),
    ),
    warning(
        "duplicate-job-refs",
        Set::Default,
        "presubmits that clone a repository twice",
        Some(jobs::duplicate_refs),
    ),
    warning(
        "needs-ok-to-test",
        Set::Default,
        "Tide queries that require lgtm and forbid needs-ok-to-test",
        Some(tide::needs_ok_to_test),
    ),
    warning(
        "managed-webhooks",
        Set::Default,
        "webhooks of an organisation and of its repository",
        Some(sections::managed_webhooks),
    ),
    warning(
        "validate-owners",
        Set::Default,
        "plugins that read OWNERS, without verify-owners",
        Some(plugins::owners),
    ),
    warning(
        "missing-trigger",
        Set::Default,
        "jobs of repositories where the trigger plugin is not enabled",
        Some(plugins::missing_trigger),
    ),
    warning(
        "validate-urls",
        Set::Default,
        "status_error_link that is no URL",
        Some(sections::urls),
    ),
    warning(
        "unknown-fields",
        Set::Default,
        "unknown fields in config.yaml and plugins.yaml",
        None,
    ),
    warning(
        "validate-cluster-field",
        Set::Default,
        "clusters that plank does not know, or that the agent cannot use",
        Some(jobs::clusters),
    ),
    warning(
        "validate-supplemental-prow-config-hierarchy",
        Set::Default,
        "parts of the configuration outside the folder of their repository",
        None,
    ),
    warning(
        "validate-unmanaged-branchconfig-has-no-subconfig",
        Set::Default,
        "branch protection that is unmanaged and has settings",
        Some(branch_protection::unmanaged),
    ),
    warning(
        "validate-label",
        Set::Default,
        "restricted labels without a name, or that are additional, too",
        Some(plugins::labels),
    ),
    warning(
        "required-job-annotations",
        Set::Default,
        "jobs without an annotation of --required-job-annotations",
        Some(jobs::annotations),
    ),
    warning(
        "periodic-default-clone-config",
        Set::Default,
        "periodics with settings for a repository they do not have",
        Some(jobs::periodic_clone),
    ),
    warning(
        "validate-config-updater-acls",
        Set::Default,
        "names of repositories in config_updater that are none",
        Some(plugins::config_updater),
    ),
    warning(
        "verify-owners-presence",
        Set::Expensive,
        "plugins that read OWNERS, where there is no OWNERS file; asks GitHub",
        None,
    ),
    warning(
        "valid-decoration-config",
        Set::Optional,
        "decoration that is not valid by itself",
        Some(jobs::decoration),
    ),
    warning(
        "unknown-fields-all",
        Set::Optional,
        "as unknown-fields, and in job files",
        None,
    ),
    warning(
        "validate-github-app-installation",
        Set::Optional,
        "organisations where the GitHub App is not installed; asks GitHub",
        None,
    ),
    warning(
        "duplicate-keys",
        Set::Own,
        "keys that are there twice, where unknown fields are looked for",
        None,
    ),
    warning(
        "unknown-map-fields",
        Set::Own,
        "unknown fields in config_updater.maps",
        None,
    ),
    warning(
        "extra-refs-head",
        Set::Own,
        "extra_refs of HEAD, which cannot be cloned",
        Some(jobs::head_refs),
    ),
    warning(
        "storage-token-on-own-node",
        Set::Own,
        "jobs that own their node, where others have tokens for Deck's storage",
        Some(own_node::check),
    ),
];

/// What the command line says about warnings.
#[derive(Clone, Copy, Debug, Default)]
pub struct Selection<'a> {
    pub chosen: &'a [String],
    pub excluded: &'a [String],
    /// The default ones beside the chosen.
    pub with_default: bool,
    /// All of them, where none is chosen.
    pub expensive: bool,
}

/// The names of the warnings to look for. An unknown one is an error, among those excluded, too.
pub fn select(selection: &Selection<'_>) -> Result<BTreeSet<&'static str>, String> {
    let mut enabled = BTreeSet::new();
    for name in selection.chosen {
        enabled.insert(known(name)?);
    }
    if selection.chosen.is_empty() || selection.with_default {
        let more = WARNINGS.iter().filter(|warning| {
            selection.expensive || [Set::Default, Set::Own].contains(&warning.set)
        });
        enabled.extend(more.map(|warning| warning.name));
    }
    for name in selection.excluded {
        enabled.remove(known(name)?);
    }
    // The second of each pair says less or more of the same.
    for (wide, narrow) in [
        ("mismatched-tide", "mismatched-tide-lenient"),
        ("unknown-fields-all", "unknown-fields"),
    ] {
        if enabled.contains(wide) {
            enabled.remove(narrow);
        }
    }
    Ok(enabled)
}

/// Whether `--strict` counts the warnings of this name.
pub fn is_strict(name: &str) -> bool {
    let own = |warning: &Warning| warning.set == Set::Own;
    !WARNINGS
        .iter()
        .any(|warning| warning.name == name && own(warning))
}

fn known(name: &str) -> Result<&'static str, String> {
    // A misspelling that Prow once had.
    let name = name.replace("config-hirarchy", "config-hierarchy");
    let mut names = WARNINGS.iter().map(|warning| warning.name);
    names.clone().find(|known| *known == name).ok_or_else(|| {
        let hint = match nearest(&name, names.clone()) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("known: {}", names.by_ref().collect::<Vec<_>>().join(", ")),
        };
        format!("there is no warning {name:?}; {hint}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_default_set_unless_some_are_chosen() {
        let all = select(&Selection {
            expensive: true,
            ..Selection::default()
        })
        .unwrap();
        let default = select(&Selection::default()).unwrap();
        assert_eq!((default.len(), all.len()), (23, 26));
        assert!(!default.contains("unknown-fields-all") && !all.contains("unknown-fields"));

        let chosen = texts(&["long-job-names", "mismatched-tide-lenient"]);
        let only = Selection {
            chosen: &chosen,
            ..Selection::default()
        };
        assert_eq!(
            select(&only).unwrap(),
            BTreeSet::from(["long-job-names", "mismatched-tide-lenient"])
        );
        let excluded = texts(&["long-job-names", "mismatched-tide"]);
        let some = select(&Selection {
            excluded: &excluded,
            with_default: true,
            ..only
        })
        .unwrap();
        assert!(!some.contains("long-job-names") && some.contains("mismatched-tide-lenient"));
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_nearest() {
        for (name, told) in [
            (
                "long-job-name",
                r#"there is no warning "long-job-name"; did you mean "long-job-names"?"#,
            ),
            ("x", r#"there is no warning "x"; known: mismatched-tide, "#),
        ] {
            let names = texts(&[name]);
            for selection in [
                Selection {
                    chosen: &names,
                    ..Selection::default()
                },
                Selection {
                    excluded: &names,
                    ..Selection::default()
                },
            ] {
                let error = select(&selection).unwrap_err();
                assert!(error.starts_with(told), "{error}");
            }
        }
        let old = texts(&["validate-supplemental-prow-config-hirarchy"]);
        let enabled = select(&Selection {
            chosen: &old,
            ..Selection::default()
        })
        .unwrap();
        assert_eq!(
            enabled,
            BTreeSet::from(["validate-supplemental-prow-config-hierarchy"])
        );
    }
}
