//! The warnings by name, and which of them are enabled.

use std::collections::BTreeSet;

use super::{
    CheckconfigInput, branch_protection, contexts, jobs, node_ownership, plugins, sections, tide,
};
use crate::config::{diagnostic::nearest_name, diagnostics::Diagnostics};

/// When a warning is enabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WarningSet {
    /// Unless others are chosen.
    Default,
    /// When it is chosen, or all are.
    Optional,
    /// As [`WarningSet::Optional`]; its check asks GitHub for each repository.
    Expensive,
    /// As [`WarningSet::Default`]; Prow has no such warning, so `--strict` does not count it.
    Own,
}

/// One of checkconfig's warnings.
#[derive(Clone, Copy, Debug)]
pub struct CheckconfigWarning {
    pub name: &'static str,
    pub set: WarningSet,
    /// What it is about, for the help text.
    pub about: &'static str,
    pub(super) check: Option<WarningCheck>,
}

pub(super) type WarningCheck = fn(&CheckconfigInput<'_>, &mut Diagnostics);

impl CheckconfigWarning {
    /// Whether its check needs more than a loaded configuration: files as written, or GitHub.
    pub fn needs_caller(&self) -> bool {
        self.check.is_none()
    }
}

const fn define_warning(
    name: &'static str,
    set: WarningSet,
    about: &'static str,
    check: Option<WarningCheck>,
) -> CheckconfigWarning {
    CheckconfigWarning {
        name,
        set,
        about,
        check,
    }
}

/// All warnings: those of checkconfig in its order, then our own.
pub static WARNINGS: [CheckconfigWarning; 28] = [
    define_warning(
        "mismatched-tide",
        WarningSet::Default,
        "labels that Tide asks for or forbids, without the plugin that sets them",
        Some(tide::check_mismatched_labels),
    ),
    define_warning(
        "tide-strict-branch",
        WarningSet::Default,
        "branch protection that wants branches up to date, where Tide merges",
        Some(branch_protection::check_strict_branches),
    ),
    define_warning(
        "tide-context-policy",
        WarningSet::Default,
        "contexts that Tide cannot decide about",
        Some(contexts::check_context_policy),
    ),
    define_warning(
        "mismatched-tide-lenient",
        WarningSet::Default,
        "as mismatched-tide, for lgtm and approve; only where that is excluded",
        Some(tide::check_mismatched_lenient),
    ),
    define_warning(
        "non-decorated-jobs",
        WarningSet::Default,
        "jobs in Kubernetes without the pod utilities",
        Some(jobs::check_non_decorated),
    ),
    define_warning(
        "long-job-names",
        WarningSet::Default,
        "names that do not fit into a label (63 characters)",
        Some(jobs::check_long_names),
    ),
    define_warning(
        "duplicate-job-refs",
        WarningSet::Default,
        "presubmits that clone a repository twice",
        Some(jobs::check_duplicate_refs),
    ),
    define_warning(
        "needs-ok-to-test",
        WarningSet::Default,
        "Tide queries that require lgtm and forbid needs-ok-to-test",
        Some(tide::check_needs_ok_to_test),
    ),
    define_warning(
        "managed-webhooks",
        WarningSet::Default,
        "webhooks of an organisation and of its repository",
        Some(sections::check_managed_webhooks),
    ),
    define_warning(
        "validate-owners",
        WarningSet::Default,
        "plugins that read OWNERS, without verify-owners",
        Some(plugins::check_verify_owners),
    ),
    define_warning(
        "missing-trigger",
        WarningSet::Default,
        "jobs of repositories where the trigger plugin is not enabled",
        Some(plugins::check_missing_trigger),
    ),
    define_warning(
        "validate-urls",
        WarningSet::Default,
        "status_error_link that is no URL",
        Some(sections::check_status_error_link),
    ),
    define_warning(
        "unknown-fields",
        WarningSet::Default,
        "unknown fields in config.yaml and plugins.yaml",
        None,
    ),
    define_warning(
        "validate-cluster-field",
        WarningSet::Default,
        "clusters that plank does not know, or that the agent cannot use",
        Some(jobs::check_clusters),
    ),
    define_warning(
        "validate-supplemental-prow-config-hierarchy",
        WarningSet::Default,
        "parts of the configuration outside the folder of their repository",
        None,
    ),
    define_warning(
        "validate-unmanaged-branchconfig-has-no-subconfig",
        WarningSet::Default,
        "branch protection that is unmanaged and has settings",
        Some(branch_protection::check_unmanaged_branches),
    ),
    define_warning(
        "validate-label",
        WarningSet::Default,
        "restricted labels without a name, or that are additional, too",
        Some(plugins::check_restricted_labels),
    ),
    define_warning(
        "required-job-annotations",
        WarningSet::Default,
        "jobs without an annotation of --required-job-annotations",
        Some(jobs::check_annotations),
    ),
    define_warning(
        "periodic-default-clone-config",
        WarningSet::Default,
        "periodics with settings for a repository they do not have",
        Some(jobs::check_periodic_clone),
    ),
    define_warning(
        "validate-config-updater-acls",
        WarningSet::Default,
        "names of repositories in config_updater that are none",
        Some(plugins::check_config_updater),
    ),
    define_warning(
        "verify-owners-presence",
        WarningSet::Expensive,
        "plugins that read OWNERS, where there is no OWNERS file; asks GitHub",
        None,
    ),
    define_warning(
        "valid-decoration-config",
        WarningSet::Optional,
        "decoration that is not valid by itself",
        Some(jobs::check_decoration),
    ),
    define_warning(
        "unknown-fields-all",
        WarningSet::Optional,
        "as unknown-fields, and in job files",
        None,
    ),
    define_warning(
        "validate-github-app-installation",
        WarningSet::Optional,
        "organisations where the GitHub App is not installed; asks GitHub",
        None,
    ),
    define_warning(
        "duplicate-keys",
        WarningSet::Own,
        "keys that are there twice, where unknown fields are looked for",
        None,
    ),
    define_warning(
        "unknown-map-fields",
        WarningSet::Own,
        "unknown fields in config_updater.maps",
        None,
    ),
    define_warning(
        "extra-refs-head",
        WarningSet::Own,
        "extra_refs of HEAD, which cannot be cloned",
        Some(jobs::check_head_refs),
    ),
    define_warning(
        "storage-token-on-own-node",
        WarningSet::Own,
        "jobs that own their node, where others have tokens for Deck's storage",
        Some(node_ownership::check_node_ownership),
    ),
];

/// The flags that select warnings.
#[derive(Clone, Copy, Debug, Default)]
pub struct WarningSelection<'a> {
    pub chosen: &'a [String],
    pub excluded: &'a [String],
    /// Whether the default ones are enabled in addition to the chosen ones.
    pub with_default: bool,
    /// Whether all are enabled if none is chosen.
    pub expensive: bool,
}

