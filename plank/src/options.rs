//! The flags of Prow's `prow-controller-manager`.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use common::{config, github, kube, service};

use crate::{build_id::Tot, transition::Controllers};

/// Plank's flags.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Options {
    /// Which controllers to run: `plank`, `scheduler`, or both by naming the flag twice.
    #[arg(long, default_value = "plank")]
    pub enable_controller: Vec<String>,
    /// Decide and log, change nothing.
    #[arg(
        long,
        value_parser = service::flags::boolean,
        default_value = "true",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub dry_run: bool,
    /// Only pods with these labels are looked at, beside `created-by-prow=true`.
    #[arg(long, default_value = "")]
    pub label_selector: String,
    /// Prow's service for build ids; without it they are made here, rising with time.
    #[arg(long, default_value = "")]
    pub tot_url: String,
    /// File with the key that Deck checks storage tokens with. Not Prow's.
    #[arg(long, value_name = "FILE")]
    pub storage_key_file: Option<PathBuf>,
    /// Taken and unused, as in Prow: plank reads no bucket.
    #[arg(long, hide = true)]
    pub gcs_credentials_file: Option<PathBuf>,
    /// Taken and unused, as in Prow: plank reads no bucket.
    #[arg(long, hide = true)]
    pub s3_credentials_file: Option<PathBuf>,
    #[command(flatten)]
    pub config: config::Options,
    #[command(flatten)]
    pub kubernetes: kube::Options,
    #[command(flatten)]
    pub leader_election: service::lease::Timing,
    /// Taken and unused, as in Prow: plank does not talk to GitHub.
    #[command(flatten)]
    pub github: github::Options,
    #[command(flatten)]
    pub instrumentation: service::InstrumentationOptions,
}

impl Options {
    /// The controllers that are enabled.
    pub(crate) fn controllers(&self) -> anyhow::Result<Controllers> {
        let mut controllers = Controllers {
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

    pub(crate) fn tot(&self) -> anyhow::Result<Option<Tot>> {
        let url = Some(self.tot_url.as_str()).filter(|url| !url.is_empty());
        url.map(|url| {
            let url = url.parse().with_context(|| format!("--tot-url {url}"))?;
            Ok(Tot::new(url))
        })
        .transpose()
    }

    pub(crate) fn storage_key(&self) -> anyhow::Result<Option<Vec<u8>>> {
        self.storage_key_file
            .as_deref()
            .map(storage_key)
            .transpose()
    }
}

/// Reads the key that Deck checks storage tokens with.
pub(crate) fn storage_key(path: &Path) -> anyhow::Result<Vec<u8>> {
    let key =
        std::fs::read(path).with_context(|| format!("--storage-key-file {}", path.display()))?;
    let key = key.trim_ascii().to_vec();
    if key.len() < MIN_KEY {
        bail!(
            "--storage-key-file {}: the key is shorter than {MIN_KEY} bytes",
            path.display()
        );
    }
    Ok(key)
}

/// Bytes of a key that nobody guesses.
const MIN_KEY: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Options {
        let args = ["--config-path=c.yaml"].iter().chain(args).map(Into::into);
        service::flags::parse("plank", args).unwrap()
    }

    #[test]
    fn defaults_are_prows() {
        let options = parse(&[]);
        assert!(options.dry_run);
        assert_eq!(options.enable_controller, ["plank"]);
        assert!(options.storage_key().unwrap().is_none());
        let controllers = options.controllers().unwrap();
        assert!(controllers.plank && !controllers.scheduler);
        let both = parse(&["--enable-controller=plank", "--enable-controller=scheduler"]);
        let controllers = both.controllers().unwrap();
        assert!(controllers.plank && controllers.scheduler);
        assert!(!parse(&["-dry-run=false"]).dry_run);
    }

    #[test]
    fn what_is_not_there_is_refused() {
        let error = parse(&["--enable-controller=x"]).controllers();
        let error = format!("{:#}", error.unwrap_err());
        assert!(error.contains("no such controller"), "{error}");
        let error = parse(&["--tot-url=no url"]).tot().unwrap_err();
        assert!(format!("{error:#}").contains("--tot-url no url"));
        let error = parse(&["--storage-key-file=/does/not/exist"]).storage_key();
        let error = format!("{:#}", error.unwrap_err());
        assert!(error.contains("/does/not/exist"), "{error}");
    }
}
