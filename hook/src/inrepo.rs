//! The jobs a repository brings itself, as of a commit or as a pull request would leave them.
//!
//! mirror (bare, without file contents) → `git merge-tree` → `git cat-file` → the files that
//! count → text.
//! Nothing is checked out, and nothing of a repository is ever executed. What the texts mean is
//! [`common::config::inrepo`]'s; whether the jobs may be used is decided by the plugins.

mod git;
mod mirror;
mod objects;
mod prune;
mod tree;

use std::{fmt, path::PathBuf, sync::Arc};

use anyhow::{Context as _, bail};
use common::{
    config::{self, Config, Errors},
    github::Client,
};
use moka::future::Cache;

use crate::{plugins::trigger::Head, webhook::Identity};
use mirror::Mirrors;

pub(crate) use git::Gone;
use git::Unreadable;

/// Paths and contents.
type Files = Vec<(String, String)>;

/// Why a commit has no jobs of its own, though it may be asked for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// Git cannot merge the head into the base.
    Conflict,
    /// The files cannot be used.
    Invalid(Errors),
    /// Git cannot read the repository, and would not at the next attempt either.
    Unreadable,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict => f.write_str("the pull request conflicts with its base"),
            Self::Invalid(errors) => errors.fmt(f),
            Self::Unreadable => f.write_str("git cannot read the repository"),
        }
    }
}

/// Reads repositories' own configurations. Cheap to clone.
#[derive(Clone)]
pub struct Reader {
    mirrors: Arc<Mirrors>,
    /// Texts, not jobs: what they mean depends on the central configuration of the day.
    cache: Cache<Key, Arc<Result<Files, Problem>>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    org_repo: String,
    base_sha: String,
    head_sha: Option<String>,
}

/// How repositories are mirrored.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where repositories are cloned from.
    pub git_base: String,
    /// Where mirrors are kept; a temporary folder when `None`.
    pub dir: Option<PathBuf>,
    /// Results kept in memory.
    pub entries: usize,
    /// All mirrors together are brought below this by removing those that were not used for
    /// longest; 0 for no limit.
    pub disk_bytes: u64,
}

impl Default for Settings {
    /// As the command line without a flag.
    fn default() -> Self {
        Self {
            git_base: "https://github.com".into(),
            dir: None,
            entries: 200,
            disk_bytes: 20 << 30,
        }
    }
}

impl Reader {
    pub fn new(github: Client, settings: Settings) -> anyhow::Result<Self> {
        Ok(Self {
            cache: Cache::new(u64::try_from(settings.entries)?),
            mirrors: Arc::new(Mirrors::new(github, settings)?),
        })
    }

    /// How many jobs a repository brings at `base_sha`, with the head of a pull request (its
    /// number and commit) merged in. Reads past the memory: what a commit costs that was not
    /// seen before, on a mirror that has it. For measuring.
    pub async fn count_jobs(
        &self,
        org: &str,
        repo: &str,
        base_sha: &str,
        head: Option<(u64, &str)>,
        config: &Arc<Config>,
    ) -> anyhow::Result<usize> {
        let identity = Identity {
            org: org.to_owned(),
            repo: repo.to_owned(),
        };
        let head = head.map(|(number, sha)| Head {
            number,
            sha: sha.to_owned(),
        });
        let files = self
            .mirrors
            .read(&identity, base_sha, head.as_ref())
            .await?;
        let files = files.map_err(|problem| anyhow::anyhow!("{problem}"))?;
        let own = config::inrepo::parse(&files, &format!("{org}/{repo}"), config)?;
        Ok(own.presubmits.len() + own.postsubmits.len())
    }

    /// The repository's own jobs at `base_sha`, with `head` merged into it when there is one.
    ///
    /// The outer error is about reaching git; the inner one about what was found.
    pub(crate) async fn read(
        &self,
        identity: &Identity,
        base_sha: &str,
        head: Option<&Head>,
        config: &Arc<Config>,
    ) -> anyhow::Result<Result<Arc<config::inrepo::InRepo>, Problem>> {
        let key = Key {
            org_repo: format!("{}/{}", identity.org, identity.repo),
            base_sha: base_sha.to_owned(),
            head_sha: head.map(|head| head.sha.clone()),
        };
        let org_repo = key.org_repo.clone();
        let reading = self.cache.try_get_with(key, async {
            self.mirrors
                .read(identity, base_sha, head)
                .await
                .map(Arc::new)
        });
        let files = match reading.await {
            Ok(files) => files,
            Err(error) if error.is::<Unreadable>() => {
                let Identity { org, repo } = identity;
                tracing::warn!(org, repo, "in-repo configuration cannot be read: {error:#}");
                return Ok(Err(Problem::Unreadable));
            }
            // Whoever waited for the same key gets the same error: it is shared.
            Err(error) => match error.downcast_ref::<Gone>() {
                Some(gone) => return Err(gone.clone().into()),
                None => bail!("{error:#}"),
            },
        };
        let config = Arc::clone(config);
        tokio::task::spawn_blocking(move || match &*files {
            Ok(files) => config::inrepo::parse(files, &org_repo, &config)
                .map(Arc::new)
                .map_err(Problem::Invalid),
            Err(problem) => Err(problem.clone()),
        })
        .await
        .context("reading the repository's own configuration")
    }
}
