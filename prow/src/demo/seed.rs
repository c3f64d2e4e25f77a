//! Everything a person would do by hand before and during the demo: accounts, the App, the first
//! push, the pull request. Pushes, forks and pull requests are made by git and REST, as a person
//! would; accounts, the repository, the App and its installation through the stand-in's handle.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use common::private_files;
use local::github::{
    AppCredentials, AppPermissions, FakeGithub, LocalUser, PermissionLevel, RepoOptions,
};

use super::{
    contributor::{ContributorClient, OpenedPullRequest},
    git::ContributorGit,
    repository::UserRepository,
    sample_repo,
};

const APP: &str = "prow-demo";
/// A member of the organisation, whose pull requests are trusted.
const AUTHOR: &str = "you";
/// A member of nothing. Somebody has to look at their pull requests.
const STRANGER: &str = "stranger";

/// A repository at the stand-in, and a clone of it to work in.
pub(super) struct DemoSeed {
    pub(super) org: String,
    pub(super) repo: String,
    pub(super) author: LocalUser,
    pub(super) stranger: LocalUser,
    pub(super) forge: ContributorClient,
    git: ContributorGit,
    work: PathBuf,
    /// The stand-in's URL.
    url: String,
    remote: String,
    is_sample: bool,
}

/// Registers the App at the stand-in, and writes its secrets for Prow: the key to `app.pem`, the
/// webhook's secret to the file `hmac`.
pub(super) async fn create_app(
    github: &FakeGithub,
    data: &Path,
    hmac: &Path,
    webhook: &str,
) -> anyhow::Result<AppCredentials> {
    let secret = match fs::read_to_string(hmac) {
        Ok(secret) => secret,
        Err(_) => {
            let secret = format!("{:032x}", rand::random::<u128>());
            private_files::write_private_file(hmac, &secret)?;
            secret
        }
    };
    let app = github.add_app(APP, webhook, &secret).await?;
    private_files::write_private_file(&data.join("app.pem"), &app.private_key_pem)?;
    Ok(app)
}

/// The permissions that hook and crier need, and no more.
fn app_permissions() -> AppPermissions {
    AppPermissions::from([
        ("checks", PermissionLevel::Write),
        ("contents", PermissionLevel::Read),
        ("issues", PermissionLevel::Write),
        ("members", PermissionLevel::Read),
        ("pull_requests", PermissionLevel::Write),
        ("statuses", PermissionLevel::Write),
    ])
}

impl DemoSeed {
    /// Creates organisation and repository, and pushes the code, where that is not done yet.
    pub(super) async fn new(
        github: &FakeGithub,
        work: &Path,
        repo: Option<&UserRepository>,
    ) -> anyhow::Result<Self> {
        let author = github.add_local_user(AUTHOR).await?;
        let stranger = github.add_local_user(STRANGER).await?;
        let git = ContributorGit::new(work, AUTHOR, github.url(), &author.token);
        let (org, name) = match repo {
            Some(repo) => repo.org_and_name(&git).await?,
            None => (
                sample_repo::SAMPLE_REPO.0.to_owned(),
                sample_repo::SAMPLE_REPO.1.to_owned(),
            ),
        };
        github.add_org(&org, &[AUTHOR]).await?;
        github
            .add_repo(&org, &name, RepoOptions { private: false })
            .await?;
        github.install_app(APP, &org, app_permissions()).await?;
        let full_name = format!("{org}/{name}");
        let remote = format!("{}/{full_name}.git", github.url());
        let forge = ContributorClient::new(github.url(), &full_name, author.token.clone());
        let seed = Self {
            org,
            repo: name,
            author,
            stranger,
            forge,
            git,
            work: work.to_owned(),
            url: github.url().to_owned(),
            remote,
            is_sample: repo.is_none(),
        };
        seed.first_push(repo)
            .await
            .with_context(|| format!("bringing {full_name} to the stand-in"))?;
        Ok(seed)
    }

    pub(super) fn full_name(&self) -> String {
        format!("{}/{}", self.org, self.repo)
    }

