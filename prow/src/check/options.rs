//! The flags of `prow check`: checkconfig's, and the output format.

use std::{collections::BTreeSet, path::PathBuf};

use clap::ValueEnum;
use common::{
    config::{
        self,
        checkconfig::{self, WarningSet},
        plugins,
    },
    github,
    service::flags,
    storage::StorageCredentials,
};

use super::github_warnings;

/// Reads a configuration as Prow's services would, and says what is wrong with it.
///
/// Errors keep the services from loading it. Warnings are about what loads and is probably not
/// meant. Without --config-path, the jobs that the repository in this folder brings itself
/// (.prow/, .prow.yaml or prow-jobs.yaml) are checked on their own.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "prow check", after_help = after_help(), max_term_width = 100)]
pub(super) struct CheckOptions {
    #[command(flatten, next_help_heading = "What is read")]
    pub(super) files: CheckFileOptions,
    #[command(flatten, next_help_heading = "What is looked for")]
    pub(super) warnings: CheckWarningOptions,
    #[command(flatten, next_help_heading = "Whom is asked")]
    pub(super) storage: CheckStorageOptions,
    #[command(flatten, next_help_heading = "Whom is asked")]
    pub(super) github: github::GithubOptions,
    /// How findings are printed
    #[arg(
        long,
        value_enum,
        default_value = "text",
        help_heading = "What is said"
    )]
    pub(super) output: CheckOutputFormat,
    /// End with 1 for checkconfig's warnings, too
    #[arg(
        long,
        value_parser = flags::parse_bool,
        default_value = "false",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        hide_default_value = true,
        hide_possible_values = true,
        value_name = "BOOL",
        help_heading = "What is said"
    )]
    pub(super) strict: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum CheckOutputFormat {
    /// For people: grouped, a line each
    Text,
    /// One object with counts and findings
    Json,
    /// Annotations for GitHub Actions
    Github,
}

#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub(super) struct CheckFileOptions {
    /// The installation's config.yaml
    #[arg(long, value_name = "FILE")]
    config_path: Option<PathBuf>,
    /// A job file, or a folder that is searched for them
    #[arg(long, value_name = "PATH")]
    job_config_path: Option<PathBuf>,
    /// A folder with further parts of config.yaml; may be repeated
    #[arg(long, value_name = "DIR")]
    supplemental_prow_config_dir: Vec<PathBuf>,
    /// The suffix of those parts' names
    #[arg(
        long,
        alias = "supplemental-prow-configs-filename",
        value_name = "SUFFIX",
        default_value = "_prowconfig.yaml"
    )]
    supplemental_prow_configs_filename_suffix: String,
    /// The installation's plugins.yaml
    #[arg(long, value_name = "FILE")]
    plugin_config: Option<PathBuf>,
    /// A folder with further parts of plugins.yaml; may be repeated
    #[arg(long, value_name = "DIR")]
    supplemental_plugin_config_dir: Vec<PathBuf>,
    /// The suffix of those parts' names
    #[arg(long, value_name = "SUFFIX", default_value = "_pluginconfig.yaml")]
    supplemental_plugin_configs_filename_suffix: String,
    /// A repository whose own jobs are checked together with the central ones
    #[arg(long, value_name = "ORG/REPO")]
    pub(super) prow_yaml_repo_name: Option<String>,
    /// Where its jobs are, if not in this folder; needs --prow-yaml-repo-name
    #[arg(long, value_name = "PATH", requires = "prow_yaml_repo_name")]
    pub(super) prow_yaml_path: Option<PathBuf>,
    /// Accepted, so that Prow's command lines work: no mirror is kept here.
    #[arg(long, hide = true)]
    in_repo_config_cache_size: Option<usize>,
    #[arg(long, hide = true)]
    cache_dir_base: Option<PathBuf>,
}

impl CheckFileOptions {
    /// The paths of the installation's configuration, if one was named.
    pub(super) fn config_options(&self) -> Option<config::ConfigOptions> {
        Some(config::ConfigOptions {
            config_path: self.config_path.clone()?,
            job_config_path: self.job_config_path.clone(),
            supplemental_prow_config_dir: self.supplemental_prow_config_dir.clone(),
            supplemental_prow_configs_filename_suffix: self
                .supplemental_prow_configs_filename_suffix
                .clone(),
            ..config::ConfigOptions::default()
        })
    }

