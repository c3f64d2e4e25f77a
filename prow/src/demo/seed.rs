//! Everything a person would do by hand before and during the demo: accounts, the App, the
//! first push, the pull request. All of it goes the way a person's would, by git and REST;
//! only accounts and the App, which have no REST call, are made through the stand-in's handle.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use common::private;
use local::github::{AppCredentials, Github, Level, Permissions, Person, RepoOptions};

use super::{
    forge::{Forge, PullRequest},
    git::Git,
    repository::Repository,
    source,
};

const APP: &str = "prow-demo";
/// A member of the organisation: whose pull requests are trusted.
const AUTHOR: &str = "you";
/// A member of nothing: whose pull requests somebody has to look at.
const STRANGER: &str = "stranger";

/// A repository at the stand-in, and a clone of it to work in.
pub(super) struct Seed {
    pub(super) org: String,
    pub(super) repo: String,
    pub(super) author: Person,
    pub(super) stranger: Person,
    pub(super) forge: Forge,
    git: Git,
    work: PathBuf,
    /// Of the stand-in.
    url: String,
    remote: String,
    is_sample: bool,
}

/// Makes the App known to the stand-in, and its secrets known to Prow: `app.pem`, and the
/// webhook's secret in the file `hmac`.
pub(super) async fn app(
    github: &Github,
    data: &Path,
    hmac: &Path,
    webhook: &str,
) -> anyhow::Result<AppCredentials> {
    let secret = match fs::read_to_string(hmac) {
        Ok(secret) => secret,
        Err(_) => {
            let secret = format!("{:032x}", rand::random::<u128>());
            private::write(hmac, &secret)?;
            secret
        }
    };
    let app = github.add_app(APP, webhook, &secret).await?;
    private::write(&data.join("app.pem"), &app.private_key_pem)?;
    Ok(app)
}

/// What hook and crier need, and no more.
fn permissions() -> Permissions {
    Permissions::from([
        ("checks", Level::Write),
        ("contents", Level::Read),
        ("issues", Level::Write),
        ("members", Level::Read),
        ("pull_requests", Level::Write),
        ("statuses", Level::Write),
    ])
}

impl Seed {
    /// Makes organisation and repository, and brings the code there, where that is not done yet.
    pub(super) async fn new(
        github: &Github,
        work: &Path,
        repo: Option<&Repository>,
    ) -> anyhow::Result<Self> {
        let author = github.add_person(AUTHOR).await?;
        let stranger = github.add_person(STRANGER).await?;
        let git = Git::new(work, AUTHOR, github.url(), &author.token);
        let (org, name) = match repo {
            Some(repo) => repo.name(&git).await?,
            None => (
                source::SAMPLE_REPO.0.to_owned(),
                source::SAMPLE_REPO.1.to_owned(),
            ),
        };
        github.add_org(&org, &[AUTHOR]).await?;
        github
            .add_repo(&org, &name, RepoOptions { private: false })
            .await?;
        github.install_app(APP, &org, permissions()).await?;
        let full_name = format!("{org}/{name}");
        let remote = format!("{}/{full_name}.git", github.url());
        let forge = Forge::new(github.url(), &full_name, author.token.clone());
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

    /// Clones what is there already, else brings the sample, or the given repository up to the
    /// commit before its last: that one becomes the pull request.
    async fn first_push(&self, repo: Option<&Repository>) -> anyhow::Result<()> {
        let is_there = !self
            .git
            .run(["ls-remote", &self.remote, "refs/heads/main"])
            .await?
            .is_empty();
        match repo {
            Some(repo) => repo.clone_to(&self.git).await?,
            None if is_there => drop(
                self.git
                    .run(["clone", "--quiet", &self.remote, "."])
                    .await?,
            ),
            None => source::write_sample(&self.git, &self.work).await?,
        }
        if !is_there {
            let before = match self
                .git
                .run(["rev-parse", "--quiet", "--verify", "HEAD~1"])
                .await
            {
                Ok(commit) => commit,
                Err(_) => self.git.run(["rev-parse", "HEAD"]).await?,
            };
            self.push(&before, "main").await?;
        }
        Ok(())
    }

    /// Pushes a new branch with a change and opens a pull request; returns it with its head.
    ///
    /// The sample's change is a file. A repository of the user's gives its last commit, or,
    /// once that was used, an empty one.
    pub(super) async fn pull_request(&self) -> anyhow::Result<(PullRequest, String)> {
        let number = self.branches(&self.git, &self.remote, "change").await? + 1;
        let branch = format!("change-{number}");
        let title = if self.is_sample {
            self.change(&self.git, &branch).await?
        } else {
            let is_new =
                number == 1 && self.git.run(["rev-parse", "HEAD"]).await? != self.main().await?;
            if !is_new {
                let message = format!("Try again ({number})");
                self.git
                    .run(["commit", "--quiet", "--allow-empty", "--message", &message])
                    .await?;
            }
            self.git.run(["log", "-1", "--format=%s"]).await?
        };
        let head = self.git.run(["rev-parse", "HEAD"]).await?;
        self.push(&head, &branch).await?;
        Ok((self.forge.open(&title, &branch).await?, head))
    }

    /// A pull request of the stranger's, from a fork: nothing runs until somebody trusted says so.
    pub(super) async fn strangers_pull_request(&self) -> anyhow::Result<PullRequest> {
        let Person { login, token, .. } = &self.stranger;
        let git = Git::new(&self.work, login, &self.url, token);
        let forge = Forge::new(&self.url, &self.full_name(), token.clone());
        forge.fork().await?;
        let fork = format!("{}/{login}/{}.git", self.url, self.repo);
        let number = self.branches(&git, &fork, "idea").await? + 1;
        let branch = format!("idea-{number}");
        let title = self.change(&git, &branch).await?;
        let refspec = format!("HEAD:refs/heads/{branch}");
        git.run(["push", "--quiet", &fork, &refspec]).await?;
        forge.open(&title, &format!("{login}:{branch}")).await
    }

    /// How many branches of a name and a number there are.
    async fn branches(&self, git: &Git, remote: &str, name: &str) -> anyhow::Result<usize> {
        let pattern = format!("refs/heads/{name}-*");
        let heads = git.run(["ls-remote", remote, &pattern]).await?;
        Ok(heads.lines().count())
    }

    /// Commits a file of a branch's name on top of `main`; the title of the change.
    async fn change(&self, git: &Git, branch: &str) -> anyhow::Result<String> {
        git.run(["fetch", "--quiet", &self.remote, "main"]).await?;
        git.run(["checkout", "--quiet", "-B", branch, "FETCH_HEAD"])
            .await?;
        let mut title = branch.replace('-', " ");
        title[..1].make_ascii_uppercase();
        let file = format!("{branch}.md");
        fs::write(self.work.join(&file), format!("{title}.\n"))?;
        git.run(["add", "--", &file]).await?;
        git.run(["commit", "--quiet", "--message", &title]).await?;
        Ok(title)
    }

    async fn push(&self, commit: &str, branch: &str) -> anyhow::Result<()> {
        let refspec = format!("{commit}:refs/heads/{branch}");
        self.git
            .run(["push", "--quiet", &self.remote, &refspec])
            .await
            .map(drop)
    }

    /// The commit that `main` is at.
    pub(super) async fn main(&self) -> anyhow::Result<String> {
        let line = self
            .git
            .run(["ls-remote", &self.remote, "refs/heads/main"])
            .await?;
        line.split_whitespace()
            .next()
            .map(str::to_owned)
            .context("the stand-in has no main branch")
    }
}
