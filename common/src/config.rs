//! Prow's configuration: `config.yaml`, the job files, `plugins.yaml` and the repositories' own
//! job files. Data, defaults and validation; the only I/O is reading the named files.
//!
//! files → [`yaml`] → types with defaults → presets → validation → [`Config`], or [`ConfigErrors`]
//! that name every error with file, line and column.

pub mod agent;
pub mod buckets;
pub mod checkconfig;
mod content_hash;
mod decoration_cache;
mod defaults;
mod diagnostic;
mod diagnostics;
mod file_jobs;
mod files;
pub mod inrepo;
mod job;
mod loader;
mod options;
mod parallel;
pub mod plugins;
mod preset;
pub mod prow;
pub mod prowignore;
mod prowjob_spec;
mod published_schema;
mod schema;
mod section_diagnostics;
mod source_map;
mod validate;
pub mod yaml;

use std::{collections::BTreeMap, sync::Arc};

use crate::repo_names;

pub use agent::{ConfigAgent, LoadFailure, LoadMetrics, LoadStatus, ReloadableFiles};
pub(crate) use diagnostic::nearest_name;
pub use diagnostic::{ConfigErrors, ConfigPath, Diagnostic, PathSegment};
pub use job::{
    Brancher, ChangedFiles, ConfigOrigin, GoRegexp, JobBase, Periodic, PodSpecJson, Postsubmit,
    Presubmit, RegexpChangeMatcher, Retry, UtilityConfig,
};
pub use loader::ConfigLoader;
pub use options::ConfigOptions;
pub use preset::Preset;
pub use prow::{
    ByRepoAndCluster, GithubLinks, GithubReporterConfig, InRepoConfig, PlankConfig, ProwConfig,
    SLACK_REPORT, SchedulerConfig, SinkerConfig, SlackReporterEntry,
};
pub use prowjob_spec::{
    batch_spec, periodic_labels, periodic_spec, postsubmit_labels, postsubmit_spec,
    presubmit_labels, presubmit_spec,
};
pub use published_schema::{job_file_schema, prow_jobs_schema};

/// The whole configuration of an installation, with defaults and validated.
#[derive(Debug, Default)]
pub struct Config {
    /// `config.yaml` without its jobs.
    pub prow: ProwConfig,
    /// The central jobs: those of `config.yaml` and of the job files.
    pub jobs: JobConfig,
    /// Unknown fields and duplicate keys in these files.
    pub unknown_fields: Vec<Diagnostic>,
    /// How many files were read.
    pub files: usize,
}

/// Jobs by repository. Every job has its defaults, its presets and its decoration.
#[derive(Clone, Debug, Default)]
pub struct JobConfig {
    /// By `org/repo`.
    pub presubmits: BTreeMap<String, Vec<Arc<Presubmit>>>,
    /// By `org/repo`.
    pub postsubmits: BTreeMap<String, Vec<Arc<Postsubmit>>>,
    pub periodics: Vec<Arc<Periodic>>,
    pub presets: Vec<Preset>,
}

impl Config {
    /// Loads, completes and validates everything that `options` name, once.
    pub fn load_files(options: &ConfigOptions) -> Result<Arc<Self>, ConfigErrors> {
        ConfigLoader::load_once(options)
    }

    /// The central presubmits of `org/repo`.
    pub fn presubmits_for(&self, org_repo: &str) -> &[Arc<Presubmit>] {
        repo_names::find_by_name(&self.jobs.presubmits, org_repo).map_or(&[], Vec::as_slice)
    }

    /// The central postsubmits of `org/repo`.
    pub fn postsubmits_for(&self, org_repo: &str) -> &[Arc<Postsubmit>] {
        repo_names::find_by_name(&self.jobs.postsubmits, org_repo).map_or(&[], Vec::as_slice)
    }

    /// Top-level sections of `config.yaml` that no service here reads.
    pub fn unused_sections(&self) -> impl Iterator<Item = &'static str> {
        self.prow.unused_sections()
    }
}
