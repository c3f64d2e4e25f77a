//! Bare mirrors without file contents, one a repository, and what is read from them.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex as StdMutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, bail};
use common::github::Client;
use tempfile::TempDir;
use tokio::sync::Mutex;

use super::{
    Files, Problem,
    git::{Git, is_repository, is_sha},
    tree,
};
use crate::{plugins::trigger::Head, webhook::Identity};

/// For what may bring a whole history.
const FETCH_LIMIT: Duration = Duration::from_secs(600);

/// For what looks at what is there, or brings a few files.
const LOOK_LIMIT: Duration = Duration::from_secs(60);

pub(super) struct Mirrors {
    github: Client,
    git_base: String,
    dir: PathBuf,
    /// Removes `dir` with it.
    _temporary: Option<TempDir>,
    /// One fetch at a time in each mirror.
    present: StdMutex<HashMap<PathBuf, Arc<Mutex<Present>>>>,
}

/// The commits that this process has brought into a mirror. Git cannot be asked: it would fetch
/// what it is asked about.
type Present = HashSet<String>;

/// Then they are forgotten, and fetched again when they are needed, which costs little.
const MAX_PRESENT: usize = 10_000;

impl Mirrors {
    pub(super) fn new(
        github: Client,
        git_base: &str,
        dir: Option<PathBuf>,
    ) -> anyhow::Result<Self> {
        let (dir, temporary) = match dir {
            Some(dir) => (dir, None),
            None => {
                let temporary = TempDir::with_prefix("prow-mirrors-")
                    .context("a temporary folder for mirrors")?;
                (temporary.path().to_owned(), Some(temporary))
            }
        };
        Ok(Self {
            github,
            git_base: git_base.trim_end_matches('/').to_owned(),
            dir,
            _temporary: temporary,
            present: StdMutex::default(),
        })
    }

    /// The files that configure a repository's own jobs, at `base_sha` with `head` merged in.
    pub(super) async fn read(
        &self,
        identity: &Identity,
        base_sha: &str,
        head: Option<&Head>,
    ) -> anyhow::Result<Result<Files, Problem>> {
        let Identity { org, repo } = identity;
        let shas = [Some(base_sha), head.map(|head| head.sha.as_str())];
        if !shas.into_iter().flatten().all(is_sha) || !is_plain(org) || !is_plain(repo) {
            bail!(
                "{org}/{repo} at {base_sha} is no repository and commit that git may be asked for"
            );
        }
        let credentials = self.github.git_credentials(org).await?;
        let url = format!("{}/{org}/{repo}.git", self.git_base);
        let dir = self.dir.join(org).join(format!("{repo}.git"));
        let present = self.present(&dir);
        let git = Git {
            dir,
            url: &url,
            credentials: credentials.as_ref(),
        };
        bring(&git, &mut *present.lock().await, base_sha, head).await?;
        let tree = match head {
            None => base_sha.to_owned(),
            Some(head) => match merge(&git, base_sha, &head.sha).await? {
                Some(tree) => tree,
                None => return Ok(Err(Problem::Conflict)),
            },
        };
        tree::read(&git, &tree, LOOK_LIMIT).await
    }

    fn present(&self, dir: &Path) -> Arc<Mutex<Present>> {
        let mut all = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(dir.to_owned()).or_default())
    }
}

/// A name that is one folder and no flag.
fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('-')
        && name != "."
        && name != ".."
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

/// Brings the commits, unless they are there. They are kept by refs: without them the next
/// fetch could not say what is here already.
async fn bring(
    git: &Git<'_>,
    present: &mut Present,
    base_sha: &str,
    head: Option<&Head>,
) -> anyhow::Result<()> {
    if !is_repository(&git.dir) {
        present.clear();
        tokio::fs::create_dir_all(&git.dir)
            .await
            .with_context(|| format!("mirror folder {}", git.dir.display()))?;
        git.run(&["init", "--quiet", "--bare"], LOOK_LIMIT).await?;
    }
    let mut wanted = vec![(base_sha, "refs/prow/base".to_owned())];
    wanted.extend(head.map(|head| (head.sha.as_str(), format!("refs/prow/pull/{}", head.number))));
    wanted.retain(|(sha, _)| !present.contains(*sha));
    if wanted.is_empty() {
        return Ok(());
    }
    let refspecs: Vec<_> = wanted
        .iter()
        .map(|(sha, name)| format!("+{sha}:{name}"))
        .collect();
    let mut args = vec![
        "fetch",
        "--quiet",
        "--no-tags",
        "--no-write-fetch-head",
        "--filter=blob:none",
        "--",
        "origin",
    ];
    args.extend(refspecs.iter().map(String::as_str));
    git.run(&args, FETCH_LIMIT).await?;
    if present.len() > MAX_PRESENT {
        present.clear();
    }
    present.extend(wanted.into_iter().map(|(sha, _)| sha.to_owned()));
    Ok(())
}

/// The tree of `head` merged into `base`; `None` when they conflict.
async fn merge(git: &Git<'_>, base: &str, head: &str) -> anyhow::Result<Option<String>> {
    let args = ["merge-tree", "--write-tree", "--no-messages", base, head];
    let printed = git.try_run(&args, FETCH_LIMIT).await?;
    match printed.code {
        0 => {
            let tree = String::from_utf8_lossy(&printed.stdout).trim().to_owned();
            if !is_sha(&tree) {
                bail!("git merge-tree printed no tree");
            }
            Ok(Some(tree))
        }
        1 => Ok(None),
        _ if printed.says("unrelated histories") => Ok(None),
        _ => Err(printed.error(&args)),
    }
}
