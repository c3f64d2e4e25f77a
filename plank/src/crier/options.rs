//! Crier's flags.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{bail, ensure};
use common::{
    config, github, kube, service,
    storage::{StorageCredentials, token::keys::StorageKeyFile},
};

use super::{BucketOpener, CrierSettings, slack};

#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct CrierOptions {
    /// Reports to GitHub that are sent at once; 0 for none.
    #[arg(long, default_value_t = 0)]
    pub github_workers: u16,
    /// Messages to Slack that are sent at once; 0 for none.
    #[arg(long, default_value_t = 0)]
    pub slack_workers: u16,
    /// Jobs whose prowjob.json, started.json and finished.json are stored at once; 0 for none.
    #[arg(long, default_value_t = 0)]
    pub blob_storage_workers: u16,
    /// Jobs whose podinfo.json is stored at once; 0 for none.
    #[arg(long, default_value_t = 0)]
    pub kubernetes_blob_storage_workers: u16,
    /// The share of jobs whose podinfo.json is stored.
    #[arg(long, default_value_t = 1.0)]
    pub kubernetes_report_fraction: f64,
    /// File with the token for Slack.
    #[arg(long, value_name = "FILE")]
    pub slack_token_file: Option<PathBuf>,
    /// File with the token for another Slack host, as host=path; may be repeated.
    #[arg(long, value_name = "HOST=FILE")]
    pub additional_slack_token_files: Vec<String>,
    /// Google service account key for gs:// buckets.
    #[arg(long, value_name = "FILE")]
    pub gcs_credentials_file: Option<PathBuf>,
    /// Prow's JSON with the credentials for s3:// buckets.
    #[arg(long, value_name = "FILE")]
    pub s3_credentials_file: Option<PathBuf>,
    /// File with the key that Deck checks storage tokens with. Not Prow's.
    #[arg(long, value_name = "FILE")]
    pub storage_key_file: Option<PathBuf>,
    #[command(flatten)]
    pub others: OtherReporters,
    /// Only jobs with this agent are reported to GitHub.
    #[arg(long, default_value = "")]
    pub report_agent: String,
    /// Log what would be reported, report nothing.
    #[arg(
        long,
        value_parser = service::flags::parse_bool,
        default_value = "false",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub dry_run: bool,
    #[command(flatten)]
    pub enablement: github::GithubEnablementOptions,
    #[command(flatten)]
    pub config: config::ConfigOptions,
    #[command(flatten)]
    pub kubernetes: kube::KubernetesOptions,
    #[command(flatten)]
    pub leader_election: service::lease::LeaderElectionOptions,
    #[command(flatten)]
    pub github: github::GithubOptions,
    #[command(flatten)]
    pub instrumentation: service::InstrumentationOptions,
}

/// The flags of reporters that are not built.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct OtherReporters {
    #[arg(long, default_value_t = 0)]
    pub gerrit_workers: u16,
    #[arg(long, default_value_t = 0)]
    pub pubsub_workers: u16,
    #[arg(long, default_value_t = 0)]
    pub resultstore_workers: u16,
    /// Has an effect on --resultstore-workers alone.
    #[arg(
        long,
        value_parser = service::flags::parse_bool,
        default_value = "false",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        hide = true
    )]
    pub resultstore_artifacts_dir_only: bool,
    /// Has an effect on --gerrit-workers alone.
    #[arg(long, hide = true)]
    pub cookiefile: Option<PathBuf>,
}

impl CrierOptions {
    pub(super) fn to_settings(&self) -> CrierSettings {
        CrierSettings {
            github_workers: self.github_workers,
            slack_workers: self.slack_workers,
            blob_storage_workers: self.blob_storage_workers,
            kubernetes_blob_storage_workers: self.kubernetes_blob_storage_workers,
            kubernetes_report_fraction: self.kubernetes_report_fraction,
            report_agent: self.report_agent.clone(),
            enablement: self.enablement.clone(),
            dry_run: self.dry_run,
        }
    }

    /// Access to the buckets.
    pub(super) fn bucket_opener(&self) -> BucketOpener {
        let credentials = StorageCredentials {
            gcs_credentials_file: self.gcs_credentials_file.clone(),
            s3_credentials_file: self.s3_credentials_file.clone(),
            storage_token: None,
        };
        BucketOpener::new(
            credentials,
            self.storage_key_file.clone().map(StorageKeyFile::new),
        )
    }

