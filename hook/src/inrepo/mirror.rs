//! Bare mirrors without file contents, one a repository, and what is read from them.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex as StdMutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use common::github::Client;
use tempfile::TempDir;
use tokio::{
    sync::{Mutex, RwLock},
    time::timeout,
};

use super::{
    Files, Problem, Settings,
    git::{Damaged, Git, Unreadable, is_repository, is_sha},
    prune, tree,
};
use crate::{plugins::trigger::Head, webhook::Identity};

/// For what may bring a whole history.
pub(super) const FETCH_LIMIT: Duration = Duration::from_secs(600);

/// For what looks at what is there, or brings a few files.
const LOOK_LIMIT: Duration = Duration::from_secs(60);

/// Between two looks at how much disk the mirrors take.
const PRUNE_INTERVAL: Duration = Duration::from_secs(60);

pub(super) struct Mirrors {
    github: Client,
    git_base: String,
    dir: PathBuf,
    /// Removes `dir` with it.
    _temporary: Option<TempDir>,
    disk_bytes: u64,
    pruned: StdMutex<Option<Instant>>,
    all: StdMutex<HashMap<PathBuf, Arc<Mirror>>>,
}

/// What this process knows of one mirror.
#[derive(Debug, Default)]
pub(super) struct Mirror {
    /// Shared while the mirror is read, exclusive while it is removed.
    pub(super) usage: RwLock<()>,
    /// One fetch at a time.
    present: Mutex<Present>,
}

/// The commits that this process has brought into a mirror. Git cannot be asked: it would fetch
/// what it is asked about.
type Present = HashSet<String>;

/// Then they are forgotten, and fetched again when they are needed, which costs little.
const MAX_PRESENT: usize = 10_000;

impl Mirrors {
    pub(super) fn new(github: Client, settings: Settings) -> anyhow::Result<Self> {
        let (dir, temporary) = match settings.dir {
            Some(dir) => (dir, None),
            None => {
                let temporary = TempDir::with_prefix("prow-mirrors-")
                    .context("a temporary folder for mirrors")?;
                (temporary.path().to_owned(), Some(temporary))
            }
        };
        Ok(Self {
            github,
            git_base: settings.git_base.trim_end_matches('/').to_owned(),
            dir,
            _temporary: temporary,
            disk_bytes: settings.disk_bytes,
            pruned: StdMutex::default(),
            all: StdMutex::default(),
        })
    }

    /// The files that configure a repository's own jobs, at `base_sha` with `head` merged in.
    ///
    /// A damaged mirror is made anew, once.
    pub(super) async fn read(
        self: &Arc<Self>,
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
        let mirror = self.mirror(&dir);
        let git = Git {
            dir,
            url: &url,
            credentials: credentials.as_ref(),
        };
        let first = self.look(&git, &mirror, base_sha, head).await;
        let Some(damage) = damage_of(&first) else {
            return first;
        };
        tracing::warn!(org, repo, "the mirror is damaged and made anew: {damage}");
        mirror.remove(&git.dir).await?;
        let second = self.look(&git, &mirror, base_sha, head).await;
        match damage_of(&second) {
            Some(damage) => Err(Unreadable::because(damage)),
            None => second,
        }
    }

    async fn look(
        self: &Arc<Self>,
        git: &Git<'_>,
        mirror: &Mirror,
        base_sha: &str,
        head: Option<&Head>,
    ) -> anyhow::Result<Result<Files, Problem>> {
        let _used = mirror.usage.read().await;
        let grown = bring(git, &mut *mirror.present.lock().await, base_sha, head).await?;
        prune::touch(&git.dir);
        if grown {
            self.prune();
        }
        let tree = match head {
            None => base_sha.to_owned(),
            Some(head) => match merge(git, base_sha, &head.sha).await? {
                Some(tree) => tree,
                None => return Ok(Err(Problem::Conflict)),
            },
        };
        timeout(LOOK_LIMIT + FETCH_LIMIT, tree::read(git, &tree))
            .await
            .context("reading the files of a commit took too long")?
    }

    fn mirror(&self, dir: &Path) -> Arc<Mirror> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(dir.to_owned()).or_default())
    }

    /// Sees to it, aside, that the mirrors do not fill the disk.
    fn prune(self: &Arc<Self>) {
        let mut pruned = self.pruned.lock().unwrap_or_else(PoisonError::into_inner);
        if self.disk_bytes == 0 || pruned.is_some_and(|at| at.elapsed() < PRUNE_INTERVAL) {
            return;
        }
        *pruned = Some(Instant::now());
        let mirrors = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(error) = mirrors.prune_now().await {
                tracing::warn!("the mirrors' disk could not be looked after: {error:#}");
            }
        });
    }

    async fn prune_now(&self) -> anyhow::Result<()> {
        let dir = self.dir.clone();
        let found = tokio::task::spawn_blocking(move || prune::find(&dir)).await?;
        for path in prune::oldest(found, self.disk_bytes) {
            let mirror = self.mirror(&path);
            // One that is in use is none of the oldest any more.
            if mirror.usage.try_write().is_ok() {
                mirror.remove(&path).await?;
                tracing::info!(mirror = %path.display(), "a mirror was removed to make room");
            }
        }
        Ok(())
    }
}

impl Mirror {
    /// Waits until nobody reads it.
    async fn remove(&self, dir: &Path) -> anyhow::Result<()> {
        let _alone = self.usage.write().await;
        self.present.lock().await.clear();
        let dir = dir.to_owned();
        let removed = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(dir)).await?;
        match removed {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).context("removing a mirror")
            }
            _ => Ok(()),
        }
    }
}

fn damage_of(result: &anyhow::Result<Result<Files, Problem>>) -> Option<String> {
    let error = result.as_ref().err()?;
    error.downcast_ref::<Damaged>().map(ToString::to_string)
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
/// fetch could not say what is here already. Whether the mirror has grown.
async fn bring(
    git: &Git<'_>,
    present: &mut Present,
    base_sha: &str,
    head: Option<&Head>,
) -> anyhow::Result<bool> {
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
        return Ok(false);
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
    Ok(true)
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
