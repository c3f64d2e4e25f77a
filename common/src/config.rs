//! Prow's configuration: `config.yaml`, the job files, `plugins.yaml` and what repositories bring
//! themselves. Data, defaults, validation; the only I/O is reading the files that are named.
//!
//! files → [`yaml`] → types with defaults → presets → validation → [`Config`], or [`Errors`] that
//! name every mistake with file, line and column.

pub mod agent;
pub mod buckets;
pub mod check;
mod content;
mod decorations;
mod defaults;
mod files;
mod findings;
pub mod inrepo;
mod job;
mod loader;
mod options;
mod parallel;
mod part;
mod places;
pub mod plugins;
mod preset;
mod problem;
pub mod prow;
pub mod prowignore;
mod published_schema;
mod report;
mod schema;
mod spec;
mod validate;
pub mod yaml;

use std::{collections::BTreeMap, sync::Arc};

use crate::names;

pub use agent::{Agent, Files, LoadFailure, LoadMetrics, LoadStatus};
pub use job::{
    Brancher, Changes, JobBase, Origin, Pattern, Periodic, PodText, Postsubmit, Presubmit,
    RegexpChangeMatcher, Retry, UtilityConfig,
};
pub use loader::Loader;
pub use options::Options;
pub use preset::Preset;
pub(crate) use problem::nearest;
pub use problem::{Errors, Path, Problem, Segment};
pub use prow::{
    ByRepoAndCluster, GithubLinks, GithubReporter, InRepoConfig, Plank, ProwConfig, SLACK_REPORT,
    Scheduler, Sinker, SlackReporter,
};
pub use published_schema::{job_file_schema, prow_jobs_schema};
pub use spec::{
    batch_spec, periodic_labels, periodic_spec, postsubmit_labels, postsubmit_spec,
    presubmit_labels, presubmit_spec,
};

/// Everything an installation is configured with, read, completed and checked.
#[derive(Debug, Default)]
pub struct Config {
    /// `config.yaml` without its jobs.
    pub prow: ProwConfig,
    /// The central jobs: those of `config.yaml` and of the job files.
    pub jobs: JobConfig,
    /// Fields of these files that nobody knows, and keys that are there twice.
    pub unknown_fields: Vec<Problem>,
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
    /// Reads, completes and checks everything that `options` name, once.
    pub fn load(options: &Options) -> Result<Arc<Self>, Errors> {
        Loader::once(options)
    }

    /// The central presubmits of `org/repo`.
    pub fn presubmits_for(&self, org_repo: &str) -> &[Arc<Presubmit>] {
        names::find(&self.jobs.presubmits, org_repo).map_or(&[], Vec::as_slice)
    }

    /// The central postsubmits of `org/repo`.
    pub fn postsubmits_for(&self, org_repo: &str) -> &[Arc<Postsubmit>] {
        names::find(&self.jobs.postsubmits, org_repo).map_or(&[], Vec::as_slice)
    }

    /// Top-level sections of `config.yaml` that no service here reads.
    pub fn unused_sections(&self) -> impl Iterator<Item = &'static str> {
        self.prow.unused()
    }
}
