//! The warnings of Prow's checkconfig, under its names: what loads and is probably not meant.
//!
//! Each warning is a function from configuration to diagnostics. Not here: what makes a load fail
//! (that is `validate`), and reading files or asking GitHub, which callers do.

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

/// The configuration to check.
#[derive(Clone, Debug)]
pub struct CheckconfigInput<'a> {
    pub config: &'a Config,
    /// `None`: warnings about plugins are skipped.
    pub plugins: Option<&'a PluginConfiguration>,
    /// Annotations that every job must have.
    pub required_annotations: &'a [String],
    /// The build clusters and their status, as plank wrote them into
    /// `plank.build_cluster_status_file`.
    pub clusters: Option<&'a BTreeMap<String, String>>,
}

impl CheckconfigInput<'_> {
    /// `config.yaml`, as diagnostics name it.
    pub fn config_file(&self) -> Arc<str> {
        self.config.prow.places.locate_path(&ConfigPath::Root).0
    }

    /// Adds a diagnostic at a path of `config.yaml` or one of its supplemental files.
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

    /// The diagnostics of the enabled warnings, in the order of files and lines. Warnings that
    /// [`CheckconfigWarning::needs_caller`] are not checked.
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
