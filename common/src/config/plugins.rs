//! `plugins.yaml`: which plugins are enabled in which repository, and every plugin's settings.
//!
//! One module per section: its fields, Prow's defaults, its rules. The file and its supplemental
//! files are merged ([`merge`]), then get defaults, then are checked. Not here: what plugins do.

mod approve;
mod blockade;
mod branch_cleaner;
mod bugzilla;
mod cherry_pick;
mod config_updater;
mod dco;
mod deprecations;
mod enablement;
mod external_plugins;
mod files;
mod golint;
mod heart;
mod help;
mod images;
mod invalid_commit_msg;
mod jira;
mod known_plugins;
mod label;
mod lgtm;
mod load;
mod lookups;
mod merge;
mod milestone;
mod override_contexts;
mod owners;
mod project;
mod project_manager;
mod release_note;
mod require_matching_label;
mod retitle;
mod reviewers;
mod sigmention;
mod size;
mod slack;
mod trigger;
mod welcome;

use std::{collections::BTreeMap, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use approve::ApproveConfig;
pub use blockade::BlockadeConfig;
pub use branch_cleaner::BranchCleaner;
pub use bugzilla::{
    BugzillaBranch, BugzillaByBranch, BugzillaConfig, BugzillaOrg, BugzillaRepo, BugzillaState,
};
pub use cherry_pick::{CherryPickApproved, CherryPickUnapproved};
pub use config_updater::{ClusterGroup, ConfigMapSpec, ConfigUpdater};
pub use dco::DcoConfig;
pub use enablement::{EnabledPlugins, OrgPlugins};
pub use external_plugins::{ExternalPlugin, ExternalPlugins};
pub use files::PluginOptions;
pub use golint::GolintConfig;
pub use heart::HeartConfig;
pub use help::HelpConfig;
pub use images::ImageKey;
pub use invalid_commit_msg::{InvalidCommitMsg, InvalidCommitMsgCheck};
pub use jira::JiraConfig;
pub use known_plugins::KNOWN_PLUGINS;
pub use label::{AssignOn, LabelConfig, RestrictedLabel};
pub use lgtm::LgtmConfig;
pub use lookups::{ConfigScope, RepoSet};
pub use milestone::{BranchToMilestone, MilestoneConfig};
pub use override_contexts::OverrideConfig;
pub use owners::{OwnersConfig, OwnersFilenames};
pub use project::{ProjectConfig, ProjectOrg, ProjectRepo};
pub use project_manager::{ManagedColumn, ManagedProject, ManagedRepo, ProjectManager};
pub use release_note::ReleaseNote;
pub use require_matching_label::RequireMatchingLabel;
pub use retitle::RetitleConfig;
pub use reviewers::{ContextMatch, ReviewersConfig};
pub use sigmention::SigMention;
pub use size::SizeConfig;
pub use slack::{MergeWarning, SlackConfig};
pub use trigger::{OrgInvite, ProminentInvite, TriggerConfig};
pub use welcome::WelcomeConfig;

use super::{ConfigPath, Diagnostic, PathSegment, source_map::SourceMap};
use crate::prowjob::null_default;

/// The content of `plugins.yaml` and its supplemental files. The default enables nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PluginConfiguration {
    /// By `org` or `org/repo`.
    #[serde(deserialize_with = "null_default")]
    pub plugins: EnabledPlugins,
    /// By `org` or `org/repo`.
    #[serde(deserialize_with = "null_default")]
    pub external_plugins: ExternalPlugins,
    #[serde(deserialize_with = "null_default")]
    pub owners: OwnersConfig,
    #[serde(deserialize_with = "null_default")]
    pub approve: Vec<ApproveConfig>,
    #[serde(deserialize_with = "null_default")]
    pub blockades: Vec<BlockadeConfig>,
    #[serde(deserialize_with = "null_default")]
    pub blunderbuss: ReviewersConfig,
    #[serde(deserialize_with = "null_default")]
    pub rifle: ReviewersConfig,
    #[serde(deserialize_with = "null_default")]
    pub bugzilla: BugzillaConfig,
    #[serde(deserialize_with = "null_default")]
    pub branch_cleaner: BranchCleaner,
    #[serde(deserialize_with = "null_default")]
    pub cat: ImageKey,
    #[serde(deserialize_with = "null_default")]
    pub cherry_pick_approved: Vec<CherryPickApproved>,
    #[serde(deserialize_with = "null_default")]
    pub cherry_pick_unapproved: CherryPickUnapproved,
    #[serde(deserialize_with = "null_default")]
    pub config_updater: ConfigUpdater,
    /// By `org/repo`, `org` or `*`.
    #[serde(deserialize_with = "null_default")]
    pub dco: BTreeMap<String, DcoConfig>,
    #[serde(deserialize_with = "null_default")]
    pub golint: GolintConfig,
    #[serde(deserialize_with = "null_default")]
    pub goose: ImageKey,
    #[serde(deserialize_with = "null_default")]
    pub heart: HeartConfig,
    #[serde(deserialize_with = "null_default")]
    pub label: LabelConfig,
    #[serde(deserialize_with = "null_default")]
    pub lgtm: Vec<LgtmConfig>,
    pub jira: Option<JiraConfig>,
    /// By `org/repo`.
    #[serde(deserialize_with = "null_default")]
    pub milestone_applier: BTreeMap<String, BranchToMilestone>,
    #[serde(deserialize_with = "null_default")]
    pub release_note: ReleaseNote,
    /// By `org/repo`; the empty name is every repository.
    #[serde(deserialize_with = "null_default")]
    pub repo_milestone: BTreeMap<String, MilestoneConfig>,
    #[serde(deserialize_with = "null_default")]
    pub project_config: ProjectConfig,
    #[serde(deserialize_with = "null_default")]
    pub project_manager: ProjectManager,
    #[serde(deserialize_with = "null_default")]
    pub require_matching_label: Vec<RequireMatchingLabel>,
    #[serde(deserialize_with = "null_default")]
    pub retitle: RetitleConfig,
    #[serde(deserialize_with = "null_default")]
    pub slack: SlackConfig,
    #[serde(deserialize_with = "null_default")]
    pub sigmention: SigMention,
    #[serde(deserialize_with = "null_default")]
    pub size: SizeConfig,
    #[serde(deserialize_with = "null_default")]
    pub triggers: Vec<TriggerConfig>,
    #[serde(deserialize_with = "null_default")]
    pub welcome: Vec<WelcomeConfig>,
    #[serde(rename = "override", deserialize_with = "null_default")]
    pub override_contexts: OverrideConfig,
    #[serde(deserialize_with = "null_default")]
    pub help: HelpConfig,
    #[serde(deserialize_with = "null_default")]
    pub invalid_commit_msg: Vec<InvalidCommitMsg>,
    #[serde(skip)]
    places: SourceMap,
    #[serde(skip)]
    unknown_fields: Vec<Diagnostic>,
    #[serde(skip)]
    unknown_plugins: Vec<Diagnostic>,
    #[serde(skip)]
    remarks: Vec<Diagnostic>,
}