    /// The token file of each Slack host.
    pub(super) fn slack_token_files(&self) -> anyhow::Result<BTreeMap<String, PathBuf>> {
        let mut all = BTreeMap::new();
        for flag in &self.additional_slack_token_files {
            let Some((host, file)) = flag.split_once('=') else {
                bail!("--additional-slack-token-files={flag}: expected host=path");
            };
            if all.insert(host.to_owned(), file.into()).is_some() {
                bail!("--additional-slack-token-files: {host} is there twice");
            }
        }
        if let Some(file) = &self.slack_token_file {
            all.insert(slack::DEFAULT_HOST.to_owned(), file.clone());
        }
        Ok(all)
    }

    /// The given flags that ask for reporters that are not built.
    pub(super) fn unbuilt_flags(&self) -> impl Iterator<Item = &'static str> + use<> {
        let others = [
            ("--gerrit-workers", self.others.gerrit_workers),
            ("--pubsub-workers", self.others.pubsub_workers),
            ("--resultstore-workers", self.others.resultstore_workers),
        ];
        let given = others.into_iter().filter(|(_, workers)| *workers > 0);
        given.map(|(flag, _)| flag)
    }

    /// Refuses flags that make no sense.
    pub(super) fn validate_flags(&self) -> anyhow::Result<()> {
        self.enablement.validate_flags()?;
        let workers = [
            self.github_workers,
            self.slack_workers,
            self.blob_storage_workers,
            self.kubernetes_blob_storage_workers,
        ];
        ensure!(
            workers.iter().any(|count| *count > 0),
            "no reporter is enabled: set --github-workers, --slack-workers, \
             --blob-storage-workers or --kubernetes-blob-storage-workers"
        );
        ensure!(
            (0.0..=1.0).contains(&self.kubernetes_report_fraction),
            "--kubernetes-report-fraction has to be between 0 and 1"
        );
        ensure!(
            self.slack_workers == 0 || !self.slack_token_files()?.is_empty(),
            "--slack-workers needs --slack-token-file or --additional-slack-token-files"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> CrierOptions {
        let args = ["--config-path=c.yaml"].iter().chain(args).map(Into::into);
        service::flags::parse_flags("crier", args).unwrap()
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for args in [
            &["--github-workers=10"][..],
            &["--github-workers=1", "-blob-storage-workers", "10"],
            &[
                "--kubernetes-blob-storage-workers=1",
                "--kubernetes-report-fraction=0.1",
            ],
            &["--slack-workers=1", "--slack-token-file=t"],
        ] {
            parse(args).validate_flags().unwrap();
        }
        for (args, told) in [
            (&["--gerrit-workers=2"][..], "no reporter is enabled"),
            (&["--slack-workers=1"], "--slack-token-file"),
            (
                &["--github-workers=1", "--kubernetes-report-fraction=1.5"],
                "between 0 and 1",
            ),
            (
                &["--slack-workers=1", "--additional-slack-token-files=x"],
                "host=path",
            ),
            (&[], "no reporter is enabled"),
        ] {
            let error = parse(args).validate_flags().unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }

    #[test]
    fn reporters_that_are_not_built_are_named() {
        let options = parse(&[
            "--github-workers=1",
            "-pubsub-workers=1",
            "--gerrit-workers=0",
        ]);
        options.validate_flags().unwrap();
        assert_eq!(
            options.unbuilt_flags().collect::<Vec<_>>(),
            ["--pubsub-workers"]
        );
    }

    #[test]
    fn every_slack_host_has_a_token() {
        let files = parse(&[
            "--slack-token-file=/t",
            "--additional-slack-token-files=a=/a",
            "--additional-slack-token-files=b=/b=c",
        ]);
        let files = files.slack_token_files().unwrap();
        let files: Vec<_> = files
            .iter()
            .map(|(host, file)| (&**host, file.to_str().unwrap()))
            .collect();
        assert_eq!(files, [("*", "/t"), ("a", "/a"), ("b", "/b=c")]);
    }
}
