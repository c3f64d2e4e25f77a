//! The flags that say where the configuration is.

use std::path::PathBuf;

/// Flags that every service shares, in Prow's spelling.
#[derive(Clone, Debug, Default, clap::Args)]
#[group(skip)]
pub struct ConfigOptions {
    /// `config.yaml`.
    #[arg(long, value_name = "FILE")]
    pub config_path: PathBuf,
    /// A job file, or a folder that is searched for job files.
    #[arg(long, value_name = "PATH")]
    pub job_config_path: Option<PathBuf>,
    /// Folders with supplemental files of `config.yaml`.
    #[arg(long, value_name = "DIR")]
    pub supplemental_prow_config_dir: Vec<PathBuf>,
    /// Suffix of the names of supplemental files.
    #[arg(
        long,
        alias = "supplemental-prow-configs-filename",
        default_value = "_prowconfig.yaml"
    )]
    pub supplemental_prow_configs_filename_suffix: String,
    /// How many repositories' own configurations are kept in memory.
    #[arg(long, default_value_t = 200)]
    pub in_repo_config_cache_size: usize,
    /// Where mirrors of repositories are kept; a temporary folder unless set.
    #[arg(long, value_name = "DIR")]
    pub cache_dir_base: Option<PathBuf>,
    /// Prow's service for in-repository configuration. Not supported: setting it is an error.
    #[arg(long, value_name = "URL")]
    pub moonraker_address: Option<String>,
}
