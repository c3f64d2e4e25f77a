//! Reads a repository's own jobs, at a commit or as a pull request would leave them.
//!
//! mirror (bare, without file contents) → `git merge-tree` → `git cat-file` → files → text.
//! Nothing is checked out, and nothing of a repository is ever executed. [`common::config::inrepo`]
//! parses the texts; the plugins decide whether the jobs may be used.

mod cache;
mod git;
mod lock_files;
mod mirror;
mod objects;
mod prune;
mod temp_files;
mod tree;

use std::{fmt, path::PathBuf, sync::Arc};

use anyhow::{Context as _, anyhow};
use common::{
    config::{self, Config, ConfigErrors},
    github::{self, GithubClient},
};

use crate::webhook::RepositoryRef;
use git::{TransientGitError, UnreadableRepository};
use mirror::Mirrors;

/// Paths and contents.
type InRepoFiles = Vec<(String, String)>;

/// The newest commit of a pull request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PullRequestHead {
    pub(crate) number: u64,
    pub(crate) sha: String,
    /// Somebody trusted vouches for it. Without that, git works on it under strict limits.
    pub(crate) trusted: bool,
}

/// Why the in-repo configuration of a commit could not be read or used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum InRepoConfigError {
    /// Git cannot merge the head into the base. Holds the first files in conflict; none when the
    /// two have no common history.
    Conflict(Vec<String>),
    /// The files cannot be used.
    Invalid(ConfigErrors),
    /// Git cannot read the repository, and another attempt would not help. Holds the reason, in
    /// words for the pull request.
    Unreadable(String),
}

impl fmt::Display for InRepoConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict(files) if files.is_empty() => {
                f.write_str("the pull request conflicts with its base")
            }
            Self::Conflict(files) => write!(
                f,
                "the pull request conflicts with its base in {}",
                files.join(", ")
            ),
            Self::Invalid(errors) => errors.fmt(f),
            Self::Unreadable(why) => f.write_str(why),
        }
    }
}

/// Reads in-repo configuration. Cheap to clone.
#[derive(Clone)]
pub struct InRepoReader {
    mirrors: Arc<Mirrors>,
    /// Texts, not jobs: what they mean depends on the current central configuration.
    cache: cache::InRepoConfigCache,
}

/// How repositories are mirrored.
#[derive(Clone, Debug)]
pub struct InRepoSettings {
    /// Where repositories are cloned from.
    pub git_base: String,
    /// Where mirrors are kept; a temporary folder when `None`.
    pub dir: Option<PathBuf>,
    /// How many results are cached, as long as they take no more than 64 MiB together.
    pub entries: usize,
    /// The size limit of all mirrors together: above it, those unused for longest are removed. 0
    /// means no limit.
    pub disk_bytes: u64,
}

impl Default for InRepoSettings {
    /// The defaults of the command line.
    fn default() -> Self {
        Self {
            git_base: "https://github.com".into(),
            dir: None,
            entries: 200,
            disk_bytes: 20 << 30,
        }
    }
}

impl InRepoReader {
    pub fn new(github: GithubClient, settings: InRepoSettings) -> anyhow::Result<Self> {
        Ok(Self {
            cache: cache::new_cache(settings.entries),
            mirrors: Arc::new(Mirrors::new(github, settings)?),
        })
    }

    /// How many jobs a repository brings at `base_sha`, with the head of a pull request (its number
    /// and commit) merged in. Bypasses the cache: it measures what a new commit costs on a mirror
    /// that has it. For benchmarks.
    pub async fn count_jobs(
        &self,
        org: &str,
        repo: &str,
        base_sha: &str,
        head: Option<(u64, &str)>,
        config: &Arc<Config>,
    ) -> anyhow::Result<usize> {
        let identity = RepositoryRef {
            org: org.to_owned(),
            repo: repo.to_owned(),
        };
        let head = head.map(|(number, sha)| PullRequestHead {
            number,
            sha: sha.to_owned(),
            trusted: true,
        });
        let files = self
            .mirrors
            .read_files(&identity, base_sha, head.as_ref())
            .await?;
        let files = files.map_err(|problem| anyhow::anyhow!("{problem}"))?;
        let own = config::inrepo::parse_in_repo_files(&files, &format!("{org}/{repo}"), config)?;
        Ok(own.presubmits.len() + own.postsubmits.len())
    }

    /// The repository's own jobs at `base_sha`, with `head` merged into it when there is one.
    ///
    /// The outer error is a failure to reach git or GitHub; the inner one is about what was found.
    /// In the `last` attempt a failure that may pass becomes an inner error.
    pub(crate) async fn read_in_repo_config(
        &self,
        identity: &RepositoryRef,
        base_sha: &str,
        head: Option<&PullRequestHead>,
        config: &Arc<Config>,
        last: bool,
    ) -> anyhow::Result<Result<Arc<config::inrepo::InRepoJobs>, InRepoConfigError>> {
        let key = cache::InRepoCacheKey {
            org_repo: format!("{}/{}", identity.org, identity.repo),
            base_sha: base_sha.to_owned(),
            head_sha: head.map(|head| head.sha.clone()),
        };
        let org_repo = key.org_repo.clone();
        let reading = self.cache.try_get_with(key, async {
            self.mirrors
                .read_files(identity, base_sha, head)
                .await
                .map(Arc::new)
        });
        let files = match reading.await {
            Ok(files) => files,
            Err(error) => {
                let lasting = match error.downcast_ref::<TransientGitError>() {
                    Some(TransientGitError(unreadable)) if last => Some(unreadable),
                    _ => error.downcast_ref::<UnreadableRepository>(),
                };
                let Some(UnreadableRepository { told, .. }) = lasting else {
                    return Err(clone_error(&error));
                };
                let RepositoryRef { org, repo } = identity;
                tracing::warn!(org, repo, "in-repo configuration cannot be read: {error:#}");
                return Ok(Err(InRepoConfigError::Unreadable(told.clone())));
            }
        };
        let config = Arc::clone(config);
        tokio::task::spawn_blocking(move || match &*files {
            Ok(files) => config::inrepo::parse_in_repo_files(files, &org_repo, &config)
                .map(Arc::new)
                .map_err(InRepoConfigError::Invalid),
            Err(problem) => Err(problem.clone()),
        })
        .await
        .context("reading the repository's own configuration")
    }
}

/// Copies an error for each caller that waited for the same read, with what callers match on.
fn clone_error(error: &anyhow::Error) -> anyhow::Error {
    match error.downcast_ref::<github::GithubError>() {
        Some(github::GithubError::RateLimited { reset }) => {
            github::GithubError::RateLimited { reset: *reset }.into()
        }
        Some(github::GithubError::NotFound(why)) => {
            github::GithubError::NotFound(why.clone()).into()
        }
        Some(github::GithubError::Forbidden(why)) => {
            github::GithubError::Forbidden(why.clone()).into()
        }
        Some(github::GithubError::Unauthorized(why)) => {
            github::GithubError::Unauthorized(why.clone()).into()
        }
        Some(github::GithubError::Invalid(why)) => github::GithubError::Invalid(why.clone()).into(),
        Some(github::GithubError::Other(_)) | None => anyhow!("{error:#}"),
    }
}
