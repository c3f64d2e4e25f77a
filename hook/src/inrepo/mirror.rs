//! Bare mirrors without file contents, one per repository, and reading files from them.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex as StdMutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use common::{github::GithubClient, private_files};
use tempfile::TempDir;
use tokio::{
    sync::{Mutex, RwLock},
    time::timeout,
};

use super::{
    InRepoConfigError, InRepoFiles, InRepoSettings, PullRequestHead,
    git::{
        DamagedMirror, LockedMirror, MirrorGit, TransientGitError, UnreadableRepository,
        is_repository, is_sha,
    },
    lock_files, prune,
    temp_files::RunningGits,
    tree,
};
use crate::webhook::RepositoryRef;

/// For a fetch that may bring a whole history.
const FETCH_TIMEOUT: Duration = Duration::from_secs(600);

/// For commands that read only local data.
const LOCAL_TIMEOUT: Duration = Duration::from_secs(60);

/// How long git may work on a head that nobody has vouched for. A head that takes longer is read
/// once somebody has.
const UNTRUSTED_TIMEOUTS: GitTimeouts = GitTimeouts {
    fetch: Duration::from_secs(60),
    merge: Duration::from_secs(10),
    files: Duration::from_secs(30),
};

/// How long git may work on anything else.
const TRUSTED_TIMEOUTS: GitTimeouts = GitTimeouts {
    fetch: FETCH_TIMEOUT,
    merge: Duration::from_secs(120),
    files: Duration::from_secs(120),
};

#[derive(Debug)]
struct GitTimeouts {
    fetch: Duration,
    merge: Duration,
    files: Duration,
}

impl GitTimeouts {
    fn for_head(head: Option<&PullRequestHead>) -> &'static Self {
        match head {
            Some(head) if !head.trusted => &UNTRUSTED_TIMEOUTS,
            _ => &TRUSTED_TIMEOUTS,
        }
    }
}

/// The time between two checks of how much disk the mirrors take.
const PRUNE_INTERVAL: Duration = Duration::from_secs(60);

pub(super) struct Mirrors {
    github: GithubClient,
    git_base: String,
    dir: PathBuf,
    /// Removes `dir` when it is dropped.
    _temporary: Option<TempDir>,
    disk_bytes: u64,
    pruned: StdMutex<Option<Instant>>,
    all: StdMutex<HashMap<PathBuf, Arc<Mirror>>>,
}

/// What this process knows about one mirror.
#[derive(Debug, Default)]
pub(super) struct Mirror {
    /// Shared while the mirror is read, exclusive while it is removed.
    pub(super) usage: RwLock<()>,
    /// Allows one fetch of commits at a time, since they write refs. File contents are fetched without
    /// it.
    present: Mutex<FetchedCommits>,
    gits: Arc<RunningGits>,
}

/// The commits that this process has fetched into a mirror. Git cannot be asked for them: it would
/// fetch what it is asked about.
type FetchedCommits = HashSet<String>;

/// Most files in conflict that are kept.
const MAX_CONFLICTS: usize = 100;

/// Most commits that are remembered. Then all are forgotten; to fetch them again costs little.
const MAX_FETCHED_COMMITS: usize = 10_000;

