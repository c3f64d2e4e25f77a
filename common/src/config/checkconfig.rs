//! What loads and is probably not meant: the warnings of Prow's checkconfig, under its names.
//!
//! Each is a function from configuration to findings with a place. Not here: what a load refuses
//! (that is `validate`), and reading files or asking GitHub, which are the caller's.

mod branch_protection;
mod contexts;
mod hierarchy;
mod jobs;
mod node_ownership;
mod plugins;
mod repositories;
mod sections;
mod tide;
mod warnings;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path as FilePath,
    sync::Arc,
};

use super::{
    Config, ConfigPath, Diagnostic, diagnostics::Diagnostics, files, plugins::PluginConfiguration,
    section_diagnostics::SectionDiagnostics,
};

pub use hierarchy::{config_scope, find_misplacement};
pub use plugins::repos_reading_owners;
pub use warnings::{
    CheckconfigWarning, WARNINGS, WarningSelection, WarningSet, is_strict_warning, select_warnings,
};

/// What is looked at.
#[derive(Clone, Debug)]
pub struct CheckconfigInput<'a> {
    pub config: &'a Config,
    /// Without it, warnings about plugins are not looked for.
    pub plugins: Option<&'a PluginConfiguration>,
    /// Annotations every job must have.
    pub required_annotations: &'a [String],
    /// The build clusters that plank wrote into `plank.build_cluster_status_file`, and how it
    /// finds them.
    pub clusters: Option<&'a BTreeMap<String, String>>,
}

impl CheckconfigInput<'_> {
    /// `config.yaml`, as findings name it.
    pub fn config_file(&self) -> Arc<str> {
        self.config.prow.places.locate_path(&ConfigPath::Root).0
    }

    /// Tells something at a place in `config.yaml` or one of its further parts.
    fn add_diagnostic(
        &self,
        rule: &'static str,
        path: &ConfigPath<'_>,
        message: impl Into<String>,
        findings: &mut Diagnostics,
    ) {
        let places = &self.config.prow.places;
        SectionDiagnostics { places, findings }.add_diagnostic(rule, path, message);
    }

    /// The enabled warnings' findings, in the order of files and lines. Those of
    /// [`CheckconfigWarning::needs_caller`] are not among them.
    pub fn find_warnings(&self, enabled: &BTreeSet<&'static str>) -> Vec<Diagnostic> {
        let mut findings = Diagnostics::default();
        for warning in &WARNINGS {
            if let Some(check) = warning.check
                && enabled.contains(warning.name)
            {
                check(self, &mut findings);
            }
        }
        match findings.into_result(|file| files::read_text(FilePath::new(file)).ok()) {
            Ok(()) => Vec::new(),
            Err(errors) => errors.0,
        }
    }
}

#[cfg(test)]
mod tests;