impl PluginConfiguration {
    /// Unknown fields and duplicate keys.
    pub fn unknown_fields(&self) -> &[Diagnostic] {
        &self.unknown_fields
    }

    /// Enabled names not in [`KNOWN_PLUGINS`]: an error in `prow check`, a warning in hook.
    pub fn unknown_plugins(&self) -> &[Diagnostic] {
        &self.unknown_plugins
    }

    /// Warnings about deprecated forms, settings without effect, and an empty `plugins`.
    pub fn config_warnings(&self) -> &[Diagnostic] {
        &self.remarks
    }

    /// The file that a path of the merged configuration comes from, and the path in that file.
    pub fn locate_path(&self, path: &ConfigPath<'_>) -> (Arc<str>, Vec<PathSegment>) {
        self.places.locate_path(path)
    }
}

/// Sets an empty text to its default.
fn fill_default(text: &mut String, default: &str) {
    if text.is_empty() {
        default.clone_into(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parses a valid file.
    pub(super) fn loaded(text: &str) -> PluginConfiguration {
        PluginConfiguration::parse_file("plugins.yaml", text).unwrap()
    }

    /// The warnings about a valid file.
    pub(super) fn remarks(plugins: &PluginConfiguration) -> Vec<String> {
        plugins
            .config_warnings()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    /// The errors of an invalid file.
    pub(super) fn refused(text: &str) -> String {
        PluginConfiguration::parse_file("plugins.yaml", text)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn an_approver_is_told_one_thing() {
        assert_eq!(
            refused("approve:\n- repos: [o/r]\n- repos: [p, o/r]"),
            r#"plugins.yaml:3:14: approve[1].repos[1]: "o/r" is already listed in approve[0]"#
        );
    }

    #[test]
    fn an_empty_file_has_prows_defaults() {
        let plugins = loaded("");
        let denied = plugins.owners.labels_denylist.unwrap();
        assert_eq!(denied, ["approved", "lgtm"]);
        assert!(plugins.help.help_guidelines_url.ends_with("help-wanted.md"));
        assert!(
            plugins
                .release_note
                .guidelines_url
                .ends_with("release-notes.md")
        );
        assert!(plugins.sigmention.regexp.contains("@kubernetes/sig-"));
    }
}
