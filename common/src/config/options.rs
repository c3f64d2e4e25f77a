//! The flags that say where the configuration is.

use std::path::PathBuf;

/// Flags every service shares, as Prow spells them.
#[derive(Clone, Debug, Default, clap::Args)]
#[group(skip)]
pub struct ConfigOptions {
    /// `config.yaml`.
    #[arg(long, value_name = "FILE")]
    pub config_path: PathBuf,
    /// A job file, or a folder that is searched for them.
    #[arg(long, value_name = "PATH")]
    pub job_config_path: Option<PathBuf>,
    /// Folders with further parts of `config.yaml`.
    #[arg(long, value_name = "DIR")]
    pub supplemental_prow_config_dir: Vec<PathBuf>,
    /// What a further part's file name ends in.
    #[arg(
        long,
        alias = "supplemental-prow-configs-filename",
        default_value = "_prowconfig.yaml"
    )]
    pub supplemental_prow_configs_filename_suffix: String,
    /// How many repositories' own configurations are kept in memory.
    #[arg(long, default_value_t = 200)]
    pub in_repo_config_cache_size: usize,
    /// Where mirrors of repositories are kept; a temporary folder when not given.
    #[arg(long, value_name = "DIR")]
    pub cache_dir_base: Option<PathBuf>,
    /// Prow's service for in-repo configuration. There is none here: naming one is an error.
    #[arg(long, value_name = "URL")]
    pub moonraker_address: Option<String>,
}
