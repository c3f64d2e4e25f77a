//! Prow's flags that say which repositories a service handles.

use anyhow::bail;

use crate::repo_names;

/// If anything is enabled, only that is handled. What is disabled is never handled.
#[derive(Clone, Debug, Default, clap::Args)]
#[group(skip)]
pub struct GithubEnablementOptions {
    /// An organisation that is handled.
    #[arg(long, value_name = "ORG")]
    pub github_enabled_org: Vec<String>,
    /// A repository (`org/repo`) that is handled.
    #[arg(long, value_name = "ORG/REPO")]
    pub github_enabled_repo: Vec<String>,
    /// An organisation that is not handled.
    #[arg(long, value_name = "ORG")]
    pub github_disabled_org: Vec<String>,
    /// A repository (`org/repo`) that is not handled.
    #[arg(long, value_name = "ORG/REPO")]
    pub github_disabled_repo: Vec<String>,
}

impl GithubEnablementOptions {
    /// Refuses a name that is both enabled and disabled.
    pub fn validate_flags(&self) -> anyhow::Result<()> {
        for (enabled, disabled) in [
            (&self.github_enabled_org, &self.github_disabled_org),
            (&self.github_enabled_repo, &self.github_disabled_repo),
        ] {
            if let Some(both) = enabled
                .iter()
                .find(|name| disabled.iter().any(|it| repo_names::is_same_name(it, name)))
            {
                bail!("{both} is enabled and disabled at once");
            }
        }
        Ok(())
    }

    pub fn allows_repo(&self, org: &str, repo: &str) -> bool {
        let full = format!("{org}/{repo}");
        let among = |orgs: &[String], repos: &[String]| {
            orgs.iter().any(|it| repo_names::is_same_name(it, org))
                || repos.iter().any(|it| repo_names::is_same_name(it, &full))
        };
        let all = self.github_enabled_org.is_empty() && self.github_enabled_repo.is_empty();
        (all || among(&self.github_enabled_org, &self.github_enabled_repo))
            && !among(&self.github_disabled_org, &self.github_disabled_repo)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enablement(enabled: [&[&str]; 2], disabled: [&[&str]; 2]) -> GithubEnablementOptions {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        GithubEnablementOptions {
            github_enabled_org: list(enabled[0]),
            github_enabled_repo: list(enabled[1]),
            github_disabled_org: list(disabled[0]),
            github_disabled_repo: list(disabled[1]),
        }
    }

    #[test]
    fn what_is_enabled_and_not_disabled_is_served() {
        for (what, enablement, served) in [
            (
                "no flag",
                enablement([&[], &[]], [&[], &[]]),
                [true, true, true],
            ),
            (
                "an organisation",
                enablement([&["o"], &[]], [&[], &[]]),
                [true, true, false],
            ),
            (
                "a repository",
                enablement([&[], &["o/r"]], [&[], &[]]),
                [true, false, false],
            ),
            (
                "all but one",
                enablement([&[], &[]], [&[], &["o/r"]]),
                [false, true, true],
            ),
            (
                "one less",
                enablement([&["o"], &[]], [&[], &["o/s"]]),
                [true, false, false],
            ),
        ] {
            for names in [
                [("o", "r"), ("o", "s"), ("p", "r")],
                [("O", "R"), ("O", "s"), ("p", "R")],
            ] {
                let found = names.map(|(org, repo)| enablement.allows_repo(org, repo));
                assert_eq!(found, served, "{what}");
            }
            enablement.validate_flags().unwrap();
        }
        let both = enablement([&["o"], &[]], [&["O"], &[]])
            .validate_flags()
            .unwrap_err();
        assert_eq!(both.to_string(), "o is enabled and disabled at once");
    }
}
