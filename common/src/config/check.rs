//! What loads and is probably not meant: the warnings of Prow's checkconfig, under its names.
//!
//! Each is a function from configuration to findings with a place. Not here: what a load refuses
//! (that is `validate`), and reading files or asking GitHub, which are the caller's.

mod branch_protection;
mod contexts;
mod hierarchy;
mod jobs;
mod own_node;
mod plugins;
mod repositories;
mod sections;
mod select;
mod tide;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path as FilePath,
    sync::Arc,
};

use super::{Config, Path, Problem, files, findings::Findings, plugins::Plugins, report::Report};

pub use hierarchy::{config_scope, misplaced};
pub use plugins::reads_owners;
pub use select::{Selection, Set, WARNINGS, Warning, is_strict, select};

/// What is looked at.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    pub config: &'a Config,
    /// Without it, warnings about plugins are not looked for.
    pub plugins: Option<&'a Plugins>,
    /// Annotations every job must have.
    pub required_annotations: &'a [String],
    /// The build clusters that plank wrote into `plank.build_cluster_status_file`, and how it
    /// finds them.
    pub clusters: Option<&'a BTreeMap<String, String>>,
}

impl Subject<'_> {
    /// `config.yaml`, as findings name it.
    pub fn config_file(&self) -> Arc<str> {
        self.config.prow.places.of(&Path::Root).0
    }

    /// Tells something at a place in `config.yaml` or one of its further parts.
    fn add(
        &self,
        rule: &'static str,
        path: &Path<'_>,
        message: impl Into<String>,
        findings: &mut Findings,
    ) {
        let places = &self.config.prow.places;
        Report { places, findings }.add(rule, path, message);
    }

    /// The enabled warnings' findings, in the order of files and lines. Those of
    /// [`Warning::needs_caller`] are not among them.
    pub fn warnings(&self, enabled: &BTreeSet<&'static str>) -> Vec<Problem> {
        let mut findings = Findings::default();
        for warning in &WARNINGS {
            if let Some(check) = warning.check
                && enabled.contains(warning.name)
            {
                check(self, &mut findings);
            }
        }
        match findings.into_result(|file| files::read(FilePath::new(file)).ok()) {
            Ok(()) => Vec::new(),
            Err(errors) => errors.0,
        }
    }
}

#[cfg(test)]
mod tests;
