//! The flags of `prow mkpod`, as upstream's mkpod spells them.

use std::path::PathBuf;

use common::service::flags;

/// Prints the pod of a `ProwJob` as YAML, for `kubectl create -f -`.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "prow mkpod", max_term_width = 100)]
pub(super) struct MkpodOptions {
    /// File with the `ProwJob`, - for standard input
    #[arg(long, value_name = "FILE")]
    pub(super) prow_job: PathBuf,
    /// Build ID of the run, or 'snowflake' for a new one; else that of the `ProwJob`'s status
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(super) build_id: String,
    /// Copy results to a folder of the node instead of uploading them; needs no credentials
    #[arg(
        long,
        value_parser = flags::parse_bool,
        default_value = "false",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        hide_default_value = true,
        value_name = "BOOL"
    )]
    pub(super) local: bool,
    /// That folder, to which the build ID is added; a new temporary one when not given
    #[arg(long, value_name = "DIR")]
    pub(super) out_dir: Option<PathBuf>,
}
