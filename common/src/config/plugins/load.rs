//! Loads files into one [`PluginConfiguration`]: parses, merges, sets defaults, checks.

use std::sync::Arc;

use super::{
    CherryPickApproved, ExternalPlugin, MilestoneConfig, PluginConfiguration, PluginOptions,
    RequireMatchingLabel, TriggerConfig, blockade, cherry_pick, deprecations, external_plugins,
    invalid_commit_msg, require_matching_label, welcome,
};
use crate::config::{
    ConfigErrors,
    diagnostics::Diagnostics,
    files,
    section_diagnostics::SectionDiagnostics,
    yaml::{self, DocumentTrust, GoType},
};

impl PluginConfiguration {
    /// Loads the files that `options` name.
    pub fn load_files(options: &PluginOptions) -> Result<Self, ConfigErrors> {
        let mut texts = Vec::new();
        let mut problems = Vec::new();
        for path in options.list_files()? {
            match files::read_text(&path) {
                Ok(text) => texts.push((Arc::from(path.display().to_string()), text)),
                Err(errors) => problems.extend(errors.0),
            }
        }
        if problems.is_empty() {
            Self::assemble_files(&texts)
        } else {
            Err(ConfigErrors(problems))
        }
    }

    /// Parses one file without supplemental files, sets defaults and checks it; errors name `file`.
    pub fn parse_file(file: &str, text: &str) -> Result<Self, ConfigErrors> {
        Self::assemble_files(&[(Arc::from(file), text.to_owned())])
    }

    /// Parses a file without setting defaults or checking it.
    pub fn parse_part(file: &str, text: &str) -> Result<Self, ConfigErrors> {
        let tree = yaml::parse_tree(file, text, DocumentTrust::Operator)?;
        let document = yaml::deserialize_tree::<Self>(
            file,
            tree.as_ref(),
            GoType::Plugins,
            DocumentTrust::Operator,
        )?;
        Ok(Self {
            unknown_fields: document.remarks,
            ..document.value
        })
    }

    /// `files` are names and texts, the main file first.
    pub(super) fn assemble_files(files: &[(Arc<str>, String)]) -> Result<Self, ConfigErrors> {
        let mut findings = Diagnostics::default();
        let mut problems = Vec::new();
        let mut whole = Self::default();
        for (index, (file, text)) in files.iter().enumerate() {
            match Self::parse_part(file, text) {
                Err(errors) => problems.extend(errors.0),
                Ok(main) if index == 0 => {
                    whole = main;
                    whole.places.main = Arc::clone(file);
                }
                Ok(mut part) => {
                    whole.unknown_fields.append(&mut part.unknown_fields);
                    whole.merge_part(part, file, &mut findings);
                }
            }
        }
        whole.set_defaults();
        whole.apply_rules(&mut findings, Self::check_sections);
        let text_of = |name: &str| {
            let (_, text) = files.iter().find(|(file, _)| &**file == name)?;
            Some(text.clone())
        };
        if let Err(errors) = findings.into_result(text_of) {
            problems.extend(errors.0);
        }
        if !problems.is_empty() {
            return Err(ConfigErrors(problems));
        }
        let told = |rules: fn(&Self, &mut SectionDiagnostics<'_>)| {
            let mut findings = Diagnostics::default();
            whole.apply_rules(&mut findings, rules);
            findings.into_result(text_of).err().unwrap_or_default().0
        };
        let unknown = told(|plugins, report| plugins.plugins.check_names(report));
        let fields = told(|plugins, report| plugins.plugins.check_fields(report));
        let remarks = told(deprecations::check_deprecations);
        whole.unknown_fields.extend(fields);
        whole.unknown_plugins = unknown;
        whole.remarks = remarks;
        Ok(whole)
    }

    fn apply_rules(
        &self,
        findings: &mut Diagnostics,
        rules: impl Fn(&Self, &mut SectionDiagnostics<'_>),
    ) {
        let places = &self.places;
        rules(self, &mut SectionDiagnostics { places, findings });
    }

    /// Sets Prow's defaults where the files set nothing.
    fn set_defaults(&mut self) {
        self.external_plugins
            .values_mut()
            .flatten()
            .for_each(ExternalPlugin::set_defaults);
        self.owners.set_defaults();
        self.blunderbuss.set_defaults();
        self.rifle.set_defaults();
        self.cherry_pick_approved
            .iter_mut()
            .for_each(CherryPickApproved::set_defaults);
        self.cherry_pick_unapproved.set_defaults();
        self.config_updater.set_defaults();
        self.release_note.set_defaults();
        self.repo_milestone
            .values_mut()
            .for_each(MilestoneConfig::set_defaults);
        self.require_matching_label
            .iter_mut()
            .for_each(RequireMatchingLabel::set_defaults);
        self.sigmention.set_defaults();
        self.triggers
            .iter_mut()
            .for_each(TriggerConfig::set_defaults);
        self.help.set_defaults();
    }

    /// Checks every rule.
    fn check_sections(&self, report: &mut SectionDiagnostics<'_>) {
        self.plugins.check_enablement(report);
        external_plugins::check_external_plugins(&self.external_plugins, report);
        report.check_listed_once("approve", self.approve.iter().map(|entry| &entry.repos));
        blockade::check_blockades(&self.blockades, report);
        self.blunderbuss.check_reviewers("blunderbuss", report);
        self.rifle.check_reviewers("rifle", report);
        cherry_pick::check_cherry_pick(
            &self.cherry_pick_approved,
            &self.cherry_pick_unapproved,
            report,
        );
        self.config_updater.check_config_updater(report);
        self.heart.check_heart(report);
        self.project_manager.check_project_manager(report);
        require_matching_label::check_matching_labels(&self.require_matching_label, report);
        self.sigmention.check_sigmention(report);
        self.size.check_sizes(report);
        welcome::check_welcome(&self.welcome, report);
        invalid_commit_msg::check_invalid_commit_msg(&self.invalid_commit_msg, report);
    }
}
