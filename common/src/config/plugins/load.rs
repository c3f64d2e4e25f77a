//! From the files to one [`Plugins`]: read, put together, completed, checked.

use std::sync::Arc;

use super::{
    CherryPickApproved, ExternalPlugin, Milestone, Options, Plugins, RequireMatchingLabel, Trigger,
    blockade, cherry_pick, external, invalid_commit_msg, remarks, require_matching_label, welcome,
};
use crate::config::{
    Errors, files,
    findings::Findings,
    report::Report,
    yaml::{self, GoType, Trust},
};

impl Plugins {
    /// Reads, completes and checks the files that `options` name.
    pub fn load(options: &Options) -> Result<Self, Errors> {
        let mut texts = Vec::new();
        let mut problems = Vec::new();
        for path in options.files()? {
            match files::read(&path) {
                Ok(text) => texts.push((Arc::from(path.display().to_string()), text)),
                Err(errors) => problems.extend(errors.0),
            }
        }
        if problems.is_empty() {
            Self::assemble(&texts)
        } else {
            Err(Errors(problems))
        }
    }

    /// One file without further parts, completed and checked; `file` is named in errors.
    pub fn parse(file: &str, text: &str) -> Result<Self, Errors> {
        Self::assemble(&[(Arc::from(file), text.to_owned())])
    }

    /// A file as it is, neither completed nor checked.
    pub fn part(file: &str, text: &str) -> Result<Self, Errors> {
        let tree = yaml::tree(file, text, Trust::Operator)?;
        let document = yaml::typed::<Self>(file, tree.as_ref(), GoType::Plugins, Trust::Operator)?;
        Ok(Self {
            unknown_fields: document.remarks,
            ..document.value
        })
    }

    /// The files with their names, the main one first.
    pub(super) fn assemble(files: &[(Arc<str>, String)]) -> Result<Self, Errors> {
        let mut findings = Findings::default();
        let mut problems = Vec::new();
        let mut whole = Self::default();
        for (index, (file, text)) in files.iter().enumerate() {
            match Self::part(file, text) {
                Err(errors) => problems.extend(errors.0),
                Ok(main) if index == 0 => {
                    whole = main;
                    whole.places.main = Arc::clone(file);
                }
                Ok(mut part) => {
                    whole.unknown_fields.append(&mut part.unknown_fields);
                    whole.merge(part, file, &mut findings);
                }
            }
        }
        whole.complete();
        whole.tell(&mut findings, Self::check);
        let text_of = |name: &str| {
            let (_, text) = files.iter().find(|(file, _)| &**file == name)?;
            Some(text.clone())
        };
        if let Err(errors) = findings.into_result(text_of) {
            problems.extend(errors.0);
        }
        if !problems.is_empty() {
            return Err(Errors(problems));
        }
        let told = |rules: fn(&Self, &mut Report<'_>)| {
            let mut findings = Findings::default();
            whole.tell(&mut findings, rules);
            findings.into_result(text_of).err().unwrap_or_default().0
        };
        let unknown = told(|plugins, report| plugins.plugins.check_names(report));
        let fields = told(|plugins, report| plugins.plugins.check_fields(report));
        let remarks = told(remarks::check);
        whole.unknown_fields.extend(fields);
        whole.unknown_plugins = unknown;
        whole.remarks = remarks;
        Ok(whole)
    }

    fn tell(&self, findings: &mut Findings, rules: impl Fn(&Self, &mut Report<'_>)) {
        let places = &self.places;
        rules(self, &mut Report { places, findings });
    }

    /// Prow's defaults where nothing is written.
    fn complete(&mut self) {
        self.external_plugins
            .values_mut()
            .flatten()
            .for_each(ExternalPlugin::complete);
        self.owners.complete();
        self.blunderbuss.complete();
        self.rifle.complete();
        self.cherry_pick_approved
            .iter_mut()
            .for_each(CherryPickApproved::complete);
        self.cherry_pick_unapproved.complete();
        self.config_updater.complete();
        self.release_note.complete();
        self.repo_milestone
            .values_mut()
            .for_each(Milestone::complete);
        self.require_matching_label
            .iter_mut()
            .for_each(RequireMatchingLabel::complete);
        self.sigmention.complete();
        self.triggers.iter_mut().for_each(Trigger::complete);
        self.help.complete();
    }

    /// Every rule that a file must keep.
    fn check(&self, report: &mut Report<'_>) {
        self.plugins.check(report);
        external::check(&self.external_plugins, report);
        report.listed_once("approve", self.approve.iter().map(|entry| &entry.repos));
        blockade::check(&self.blockades, report);
        self.blunderbuss.check("blunderbuss", report);
        self.rifle.check("rifle", report);
        cherry_pick::check(
            &self.cherry_pick_approved,
            &self.cherry_pick_unapproved,
            report,
        );
        self.config_updater.check(report);
        self.heart.check(report);
        self.project_manager.check(report);
        require_matching_label::check(&self.require_matching_label, report);
        self.sigmention.check(report);
        self.size.check(report);
        welcome::check(&self.welcome, report);
        invalid_commit_msg::check(&self.invalid_commit_msg, report);
    }
}