impl Mirrors {
    pub(super) fn new(github: GithubClient, settings: InRepoSettings) -> anyhow::Result<Self> {
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
    /// A damaged mirror is made anew, once; a lock that a killed git left in it is removed.
    pub(super) async fn read_files(
        self: &Arc<Self>,
        identity: &RepositoryRef,
        base_sha: &str,
        head: Option<&PullRequestHead>,
    ) -> anyhow::Result<Result<InRepoFiles, InRepoConfigError>> {
        let RepositoryRef { org, repo } = identity;
        let shas = [Some(base_sha), head.map(|head| head.sha.as_str())];
        if !shas.into_iter().flatten().all(is_sha) || !is_plain_name(org) || !is_plain_name(repo) {
            let text = "git may not be asked for names and commits of this form";
            return Err(UnreadableRepository::with_reason(text).into());
        }
        let credentials = self.github.git_credentials(org).await?;
        let url = format!("{}/{org}/{repo}.git", self.git_base);
        let dir = self.dir.join(org).join(format!("{repo}.git"));
        let mirror = self.get_mirror(&dir);
        let git = MirrorGit {
            dir,
            url: &url,
            credentials: credentials.as_ref(),
            gits: &mirror.gits,
        };
        let first = self.try_read_files(&git, &mirror, base_sha, head).await;
        match find_defect(&first) {
            None => return first,
            Some(MirrorDefect::Damage(damage)) => {
                tracing::warn!(org, repo, "the mirror is damaged and made anew: {damage}");
                mirror.remove_mirror(&git.dir).await?;
            }
            Some(MirrorDefect::Lock(lock)) => {
                tracing::warn!(org, repo, "a lock of an ended git is removed: {lock}");
                mirror.remove_locks(&git.dir).await?;
            }
        }
        let second = self.try_read_files(&git, &mirror, base_sha, head).await;
        match find_defect(&second) {
            Some(MirrorDefect::Damage(text) | MirrorDefect::Lock(text)) => {
                Err(TransientGitError(UnreadableRepository::with_log_text(text)).into())
            }
            None => second,
        }
    }

    async fn try_read_files(
        self: &Arc<Self>,
        git: &MirrorGit<'_>,
        mirror: &Mirror,
        base_sha: &str,
        head: Option<&PullRequestHead>,
    ) -> anyhow::Result<Result<InRepoFiles, InRepoConfigError>> {
        let _used = mirror.usage.read().await;
        let grown =
            fetch_base_and_head(git, &mut *mirror.present.lock().await, base_sha, head).await?;
        prune::mark_used(&git.dir);
        if grown {
            self.prune_in_background();
        }
        let limits = GitTimeouts::for_head(head);
        let tree = match head {
            None => base_sha.to_owned(),
            Some(head) => match merge_tree(git, base_sha, &head.sha, limits.merge).await? {
                MergeOutcome::Tree(tree) => tree,
                MergeOutcome::Conflict(files) => {
                    return Ok(Err(InRepoConfigError::Conflict(files)));
                }
            },
        };
        timeout(
            limits.files,
            tree::read_config_files(git, &tree, limits.files),
        )
        .await
        .unwrap_or_else(|_| {
            let text = format!("reading its files took longer than {:?}", limits.files);
            Err(UnreadableRepository::with_reason(text).into())
        })
    }

    fn get_mirror(&self, dir: &Path) -> Arc<Mirror> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(dir.to_owned()).or_default())
    }

    /// Prunes the mirrors in a task of its own, so that they do not fill the disk.
    fn prune_in_background(self: &Arc<Self>) {
        let mut pruned = self.pruned.lock().unwrap_or_else(PoisonError::into_inner);
        if self.disk_bytes == 0 || pruned.is_some_and(|at| at.elapsed() < PRUNE_INTERVAL) {
            return;
        }
        *pruned = Some(Instant::now());
        let mirrors = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(error) = mirrors.prune_mirrors().await {
                tracing::warn!("the mirrors' disk could not be looked after: {error:#}");
            }
        });
    }

    async fn prune_mirrors(&self) -> anyhow::Result<()> {
        let dir = self.dir.clone();
        let found = tokio::task::spawn_blocking(move || prune::find_mirrors(&dir)).await?;
        for path in prune::choose_least_recent(found, self.disk_bytes) {
            let mirror = self.get_mirror(&path);
            // A mirror in use is no longer one of the oldest.
            if mirror.usage.try_write().is_ok() {
                mirror.remove_mirror(&path).await?;
                tracing::info!(mirror = %path.display(), "a mirror was removed to make room");
            }
        }
        Ok(())
    }
}

impl Mirror {
    /// Removes the locks in it. Nobody else uses the mirror meanwhile.
    async fn remove_locks(&self, dir: &Path) -> anyhow::Result<()> {
        let _alone = self.usage.write().await;
        let dir = dir.to_owned();
        tokio::task::spawn_blocking(move || lock_files::remove_lock_files(&dir)).await?;
        Ok(())
    }

