//! Prow's flags for finding clusters.

use std::path::PathBuf;

use crate::{duration::GoDuration, service::flags};

/// Prow's flags for finding clusters.
#[derive(Clone, Debug, Default, clap::Args)]
#[group(skip)]
pub struct KubernetesOptions {
    /// Path to a kubeconfig file; each of its contexts is a build cluster. Without this and
    /// --kubeconfig-dir the files of $KUBECONFIG are used, else ~/.kube/config.
    #[arg(long)]
    pub kubeconfig: Option<PathBuf>,
    /// Folder of kubeconfig files, read like --kubeconfig.
    #[arg(long)]
    pub kubeconfig_dir: Option<PathBuf>,
    /// Only files of --kubeconfig-dir with this suffix are read.
    #[arg(long, default_value = "")]
    pub kubeconfig_suffix: String,
    /// Token file that replaces the in-cluster token of the service account.
    #[arg(long)]
    pub projected_token_file: Option<PathBuf>,
    /// Do not use the cluster that this process runs in.
    #[arg(
        long,
        value_parser = flags::parse_bool,
        default_value = "false",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub no_in_cluster_config: bool,
    #[command(flatten)]
    pub timeouts: KubernetesTimeouts,
}

impl KubernetesOptions {
    /// Whether the flags name kubeconfig files.
    pub(super) fn names_files(&self) -> bool {
        self.kubeconfig.is_some() || self.kubeconfig_dir.is_some()
    }
}

/// How long a cluster may be silent. Not Prow's; 0 means for ever.
#[derive(Clone, Copy, Debug, clap::Args)]
#[group(skip)]
pub struct KubernetesTimeouts {
    /// Longest wait for a cluster's response, and between two chunks of it. Not Prow's.
    #[arg(
        long = "kubernetes-client.request-timeout",
        value_name = "DURATION",
        default_value = "20s"
    )]
    pub request: GoDuration,
    /// Longest silence of a watch, which the API normally breaks about every minute. Not Prow's.
    #[arg(
        long = "kubernetes-client.watch-timeout",
        value_name = "DURATION",
        default_value = "2m"
    )]
    pub watch: GoDuration,
}

impl Default for KubernetesTimeouts {
    fn default() -> Self {
        Self {
            request: GoDuration::from_secs(20),
            watch: GoDuration::from_secs(120),
        }
    }
}
