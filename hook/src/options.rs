//! The command line, with Prow's flags.

use std::path::PathBuf;

use clap::Args;
use common::{
    config,
    duration::GoDuration,
    github, kube,
    service::{InstrumentationOptions, flags},
};

use crate::InRepoSettings;

/// Receives GitHub's webhooks and creates `ProwJob`s.
#[derive(Clone, Debug, Args)]
#[group(skip)]
pub struct HookOptions {
    /// The path that GitHub sends webhooks to.
    #[arg(long, default_value = "/hook", value_name = "PATH")]
    pub webhook_path: String,
    /// The port that webhooks arrive at.
    #[arg(long, default_value_t = 8888)]
    pub port: u16,
    /// Decide and log, and change nothing on GitHub or in the cluster.
    #[arg(
        long,
        value_parser = flags::parse_bool,
        default_value = "true",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub dry_run: bool,
    /// How long work may go on at shutdown; more than a second changes nothing, since the next
    /// process takes up what is cut off.
    #[arg(long, default_value = "180s")]
    pub grace_period: GoDuration,
    /// The webhook's secret: one token, or a YAML map of tokens by `org/repo`, `org` and `*`.
    #[arg(long, default_value = "/etc/webhook/hmac", value_name = "FILE")]
    pub hmac_secret_file: PathBuf,
    /// Where deliveries are kept until they are acted on. Not a flag of Prow's.
    #[arg(long, default_value = "/var/lib/hook/hook.db", value_name = "FILE")]
    pub database: PathBuf,
    /// Disk for mirrors of repositories that bring jobs themselves, in MiB; above it, those unused
    /// for longest are removed. 0 for no limit. Not a flag of Prow's.
    #[arg(long, default_value_t = 20 << 10, value_name = "MIB")]
    pub mirror_disk_mib: u64,
    /// Context of a commit status that is red while a pull request's own job configuration cannot
    /// be used, such as prow/config; without the flag there is the comment alone. Not a flag of
    /// Prow's.
    #[arg(long, value_name = "CONTEXT")]
    pub config_status_context: Option<String>,
    #[command(flatten)]
    pub enablement: github::GithubEnablementOptions,
    #[command(flatten)]
    pub config: config::ConfigOptions,
    #[command(flatten)]
    pub plugins: config::plugins::PluginOptions,
    #[command(flatten)]
    pub github: github::GithubOptions,
    #[command(flatten)]
    pub kube: kube::KubernetesOptions,
    #[command(flatten)]
    pub instrumentation: InstrumentationOptions,
    #[command(flatten)]
    pub unused: UnusedPluginFlags,
}

impl HookOptions {
    pub(crate) fn in_repo(&self) -> InRepoSettings {
        InRepoSettings {
            git_base: git_base(&self.github.github_host),
            dir: self.config.cache_dir_base.clone(),
            entries: self.config.in_repo_config_cache_size,
            disk_bytes: self.mirror_disk_mib.saturating_mul(1 << 20),
        }
    }
}

/// In Prow, `--github-host` is a host; here it may also be a base URL, for a GitHub without TLS.
fn git_base(host: &str) -> String {
    if host.contains("://") {
        host.to_owned()
    } else {
        format!("https://{host}")
    }
}

/// Prow's flags for plugins that do not exist here. They are accepted, so that Prow's manifests
/// start, and have no effect.
#[derive(Clone, Debug, Default, Args)]
pub struct UnusedPluginFlags {
    #[arg(long, hide = true)]
    pub slack_token_file: Option<PathBuf>,
    #[arg(long, hide = true)]
    pub bugzilla_endpoint: Option<String>,
    #[arg(long, hide = true)]
    pub bugzilla_api_key_path: Option<PathBuf>,
    #[arg(long, hide = true)]
    pub bugzilla_auth_method: Option<String>,
    #[arg(long, hide = true)]
    pub jira_endpoint: Option<String>,
    #[arg(long, hide = true)]
    pub jira_username: Option<String>,
    #[arg(long, hide = true)]
    pub jira_password_file: Option<PathBuf>,
    #[arg(long, hide = true)]
    pub jira_bearer_token_file: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> HookOptions {
        flags::parse_flags("hook", args.iter().map(Into::into)).unwrap()
    }

    #[test]
    fn flags_are_prows() {
        let options = parse(&["-config-path=c"]);
        assert!(options.dry_run, "as in Prow");
        assert_eq!(
            (options.port, options.webhook_path.as_str()),
            (8888, "/hook")
        );
        assert_eq!(options.grace_period.as_secs(), 180);
        let options = parse(&[
            "--config-path",
            "c",
            "--dry-run=false",
            "--slack-token-file=/etc/slack/token",
            "--jira-endpoint=https://jira",
            "--grace-period=1m30s",
        ]);
        assert!(!options.dry_run);
        assert_eq!(options.grace_period.as_secs(), 90);
    }

    #[test]
    fn a_host_is_a_host_unless_it_says_how_to_reach_it() {
        assert_eq!(git_base("github.com"), "https://github.com");
        assert_eq!(git_base("http://127.0.0.1:3000"), "http://127.0.0.1:3000");
    }

    #[test]
    fn flags_without_an_effect_stand_in_the_readme() {
        let command = HookOptions::augment_args(clap::Command::new("hook"));
        let hidden: Vec<_> = command
            .get_arguments()
            .filter(|argument| argument.is_hide_set())
            .map(|argument| format!("`--{}`", argument.get_long().unwrap()))
            .collect();
        assert!(hidden.len() > 5, "{hidden:?}");
        for flag in hidden {
            assert!(include_str!("../README.md").contains(&flag), "{flag}");
        }
    }
}