    /// Waits until nobody reads the mirror.
    async fn remove_mirror(&self, dir: &Path) -> anyhow::Result<()> {
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

/// A defect that can be repaired here.
enum MirrorDefect {
    Damage(String),
    Lock(String),
}

fn find_defect(
    result: &anyhow::Result<Result<InRepoFiles, InRepoConfigError>>,
) -> Option<MirrorDefect> {
    let error = result.as_ref().err()?;
    let damage = error.downcast_ref::<DamagedMirror>();
    let lock = error.downcast_ref::<LockedMirror>();
    damage
        .map(|it| MirrorDefect::Damage(it.to_string()))
        .or_else(|| lock.map(|it| MirrorDefect::Lock(it.to_string())))
}

/// Whether a name is one path segment and no flag.
fn is_plain_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('-')
        && name != "."
        && name != ".."
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

/// Fetches the commits that are missing. Refs keep them: without refs the next fetch could not tell
/// the remote what is here already. Returns whether the mirror has grown.
async fn fetch_base_and_head(
    git: &MirrorGit<'_>,
    present: &mut FetchedCommits,
    base_sha: &str,
    head: Option<&PullRequestHead>,
) -> anyhow::Result<bool> {
    // The repository may be private.
    private_files::ensure_private_dir(&git.dir)
        .with_context(|| format!("mirror folder {}", git.dir.display()))?;
    if !is_repository(&git.dir) {
        present.clear();
        git.run_git(&["init", "--quiet", "--bare"], LOCAL_TIMEOUT)
            .await?;
    }
    let base = (base_sha, "refs/prow/base".to_owned());
    let head_name = |head: &PullRequestHead| format!("refs/prow/pull/{}", head.number);
    let of_head = head.map(|head| (head.sha.as_str(), head_name(head)));
    if head.is_some_and(|head| !head.trusted) {
        // The base gets the full time: no stranger can slow it, and it may bring the history.
        let brought = fetch_commits(git, present, vec![base], FETCH_TIMEOUT).await?;
        let limit = UNTRUSTED_TIMEOUTS.fetch;
        let more = fetch_commits(git, present, of_head.into_iter().collect(), limit).await?;
        return Ok(brought || more);
    }
    let wanted = [Some(base), of_head].into_iter().flatten().collect();
    fetch_commits(git, present, wanted, FETCH_TIMEOUT).await
}

/// Fetches those commits that are missing, each to the ref named with it.
async fn fetch_commits(
    git: &MirrorGit<'_>,
    present: &mut FetchedCommits,
    mut wanted: Vec<(&str, String)>,
    limit: Duration,
) -> anyhow::Result<bool> {
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
    git.run_git(&args, limit).await?;
    if present.len() > MAX_FETCHED_COMMITS {
        present.clear();
    }
    present.extend(wanted.into_iter().map(|(sha, _)| sha.to_owned()));
    Ok(true)
}

/// The result of merging a head into its base.
#[derive(Debug, PartialEq, Eq)]
enum MergeOutcome {
    Tree(String),
    /// The first of the files that conflict.
    Conflict(Vec<String>),
}

/// Merges `head` into `base`, in memory.
async fn merge_tree(
    git: &MirrorGit<'_>,
    base: &str,
    head: &str,
    limit: Duration,
) -> anyhow::Result<MergeOutcome> {
    let args = [
        "merge-tree",
        "--write-tree",
        "--no-messages",
        "--name-only",
        "-z",
        base,
        head,
    ];
    let printed = git.try_run_git(&args, limit).await?;
    match printed.code {
        // Only names of files in conflict are that long.
        _ if printed.truncated => Ok(MergeOutcome::Conflict(parse_conflicts(&printed.stdout))),
        Some(0) => {
            let tree = String::from_utf8_lossy(&printed.stdout);
            let tree = tree.trim_end_matches('\0').trim().to_owned();
            if !is_sha(&tree) {
                let text = "git merge-tree printed no tree";
                return Err(TransientGitError(UnreadableRepository::with_reason(text)).into());
            }
            Ok(MergeOutcome::Tree(tree))
        }
        Some(1) => Ok(MergeOutcome::Conflict(parse_conflicts(&printed.stdout))),
        _ if printed.stderr_contains("unrelated histories") => {
            Ok(MergeOutcome::Conflict(Vec::new()))
        }
        _ => Err(printed.into_error(&args)),
    }
}

/// Reads `<tree>\0<file>\0<file>\0…`.
fn parse_conflicts(printed: &[u8]) -> Vec<String> {
    let mut words: Vec<_> = printed.split(|byte| *byte == 0).skip(1).collect();
    // The text after the last separator is cut off, or empty.
    words.pop();
    let names = words.into_iter().filter(|name| !name.is_empty());
    let names = names.map(|name| String::from_utf8_lossy(name).into_owned());
    names.take(MAX_CONFLICTS).collect()
}

#[cfg(test)]
mod tests;