/// The names of the enabled warnings. An unknown name is an error, also among those excluded.
pub fn select_warnings(selection: &WarningSelection<'_>) -> Result<BTreeSet<&'static str>, String> {
    let mut enabled = BTreeSet::new();
    for name in selection.chosen {
        enabled.insert(find_warning_name(name)?);
    }
    if selection.chosen.is_empty() || selection.with_default {
        let more = WARNINGS.iter().filter(|warning| {
            selection.expensive || [WarningSet::Default, WarningSet::Own].contains(&warning.set)
        });
        enabled.extend(more.map(|warning| warning.name));
    }
    for name in selection.excluded {
        enabled.remove(find_warning_name(name)?);
    }
    // The first of each pair includes the second.
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
pub fn is_strict_warning(name: &str) -> bool {
    let own = |warning: &CheckconfigWarning| warning.set == WarningSet::Own;
    !WARNINGS
        .iter()
        .any(|warning| warning.name == name && own(warning))
}

fn find_warning_name(name: &str) -> Result<&'static str, String> {
    // A misspelling that Prow once had.
    let name = name.replace("config-hirarchy", "config-hierarchy");
    let mut names = WARNINGS.iter().map(|warning| warning.name);
    names.clone().find(|known| *known == name).ok_or_else(|| {
        let hint = match nearest_name(&name, names.clone()) {
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
        let all = select_warnings(&WarningSelection {
            expensive: true,
            ..WarningSelection::default()
        })
        .unwrap();
        let default = select_warnings(&WarningSelection::default()).unwrap();
        assert_eq!((default.len(), all.len()), (23, 26));
        assert!(!default.contains("unknown-fields-all") && !all.contains("unknown-fields"));

        let chosen = texts(&["long-job-names", "mismatched-tide-lenient"]);
        let only = WarningSelection {
            chosen: &chosen,
            ..WarningSelection::default()
        };
        assert_eq!(
            select_warnings(&only).unwrap(),
            BTreeSet::from(["long-job-names", "mismatched-tide-lenient"])
        );
        let excluded = texts(&["long-job-names", "mismatched-tide"]);
        let some = select_warnings(&WarningSelection {
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
                WarningSelection {
                    chosen: &names,
                    ..WarningSelection::default()
                },
                WarningSelection {
                    excluded: &names,
                    ..WarningSelection::default()
                },
            ] {
                let error = select_warnings(&selection).unwrap_err();
                assert!(error.starts_with(told), "{error}");
            }
        }
        let old = texts(&["validate-supplemental-prow-config-hirarchy"]);
        let enabled = select_warnings(&WarningSelection {
            chosen: &old,
            ..WarningSelection::default()
        })
        .unwrap();
        assert_eq!(
            enabled,
            BTreeSet::from(["validate-supplemental-prow-config-hierarchy"])
        );
    }
}
