//! The command line, as Prow spells it.

use std::path::PathBuf;

use clap::Args;
use common::{
    config,
    duration::GoDuration,
    github, kube,
    service::{InstrumentationOptions, flags},
};

/// Flags of `hook`.
#[derive(Clone, Debug, Args)]
#[group(skip)]
pub struct Options {
    /// Where GitHub delivers.
    #[arg(long, default_value = "/hook", value_name = "PATH")]
    pub webhook_path: String,
    /// Where deliveries are listened for.
    #[arg(long, default_value_t = 8888)]
    pub port: u16,
    /// Decide and log, and change nothing on GitHub or in the cluster.
    #[arg(
        long,
        value_parser = flags::boolean,
        default_value = "true",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub dry_run: bool,
    /// For work that has begun when hook is to end.
    #[arg(long, default_value = "180s")]
    pub grace_period: GoDuration,
    /// The webhook's secret: one token, or a YAML map of tokens by `org/repo`, `org` and `*`.
    #[arg(long, default_value = "/etc/webhook/hmac", value_name = "FILE")]
    pub hmac_secret_file: PathBuf,
    /// Where deliveries are kept until they are acted on. Not a flag of Prow's.
    #[arg(long, default_value = "/var/lib/hook/hook.db", value_name = "FILE")]
    pub database: PathBuf,
    #[command(flatten)]
    pub repositories: Repositories,
    #[command(flatten)]
    pub config: config::Options,
    #[command(flatten)]
    pub plugins: config::plugins::Options,
    #[command(flatten)]
    pub github: github::Options,
    #[command(flatten)]
    pub kube: kube::Options,
    #[command(flatten)]
    pub instrumentation: InstrumentationOptions,
    #[command(flatten)]
    pub unused: Unused,
}

/// Which repositories' events are acted on: if anything is enabled, only that; never what is
/// disabled.
#[derive(Clone, Debug, Default, Args)]
pub struct Repositories {
    /// An organisation whose events are acted on.
    #[arg(long, value_name = "ORG")]
    pub github_enabled_org: Vec<String>,
    /// A repository (`org/repo`) whose events are acted on.
    #[arg(long, value_name = "ORG/REPO")]
    pub github_enabled_repo: Vec<String>,
    /// An organisation whose events are not acted on.
    #[arg(long, value_name = "ORG")]
    pub github_disabled_org: Vec<String>,
    /// A repository (`org/repo`) whose events are not acted on.
    #[arg(long, value_name = "ORG/REPO")]
    pub github_disabled_repo: Vec<String>,
}

impl Repositories {
    /// Refuses what is enabled and disabled at once.
    pub(crate) fn validate(&self) -> anyhow::Result<()> {
        for (enabled, disabled) in [
            (&self.github_enabled_org, &self.github_disabled_org),
            (&self.github_enabled_repo, &self.github_disabled_repo),
        ] {
            if let Some(both) = enabled.iter().find(|name| disabled.contains(name)) {
                anyhow::bail!("{both} is enabled and disabled at once");
            }
        }
        Ok(())
    }

    pub(crate) fn enabled(&self, org: &str, repo: &str) -> bool {
        let full = format!("{org}/{repo}");
        let among = |orgs: &[String], repos: &[String]| {
            orgs.iter().any(|it| it == org) || repos.contains(&full)
        };
        let all = self.github_enabled_org.is_empty() && self.github_enabled_repo.is_empty();
        (all || among(&self.github_enabled_org, &self.github_enabled_repo))
            && !among(&self.github_disabled_org, &self.github_disabled_repo)
    }
}

/// Prow's flags for plugins that are not here. Taken, so that its manifests start, and without
/// an effect.
#[derive(Clone, Debug, Default, Args)]
pub struct Unused {
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

    fn parse(args: &[&str]) -> Options {
        flags::parse("hook", args.iter().map(Into::into)).unwrap()
    }

    #[test]
    fn flags_are_prows() {
        let options = parse(&["-config-path=c"]);
        assert!(options.dry_run, "as in Prow");
        assert_eq!(
            (options.port, options.webhook_path.as_str()),
            (8888, "/hook")
        );
        assert_eq!(options.grace_period.secs(), 180);
        let options = parse(&[
            "--config-path",
            "c",
            "--dry-run=false",
            "--slack-token-file=/etc/slack/token",
            "--jira-endpoint=https://jira",
            "--grace-period=1m30s",
        ]);
        assert!(!options.dry_run);
        assert_eq!(options.grace_period.secs(), 90);
    }

    #[test]
    fn flags_without_an_effect_stand_in_the_readme() {
        let command = Options::augment_args(clap::Command::new("hook"));
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

    #[test]
    fn repositories_are_enabled_and_disabled() {
        let names = |list: &[&str]| list.iter().map(ToString::to_string).collect();
        let of = |enabled: [&[&str]; 2], disabled: [&[&str]; 2]| Repositories {
            github_enabled_org: names(enabled[0]),
            github_enabled_repo: names(enabled[1]),
            github_disabled_org: names(disabled[0]),
            github_disabled_repo: names(disabled[1]),
        };
        for (name, repositories, repo, enabled) in [
            ("all by default", of([&[], &[]], [&[], &[]]), "r", true),
            (
                "an enabled organisation",
                of([&["o"], &[]], [&[], &[]]),
                "r",
                true,
            ),
            (
                "another organisation",
                of([&["p"], &[]], [&[], &[]]),
                "r",
                false,
            ),
            (
                "an enabled repository",
                of([&[], &["o/r"]], [&[], &[]]),
                "r",
                true,
            ),
            (
                "another repository",
                of([&[], &["o/r"]], [&[], &[]]),
                "s",
                false,
            ),
            (
                "a disabled repository",
                of([&["o"], &[]], [&[], &["o/r"]]),
                "r",
                false,
            ),
            (
                "a disabled organisation",
                of([&[], &[]], [&["o"], &[]]),
                "r",
                false,
            ),
        ] {
            assert_eq!(repositories.enabled("o", repo), enabled, "{name}");
        }
        assert!(of([&["o"], &[]], [&["o"], &[]]).validate().is_err());
    }
}