    /// Fills the work folder. If the stand-in has no `main` yet, pushes the sample, or the given
    /// repository up to the commit before its last: that one becomes the pull request.
    async fn first_push(&self, repo: Option<&UserRepository>) -> anyhow::Result<()> {
        let is_there = !self
            .git
            .run_git(["ls-remote", &self.remote, "refs/heads/main"])
            .await?
            .is_empty();
        match repo {
            Some(repo) => repo.clone_to(&self.git).await?,
            None if is_there => drop(
                self.git
                    .run_git(["clone", "--quiet", &self.remote, "."])
                    .await?,
            ),
            None => sample_repo::write_sample(&self.git, &self.work).await?,
        }
        if !is_there {
            let before = match self
                .git
                .run_git(["rev-parse", "--quiet", "--verify", "HEAD~1"])
                .await
            {
                Ok(commit) => commit,
                Err(_) => self.git.run_git(["rev-parse", "HEAD"]).await?,
            };
            self.push_commit(&before, "main").await?;
        }
        Ok(())
    }

    /// Pushes a new branch with a change and opens a pull request; returns it with its head.
    ///
    /// The sample's change is a file. The user's repository gives its last commit or, once that was
    /// used, an empty one.
    pub(super) async fn open_pull_request(&self) -> anyhow::Result<(OpenedPullRequest, String)> {
        let number = self
            .count_branches(&self.git, &self.remote, "change")
            .await?
            + 1;
        let branch = format!("change-{number}");
        let title = if self.is_sample {
            self.commit_change(&self.git, &branch).await?
        } else {
            let is_new = number == 1
                && self.git.run_git(["rev-parse", "HEAD"]).await? != self.main_sha().await?;
            if !is_new {
                let message = format!("Try again ({number})");
                self.git
                    .run_git(["commit", "--quiet", "--allow-empty", "--message", &message])
                    .await?;
            }
            self.git.run_git(["log", "-1", "--format=%s"]).await?
        };
        let head = self.git.run_git(["rev-parse", "HEAD"]).await?;
        self.push_commit(&head, &branch).await?;
        Ok((self.forge.open_pull_request(&title, &branch).await?, head))
    }

    /// Opens the stranger's pull request, from a fork: nothing runs until a trusted user allows it.
    pub(super) async fn open_strangers_pull(&self) -> anyhow::Result<OpenedPullRequest> {
        let LocalUser { login, token, .. } = &self.stranger;
        let git = ContributorGit::new(&self.work, login, &self.url, token);
        let forge = ContributorClient::new(&self.url, &self.full_name(), token.clone());
        forge.fork_repository().await?;
        let fork = format!("{}/{login}/{}.git", self.url, self.repo);
        let number = self.count_branches(&git, &fork, "idea").await? + 1;
        let branch = format!("idea-{number}");
        let title = self.commit_change(&git, &branch).await?;
        let refspec = format!("HEAD:refs/heads/{branch}");
        git.run_git(["push", "--quiet", &fork, &refspec]).await?;
        forge
            .open_pull_request(&title, &format!("{login}:{branch}"))
            .await
    }

    /// How many branches there are with this name and a number.
    async fn count_branches(
        &self,
        git: &ContributorGit,
        remote: &str,
        name: &str,
    ) -> anyhow::Result<usize> {
        let pattern = format!("refs/heads/{name}-*");
        let heads = git.run_git(["ls-remote", remote, &pattern]).await?;
        Ok(heads.lines().count())
    }

    /// Commits a file named like the branch on top of `main`. Returns the title of the change.
    async fn commit_change(&self, git: &ContributorGit, branch: &str) -> anyhow::Result<String> {
        git.run_git(["fetch", "--quiet", &self.remote, "main"])
            .await?;
        git.run_git(["checkout", "--quiet", "-B", branch, "FETCH_HEAD"])
            .await?;
        let mut title = branch.replace('-', " ");
        title[..1].make_ascii_uppercase();
        let file = format!("{branch}.md");
        fs::write(self.work.join(&file), format!("{title}.\n"))?;
        git.run_git(["add", "--", &file]).await?;
        git.run_git(["commit", "--quiet", "--message", &title])
            .await?;
        Ok(title)
    }

    async fn push_commit(&self, commit: &str, branch: &str) -> anyhow::Result<()> {
        let refspec = format!("{commit}:refs/heads/{branch}");
        self.git
            .run_git(["push", "--quiet", &self.remote, &refspec])
            .await
            .map(drop)
    }

    /// The commit that `main` is at.
    pub(super) async fn main_sha(&self) -> anyhow::Result<String> {
        let line = self
            .git
            .run_git(["ls-remote", &self.remote, "refs/heads/main"])
            .await?;
        line.split_whitespace()
            .next()
            .map(str::to_owned)
            .context("the stand-in has no main branch")
    }
}