    /// The paths of the plugins' configuration, if one was named.
    pub(super) fn plugin_options(&self) -> Option<plugins::PluginOptions> {
        Some(plugins::PluginOptions {
            plugin_config: self.plugin_config.clone()?,
            supplemental_plugin_config_dir: self.supplemental_plugin_config_dir.clone(),
            supplemental_plugin_configs_filename_suffix: self
                .supplemental_plugin_configs_filename_suffix
                .clone(),
        })
    }
}

/// Credentials for `plank.build_cluster_status_file`.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub(super) struct CheckStorageOptions {
    /// A Google service account's key, if the build clusters' states are in gs://
    #[arg(long, value_name = "FILE")]
    gcs_credentials_file: Option<PathBuf>,
    /// Prow's JSON of S3 credentials, if they are in s3://
    #[arg(long, value_name = "FILE")]
    s3_credentials_file: Option<PathBuf>,
}

impl CheckStorageOptions {
    pub(super) fn storage_credentials(&self) -> StorageCredentials {
        StorageCredentials {
            gcs_credentials_file: self.gcs_credentials_file.clone(),
            s3_credentials_file: self.s3_credentials_file.clone(),
            ..StorageCredentials::default()
        }
    }
}

#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub(super) struct CheckWarningOptions {
    /// Look for this one only; may be repeated
    #[arg(long = "warnings", value_name = "WARNING")]
    chosen: Vec<String>,
    /// Do not look for this one; may be repeated
    #[arg(long = "exclude-warning", value_name = "WARNING")]
    excluded: Vec<String>,
    /// Look for the default ones as well as those of --warnings
    #[arg(
        long,
        value_parser = flags::parse_bool,
        default_value = "false",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        hide_default_value = true,
        hide_possible_values = true,
        value_name = "BOOL"
    )]
    include_default_warnings: bool,
    /// Look for all of them, those that ask GitHub included
    #[arg(
        long,
        value_parser = flags::parse_bool,
        default_value = "false",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        hide_default_value = true,
        hide_possible_values = true,
        value_name = "BOOL"
    )]
    expensive_checks: bool,
    /// An annotation that every job must have; may be repeated
    #[arg(long = "required-job-annotations", value_name = "NAME")]
    pub(super) required_job_annotations: Vec<String>,
}

impl CheckOptions {
    /// The warnings that are enabled. A GitHub App enables the one about its installations.
    pub(super) fn enabled_warnings(&self) -> Result<BTreeSet<&'static str>, String> {
        let warnings = &self.warnings;
        let mut enabled = checkconfig::select_warnings(&checkconfig::WarningSelection {
            chosen: &warnings.chosen,
            excluded: &warnings.excluded,
            with_default: warnings.include_default_warnings,
            expensive: warnings.expensive_checks,
        })?;
        if self.github.github_app_id.is_some() {
            enabled.insert(github_warnings::INSTALLATION);
        }
        Ok(enabled)
    }
}

fn after_help() -> String {
    let mut text = String::new();
    let width = checkconfig::WARNINGS
        .iter()
        .map(|warning| warning.name.len())
        .max()
        .unwrap_or_default();
    let mut list = |title: &str, sets: &[WarningSet]| {
        text.push_str(title);
        let of = |warning: &&checkconfig::CheckconfigWarning| sets.contains(&warning.set);
        for warning in checkconfig::WARNINGS.iter().filter(of) {
            text.push_str(&format!("  {:width$}  {}\n", warning.name, warning.about));
        }
    };
    list("Warnings, by default:\n", &[WarningSet::Default]);
    list(
        "\nWarnings, when asked for:\n",
        &[WarningSet::Optional, WarningSet::Expensive],
    );
    list(
        "\nWarnings that checkconfig does not have, and --strict does not count:\n",
        &[WarningSet::Own],
    );
    text.push_str(
        "\nEnds with 0, with 1 where something is wrong, with 2 for a mistyped command line.\n",
    );
    text
}
