//! The flags of Prow's `prow-controller-manager`.

use std::path::PathBuf;

use anyhow::{Context, bail};
use common::{config, github, kube, service, storage::token::keys::StorageKeyFile};

use crate::{tot::TotClient, transition::EnabledControllers};

/// Plank's flags.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct PlankOptions {
    /// Which controllers to run: `plank`, `scheduler`, or both by naming the flag twice.
    #[arg(long, default_value = "plank")]
    pub enable_controller: Vec<String>,
    /// Decide and log, change nothing.
    #[arg(
        long,
        value_parser = service::flags::parse_bool,
        default_value = "true",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub dry_run: bool,
    /// Only watch pods with these labels, in addition to `created-by-prow=true`.
    #[arg(long, default_value = "")]
    pub label_selector: String,
    /// URL of tot, Prow's service for build ids; without it plank makes them, rising with time.
    #[arg(long, default_value = "")]
    pub tot_url: String,
    /// File with the key that Deck checks storage tokens with; until it is there, jobs whose
    /// results go to Deck wait. Not Prow's.
    #[arg(long, value_name = "FILE")]
    pub storage_key_file: Option<PathBuf>,
    /// Accepted and unused, as in Prow: plank reads no bucket.
    #[arg(long, hide = true)]
    pub gcs_credentials_file: Option<PathBuf>,
    /// Accepted and unused, as in Prow: plank reads no bucket.
    #[arg(long, hide = true)]
    pub s3_credentials_file: Option<PathBuf>,
    #[command(flatten)]
    pub config: config::ConfigOptions,
    #[command(flatten)]
    pub kubernetes: kube::KubernetesOptions,
    #[command(flatten)]
    pub leader_election: service::lease::LeaderElectionOptions,
    /// Accepted and unused, as in Prow: plank does not talk to GitHub.
    #[command(flatten)]
    pub github: github::GithubOptions,
    #[command(flatten)]
    pub instrumentation: service::InstrumentationOptions,
}

impl PlankOptions {
    /// The controllers that are enabled.
    pub(crate) fn parse_controllers(&self) -> anyhow::Result<EnabledControllers> {
        let mut controllers = EnabledControllers {
            plank: false,
            scheduler: false,
        };
        for name in &self.enable_controller {
            match name.as_str() {
                "plank" => controllers.plank = true,
                "scheduler" => controllers.scheduler = true,
                other => bail!("--enable-controller={other}: there is no such controller"),
            }
        }
        Ok(controllers)
    }

    pub(crate) fn build_tot_client(&self) -> anyhow::Result<Option<TotClient>> {
        let url = Some(self.tot_url.as_str()).filter(|url| !url.is_empty());
        url.map(|url| {
            let url = url.parse().with_context(|| format!("--tot-url {url}"))?;
            Ok(TotClient::new(url))
        })
        .transpose()
    }

    pub(crate) fn storage_key(&self) -> Option<StorageKeyFile> {
        self.storage_key_file.clone().map(StorageKeyFile::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> PlankOptions {
        let args = ["--config-path=c.yaml"].iter().chain(args).map(Into::into);
        service::flags::parse_flags("plank", args).unwrap()
    }

    #[test]
    fn defaults_are_prows() {
        let options = parse(&[]);
        assert!(options.dry_run);
        assert_eq!(options.enable_controller, ["plank"]);
        assert!(options.storage_key().is_none());
        let controllers = options.parse_controllers().unwrap();
        assert!(controllers.plank && !controllers.scheduler);
        let both = parse(&["--enable-controller=plank", "--enable-controller=scheduler"]);
        let controllers = both.parse_controllers().unwrap();
        assert!(controllers.plank && controllers.scheduler);
        assert!(!parse(&["-dry-run=false"]).dry_run);
    }

    #[test]
    fn what_is_not_there_is_refused() {
        let error = parse(&["--enable-controller=x"]).parse_controllers();
        let error = format!("{:#}", error.unwrap_err());
        assert!(error.contains("no such controller"), "{error}");
        let error = parse(&["--tot-url=no url"]).build_tot_client().unwrap_err();
        assert!(format!("{error:#}").contains("--tot-url no url"));
    }
}
