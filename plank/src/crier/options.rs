//! Crier's flags.

use std::path::PathBuf;

use anyhow::bail;
use common::{config, github, kube, service};

use super::Settings;

#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Options {
    /// Jobs reported to GitHub at once; 0 reports none.
    #[arg(long, default_value_t = 0)]
    pub github_workers: u16,
    #[command(flatten)]
    pub others: OtherReporters,
    /// Only jobs with this agent are reported.
    #[arg(long, default_value = "")]
    pub report_agent: String,
    /// Log what would be told, tell nothing.
    #[arg(
        long,
        value_parser = service::flags::boolean,
        default_value = "false",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub dry_run: bool,
    #[command(flatten)]
    pub enablement: github::Enablement,
    #[command(flatten)]
    pub config: config::Options,
    #[command(flatten)]
    pub kubernetes: kube::Options,
    #[command(flatten)]
    pub github: github::Options,
    #[command(flatten)]
    pub instrumentation: service::InstrumentationOptions,
}

/// The flags of reporters that are not built yet: each may be 0 or absent.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct OtherReporters {
    #[arg(long, default_value_t = 0)]
    pub gerrit_workers: u16,
    #[arg(long, default_value_t = 0)]
    pub pubsub_workers: u16,
    #[arg(long, default_value_t = 0)]
    pub slack_workers: u16,
    #[arg(long, default_value_t = 0)]
    pub blob_storage_workers: u16,
    #[arg(long, default_value_t = 0)]
    pub kubernetes_blob_storage_workers: u16,
    #[arg(long, default_value_t = 0)]
    pub resultstore_workers: u16,
    /// Means something to --kubernetes-blob-storage-workers alone.
    #[arg(long, default_value_t = 1.0, hide = true)]
    pub kubernetes_report_fraction: f64,
    /// Means something to --resultstore-workers alone.
    #[arg(
        long,
        value_parser = service::flags::boolean,
        default_value = "false",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        hide = true
    )]
    pub resultstore_artifacts_dir_only: bool,
    /// Means something to --slack-workers alone.
    #[arg(long, hide = true)]
    pub slack_token_file: Option<PathBuf>,
    /// Means something to --slack-workers alone.
    #[arg(long, hide = true)]
    pub additional_slack_token_files: Vec<String>,
    /// Means something to --gerrit-workers alone.
    #[arg(long, hide = true)]
    pub cookiefile: Option<PathBuf>,
    /// Means something to the storage reporters alone.
    #[arg(long, hide = true)]
    pub gcs_credentials_file: Option<PathBuf>,
    /// Means something to the storage reporters alone.
    #[arg(long, hide = true)]
    pub s3_credentials_file: Option<PathBuf>,
}

impl Options {
    pub(super) fn settings(&self) -> Settings {
        Settings {
            github_workers: self.github_workers,
            report_agent: self.report_agent.clone(),
            enablement: self.enablement.clone(),
            dry_run: self.dry_run,
        }
    }

    /// Refuses what is not built.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        self.enablement.validate()?;
        let others = &self.others;
        for (flag, workers) in [
            ("gerrit", others.gerrit_workers),
            ("pubsub", others.pubsub_workers),
            ("slack", others.slack_workers),
            ("blob-storage", others.blob_storage_workers),
            (
                "kubernetes-blob-storage",
                others.kubernetes_blob_storage_workers,
            ),
            ("resultstore", others.resultstore_workers),
        ] {
            if workers > 0 {
                bail!("--{flag}-workers={workers}: this reporter is not built yet; set it to 0");
            }
        }
        if self.github_workers == 0 {
            bail!("no reporter is enabled: set --github-workers");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Options {
        let args = ["--config-path=c.yaml"].iter().chain(args).map(Into::into);
        service::flags::parse("crier", args).unwrap()
    }

    #[test]
    fn what_is_not_built_is_refused() {
        assert!(parse(&["--github-workers=10"]).check().is_ok());
        for (args, told) in [
            (
                &["--github-workers=1", "-slack-workers=1"][..],
                "--slack-workers=1",
            ),
            (
                &["--github-workers=1", "-blob-storage-workers", "10"],
                "--blob-storage-workers=10",
            ),
            (&[], "no reporter is enabled"),
        ] {
            let error = parse(args).check().unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }
}
