//! `plugins.yaml`: which plugins look at which repository, and every plugin's settings.
//!
//! One module a section: its fields, Prow's defaults, its rules. The file and its further parts
//! are put together first ([`merge`]), then completed, then checked. Not here: what plugins do.

mod approve;
mod blockade;
mod branch_cleaner;
mod bugzilla;
mod catalogue;
mod cherry_pick;
mod config_updater;
mod dco;
mod enablement;
mod external;
mod files;
mod golint;
mod heart;
mod help;
mod images;
mod invalid_commit_msg;
mod jira;
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
mod remarks;
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

pub use approve::Approve;
pub use blockade::Blockade;
pub use branch_cleaner::BranchCleaner;
pub use bugzilla::{Bugzilla, BugzillaBranch, BugzillaOrg, BugzillaRepo, BugzillaState, ByBranch};
pub use catalogue::KNOWN;
pub use cherry_pick::{CherryPickApproved, CherryPickUnapproved};
pub use config_updater::{ClusterGroup, ConfigMapSpec, ConfigUpdater};
pub use dco::Dco;
pub use enablement::{Enablement, OrgPlugins};
pub use external::{ExternalPlugin, ExternalPlugins};
pub use files::Options;
pub use golint::Golint;
pub use heart::Heart;
pub use help::Help;
pub use images::ImageKey;
pub use invalid_commit_msg::{InvalidCommitMsg, InvalidCommitMsgCheck};
pub use jira::Jira;
pub use label::{AssignOn, Label, RestrictedLabel};
pub use lgtm::Lgtm;
pub use lookups::{Scope, Where};
pub use milestone::{BranchToMilestone, Milestone};
pub use override_contexts::Override;
pub use owners::{Owners, OwnersFilenames};
pub use project::{Project, ProjectOrg, ProjectRepo};
pub use project_manager::{ManagedColumn, ManagedProject, ManagedRepo, ProjectManager};
pub use release_note::ReleaseNote;
pub use require_matching_label::RequireMatchingLabel;
pub use retitle::Retitle;
pub use reviewers::{ContextMatch, Reviewers};
pub use sigmention::SigMention;
pub use size::Size;
pub use slack::{MergeWarning, Slack};
pub use trigger::{OrgInvite, ProminentInvite, Trigger};
pub use welcome::Welcome;

use super::{Path, Problem, Segment, places::Places};
use crate::prowjob::null_default;

/// The content of `plugins.yaml` and its further parts. The default enables nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Plugins {
    /// By `org` or `org/repo`.
    #[serde(deserialize_with = "null_default")]
    pub plugins: Enablement,
    /// By `org` or `org/repo`.
    #[serde(deserialize_with = "null_default")]
    pub external_plugins: ExternalPlugins,
    #[serde(deserialize_with = "null_default")]
    pub owners: Owners,
    #[serde(deserialize_with = "null_default")]
    pub approve: Vec<Approve>,
    #[serde(deserialize_with = "null_default")]
    pub blockades: Vec<Blockade>,
    #[serde(deserialize_with = "null_default")]
    pub blunderbuss: Reviewers,
    #[serde(deserialize_with = "null_default")]
    pub rifle: Reviewers,
    #[serde(deserialize_with = "null_default")]
    pub bugzilla: Bugzilla,
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
    pub dco: BTreeMap<String, Dco>,
    #[serde(deserialize_with = "null_default")]
    pub golint: Golint,
    #[serde(deserialize_with = "null_default")]
    pub goose: ImageKey,
    #[serde(deserialize_with = "null_default")]
    pub heart: Heart,
    #[serde(deserialize_with = "null_default")]
    pub label: Label,
    #[serde(deserialize_with = "null_default")]
    pub lgtm: Vec<Lgtm>,
    pub jira: Option<Jira>,
    /// By `org/repo`.
    #[serde(deserialize_with = "null_default")]
    pub milestone_applier: BTreeMap<String, BranchToMilestone>,
    #[serde(deserialize_with = "null_default")]
    pub release_note: ReleaseNote,
    /// By `org/repo`; the empty name is every repository.
    #[serde(deserialize_with = "null_default")]
    pub repo_milestone: BTreeMap<String, Milestone>,
    #[serde(deserialize_with = "null_default")]
    pub project_config: Project,
    #[serde(deserialize_with = "null_default")]
    pub project_manager: ProjectManager,
    #[serde(deserialize_with = "null_default")]
    pub require_matching_label: Vec<RequireMatchingLabel>,
    #[serde(deserialize_with = "null_default")]
    pub retitle: Retitle,
    #[serde(deserialize_with = "null_default")]
    pub slack: Slack,
    #[serde(deserialize_with = "null_default")]
    pub sigmention: SigMention,
    #[serde(deserialize_with = "null_default")]
    pub size: Size,
    #[serde(deserialize_with = "null_default")]
    pub triggers: Vec<Trigger>,
    #[serde(deserialize_with = "null_default")]
    pub welcome: Vec<Welcome>,
    #[serde(rename = "override", deserialize_with = "null_default")]
    pub override_contexts: Override,
    #[serde(deserialize_with = "null_default")]
    pub help: Help,
    #[serde(deserialize_with = "null_default")]
    pub invalid_commit_msg: Vec<InvalidCommitMsg>,
    #[serde(skip)]
    places: Places,
    #[serde(skip)]
    unknown_fields: Vec<Problem>,
    #[serde(skip)]
    unknown_plugins: Vec<Problem>,
    #[serde(skip)]
    remarks: Vec<Problem>,
}

impl Plugins {
    /// Fields that nobody knows, and keys that are there twice.
    pub fn unknown_fields(&self) -> &[Problem] {
        &self.unknown_fields
    }

    /// Enabled names that are none of [`KNOWN`]: an error to `prow check`, a warning to hook.
    pub fn unknown_plugins(&self) -> &[Problem] {
        &self.unknown_plugins
    }

    /// What is written in a form that Prow gives up or in vain, and an empty `plugins`.
    pub fn remarks(&self) -> &[Problem] {
        &self.remarks
    }

    /// The file that brought what is at a path in the whole, and the path there.
    pub fn place(&self, path: &Path<'_>) -> (Arc<str>, Vec<Segment>) {
        self.places.of(path)
    }
}

/// Fills in an empty text.
fn or(text: &mut String, default: &str) {
    if text.is_empty() {
        default.clone_into(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file that holds.
    pub(super) fn loaded(text: &str) -> Plugins {
        Plugins::parse("plugins.yaml", text).unwrap()
    }

    /// What is said of a file that holds.
    pub(super) fn remarks(plugins: &Plugins) -> Vec<String> {
        plugins.remarks().iter().map(ToString::to_string).collect()
    }

    /// What is said of a file that does not.
    pub(super) fn refused(text: &str) -> String {
        Plugins::parse("plugins.yaml", text)
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
