//! Completes the refs that the command line leaves out: the user types the number of the pull
//! request and a base branch, the rest comes from GitHub.

use std::io::{self, BufRead, Write};

use anyhow::{Context as _, bail};
use common::{
    github::{self, GithubClient, GithubPullRequest},
    prowjob::Refs,
};

/// Fills empty fields, in upstream's order.
pub(super) async fn complete_refs(
    refs: &mut Refs,
    options: &github::GithubOptions,
) -> anyhow::Result<()> {
    let mut github = LazyGithubClient {
        options,
        pull: None,
    };
    let (org, repo) = (refs.org.clone(), refs.repo.clone());
    let mut number = 0;
    if let Some(pull) = refs.pulls.first_mut() {
        if pull.number == 0 {
            let typed = prompt_word("PR Number: ", "--pull-number")?;
            pull.number = typed
                .parse()
                .with_context(|| format!("{typed:?} is not the number of a pull request"))?;
        }
        number = pull.number;
        if pull.author.is_empty() {
            let found = github.fetch_pull(&org, &repo, number).await?;
            pull.author.clone_from(&found.user.login);
        }
        if pull.sha.is_empty() {
            let found = github.fetch_pull(&org, &repo, number).await?;
            pull.sha.clone_from(&found.head.sha);
        }
    }
    if refs.base_ref.is_empty() {
        refs.base_ref = if number == 0 {
            prompt_word("Base ref (e.g. master): ", "--base-ref")?
        } else {
            github
                .fetch_pull(&org, &repo, number)
                .await?
                .base
                .git_ref
                .clone()
        };
    }
    if refs.base_sha.is_empty() {
        refs.base_sha = if number == 0 {
            let branch = &refs.base_ref;
            let found = github
                .new_client()?
                .get_branch_sha(&org, &repo, branch)
                .await;
            found.with_context(|| format!("asking GitHub for branch {branch} of {org}/{repo}"))?
        } else {
            github
                .fetch_pull(&org, &repo, number)
                .await?
                .base
                .sha
                .clone()
        };
    }
    Ok(())
}

/// Asks GitHub only when something is missing, and once.
struct LazyGithubClient<'a> {
    options: &'a github::GithubOptions,
    pull: Option<GithubPullRequest>,
}

impl LazyGithubClient<'_> {
    fn new_client(&self) -> anyhow::Result<GithubClient> {
        GithubClient::new(self.options, "mkpj")
    }

    async fn fetch_pull(
        &mut self,
        org: &str,
        repo: &str,
        number: u64,
    ) -> anyhow::Result<&GithubPullRequest> {
        if self.pull.is_none() {
            let found = self.new_client()?.get_pull_request(org, repo, number).await;
            let found =
                found.with_context(|| format!("asking GitHub for {org}/{repo}#{number}"))?;
            self.pull = Some(found);
        }
        self.pull.as_ref().context("GitHub was asked")
    }
}

/// Reads one word from the user at the terminal; `flag` would have given it.
fn prompt_word(question: &str, flag: &str) -> anyhow::Result<String> {
    let mut terminal = io::stderr();
    terminal.write_all(question.as_bytes())?;
    terminal.flush()?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    match line.split_whitespace().next() {
        Some(word) => Ok(word.to_owned()),
        None => bail!("nothing was typed, and {flag} is not given"),
    }
}
