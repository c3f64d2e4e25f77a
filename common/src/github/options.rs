//! Prow's flags for GitHub.

use std::path::PathBuf;

use anyhow::bail;

use crate::duration::GoDuration;

/// The flag group of every service that calls GitHub.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct GithubOptions {
    /// GitHub's host, from which repositories are cloned.
    #[arg(long, default_value = "github.com")]
    pub github_host: String,
    /// Base URL of GitHub's API. It can be repeated: where one cannot be reached, the next is used.
    #[arg(long, default_value = "https://api.github.com")]
    pub github_endpoint: Vec<String>,
    /// GraphQL endpoint; no call uses it yet.
    #[arg(long, default_value = "https://api.github.com/graphql")]
    pub github_graphql_endpoint: String,
    /// File with a personal token, instead of an App.
    #[arg(long)]
    pub github_token_path: Option<PathBuf>,
    /// The App's id; needs --github-app-private-key-path.
    #[arg(long)]
    pub github_app_id: Option<String>,
    /// File with the App's private key (PEM).
    #[arg(long)]
    pub github_app_private_key_path: Option<PathBuf>,
    /// Requests per hour that the client allows itself. Not implemented.
    #[arg(long, default_value_t = 0)]
    pub github_hourly_tokens: u32,
    /// Burst of --github-hourly-tokens. Not implemented.
    #[arg(long, default_value_t = 0)]
    pub github_allowed_burst: u32,
    /// Limit for one organisation. Not implemented.
    #[arg(long)]
    pub github_throttle_org: Vec<String>,
    /// Time limit of one request.
    #[arg(long = "github-client.request-timeout", default_value = "2m")]
    pub request_timeout: GoDuration,
    /// Retries of a request that may be repeated.
    #[arg(long = "github-client.max-retries", default_value_t = 8)]
    pub max_retries: u32,
    /// Retries after a 404.
    #[arg(long = "github-client.max-404-retries", default_value_t = 2)]
    pub max_404_retries: u32,
    /// Longest wait for a rate limit to end; a longer one is an error.
    #[arg(long = "github-client.backoff-timeout", default_value = "2m")]
    pub backoff_timeout: GoDuration,
    /// First wait between retries; it doubles.
    #[arg(long = "github-client.initial-delay", default_value = "2s")]
    pub initial_delay: GoDuration,
}

impl GithubOptions {
    /// Refuses meaningless combinations of flags.
    pub(super) fn validate_flags(&self) -> anyhow::Result<()> {
        if self.github_app_id.is_some() != self.github_app_private_key_path.is_some() {
            bail!("--github-app-id and --github-app-private-key-path go together");
        }
        if self.github_app_id.is_some() && self.github_token_path.is_some() {
            bail!("--github-token-path and --github-app-id exclude each other");
        }
        Ok(())
    }

    /// The given flags that ask for a feature that is not implemented.
    pub(super) fn unimplemented_flags(&self) -> impl Iterator<Item = &'static str> + use<> {
        let throttling = [
            ("--github-hourly-tokens", self.github_hourly_tokens != 0),
            ("--github-allowed-burst", self.github_allowed_burst != 0),
            (
                "--github-throttle-org",
                !self.github_throttle_org.is_empty(),
            ),
        ];
        let given = throttling.into_iter().filter(|(_, given)| *given);
        given.map(|(flag, _)| flag)
    }
}
