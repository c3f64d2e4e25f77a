//! The flags of `prow demo`.

use std::path::PathBuf;

/// Shows the whole system on one machine: a pull request goes in, jobs run as processes,
/// statuses come back.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "prow demo")]
pub(super) struct DemoOptions {
    /// Where everything is kept; a folder that was used before goes on with a new pull request, on
    /// the same ports. Default: a new temporary folder, removed at the end.
    #[arg(long, value_name = "DIR")]
    pub(super) data: Option<PathBuf>,
    /// A local git repository with jobs in .prow/, .prow.yaml or prow-jobs.yaml, instead of the
    /// sample; also a folder within it. It is only read.
    #[arg(long, value_name = "PATH")]
    pub(super) repo: Option<PathBuf>,
    /// Port that hook listens on. Default: 8888, or the next free one.
    #[arg(long, value_name = "PORT")]
    pub(super) hook_port: Option<u16>,
    /// Port that Deck listens on. Default: 8080, or the next free one.
    #[arg(long, value_name = "PORT")]
    pub(super) deck_port: Option<u16>,
    /// Port that the Kubernetes API listens on. Default: 6443, or the next free one.
    #[arg(long, value_name = "PORT")]
    pub(super) api_port: Option<u16>,
    /// Port that the GitHub stand-in listens on. Default: 3000, or the next free one.
    #[arg(long, value_name = "PORT")]
    pub(super) github_port: Option<u16>,
    /// End when the jobs have ended: 0 when every required job succeeded (for the sample: when
    /// each job ended as the table says), else 1.
    #[arg(
        long,
        value_parser = common::service::flags::parse_bool,
        default_value = "false",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub(super) exit: bool,
}
