//! The warnings for which GitHub is asked.

use std::collections::BTreeSet;

use anyhow::{Context as _, bail};
use common::{
    config::{
        Config, ConfigPath, Diagnostic,
        checkconfig::{CheckconfigInput, repos_reading_owners},
        plugins::RepoSet,
    },
    github::{GithubClient, GithubOptions},
};

const OWNERS: &str = "verify-owners-presence";
pub(super) const INSTALLATION: &str = "validate-github-app-installation";

/// The names of the warnings.
pub(super) const RULES: [&str; 2] = [OWNERS, INSTALLATION];

/// The findings of the warnings that are enabled.
pub(super) async fn find_github_warnings(
    options: &GithubOptions,
    enabled: &BTreeSet<&'static str>,
    subject: &CheckconfigInput<'_>,
) -> anyhow::Result<Vec<Diagnostic>> {
    let mut found = Vec::new();
    let client = GithubClient::new(options, "checkconfig")?;
    if let Some(plugins) = subject.plugins
        && enabled.contains(OWNERS)
    {
        if options.github_token_path.is_none() && options.github_app_id.is_none() {
            bail!("{OWNERS} needs --github-token-path or --github-app-id");
        }
        let missing = without_owners(&client, &repos_reading_owners(plugins)).await;
        for repo in missing.context(OWNERS)? {
            let (file, _) = plugins.locate_path(&ConfigPath::Root);
            let message =
                format!("{repo} has a plugin that reads OWNERS files, and none at its root");
            found.push(Diagnostic::in_file(OWNERS, &*file, message));
        }
    }
    if enabled.contains(INSTALLATION) {
        let installed = client
            .list_app_installations()
            .await
            .context(INSTALLATION)?;
        for org in not_installed(subject.config, &installed) {
            let message = format!("{org} is configured, and the GitHub App is not installed there");
            found.push(Diagnostic::in_file(
                INSTALLATION,
                &*subject.config_file(),
                message,
            ));
        }
    }
    Ok(found)
}

async fn without_owners(
    client: &GithubClient,
    places: &RepoSet,
) -> anyhow::Result<BTreeSet<String>> {
    let mut repos = places.repos.clone();
    for (org, except) in &places.orgs {
        let all = client.list_repositories(org).await?.into_iter();
        repos.extend(all.filter(|repo| !except.contains(repo)));
    }
    let mut missing = BTreeSet::new();
    for repo in repos {
        let Some((org, name)) = repo.split_once('/') else {
            continue;
        };
        if !client.has_file(org, name, "OWNERS").await? {
            missing.insert(repo);
        }
    }
    Ok(missing)
}

/// Organisations with jobs, but without the App. GitHub's logins are the same in any case.
fn not_installed<'a>(config: &'a Config, installed: &[String]) -> BTreeSet<&'a str> {
    let jobs = &config.jobs;
    let repos = jobs.presubmits.keys().chain(jobs.postsubmits.keys());
    let orgs = repos.map(|repo| repo.split('/').next().unwrap_or(repo));
    orgs.filter(|org| {
        !installed
            .iter()
            .any(|login| login.eq_ignore_ascii_case(org))
    })
    .collect()
}
