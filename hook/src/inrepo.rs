//! The jobs a repository brings itself, as of a commit or as a pull request would leave them.
//!
//! mirror (bare, without file contents) → `git merge-tree` → the files that count → text.
//! Nothing is checked out, and nothing of a repository is ever executed. What the texts mean is
//! [`common::config::inrepo`]'s; whether the jobs may be used is decided by the plugins.

mod git;
mod mirror;
mod tree;

use std::{fmt, path::PathBuf, sync::Arc};

use anyhow::Context as _;
use common::{
    config::{self, Config, Errors},
    github::Client,
};
use moka::future::Cache;

use crate::{plugins::trigger::Head, webhook::Identity};
use mirror::Mirrors;

pub(crate) use git::Gone;

/// Paths and contents.
type Files = Vec<(String, String)>;

/// Why a commit has no jobs of its own, though it may be asked for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// Git cannot merge the head into the base.
    Conflict,
    /// The files cannot be used.
    Invalid(Errors),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict => f.write_str("the pull request conflicts with its base"),
            Self::Invalid(errors) => errors.fmt(f),
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

impl Reader {
    /// `git_base` is where repositories are cloned from (`https://github.com`), `dir` where
    /// mirrors are kept: a temporary folder without one. At most `entries` results are kept in
    /// memory.
    pub fn new(
        github: Client,
        git_base: &str,
        dir: Option<PathBuf>,
        entries: usize,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            mirrors: Arc::new(Mirrors::new(github, git_base, dir)?),
            cache: Cache::new(u64::try_from(entries)?),
        })
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
        let files = self
            .cache
            .try_get_with(key, async {
                self.mirrors
                    .read(identity, base_sha, head)
                    .await
                    .map(Arc::new)
            })
            .await
            // Whoever waited for the same key gets the same error: it is shared.
            .map_err(
                |error: Arc<anyhow::Error>| match error.downcast_ref::<Gone>() {
                    Some(gone) => anyhow::Error::new(gone.clone()),
                    None => anyhow::anyhow!("{error:#}"),
                },
            )?;
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
