//! A bare repository, read and changed through the `git` command.
//!
//! Knows nothing of pull requests. Revisions from outside are resolved here before git sees them.

mod commits;
mod diff;

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, bail};
use tokio::{io::AsyncWriteExt as _, process::Command};

pub(crate) use commits::{ChangedPaths, GitCommit, GitSignature};
pub(crate) use diff::FileChange;

/// The object id that stands for "no object".
pub(crate) const ZERO_SHA: &str = "0000000000000000000000000000000000000000";

#[derive(Clone, Debug)]
pub(crate) struct BareRepo {
    dir: PathBuf,
}

/// A ref and what it points to: `commit`, or `tag` for an annotated one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GitRef {
    pub(crate) name: String,
    pub(crate) sha: String,
    pub(crate) kind: String,
}

/// A file or folder of a tree.
pub(crate) struct TreeEntry {
    pub(crate) mode: String,
    pub(crate) kind: String,
    pub(crate) sha: String,
    pub(crate) size: u64,
    pub(crate) path: String,
}

/// The result of merging two commits.
pub(crate) enum MergeTreeResult {
    /// The merged tree.
    Tree(String),
    Conflict,
}

/// A `git` command that reads no configuration but the repository's own.
pub(crate) fn git_command() -> Command {
    let mut command = Command::new("git");
    command
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("LC_ALL", "C")
        .kill_on_drop(true);
    command
}

impl BareRepo {
    pub(crate) fn at_path(dir: PathBuf) -> BareRepo {
        BareRepo { dir }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Makes the repository, empty or as a copy of `source`. Does nothing if it exists.
    pub(crate) async fn init_or_clone(&self, source: Option<&BareRepo>) -> anyhow::Result<()> {
        if self.dir.join("HEAD").exists() {
            return Ok(());
        }
        let mut git = git_command();
        match source {
            None => git.args(["init", "--quiet", "--bare", "--initial-branch=main"]),
            Some(source) => git.args(["clone", "--quiet", "--bare"]).arg(&source.dir),
        };
        run_to_end(git.arg(&self.dir), None).await?;
        for (key, value) in [
            // Garbage collection in the background would race with clones (and with the tests'
            // clean-up).
            ("gc.auto", "0"),
            ("receive.autogc", "false"),
            ("maintenance.auto", "false"),
            ("http.receivepack", "true"),
            ("uploadpack.allowFilter", "true"),
            ("uploadpack.allowAnySHA1InWant", "true"),
            // Only the stand-in writes pull request refs. A push to one is refused, as on GitHub.
            ("receive.hideRefs", "refs/pull"),
        ] {
            self.run_git(&["config", key, value]).await?;
        }
        Ok(())
    }

    pub(super) async fn run_git(&self, args: &[&str]) -> anyhow::Result<String> {
        Ok(String::from_utf8_lossy(&self.run_git_bytes(args, None).await?).into_owned())
    }

    pub(super) async fn run_git_bytes(
        &self,
        args: &[&str],
        input: Option<&[u8]>,
    ) -> anyhow::Result<Vec<u8>> {
        run_to_end(
            git_command().arg("--git-dir").arg(&self.dir).args(args),
            input,
        )
        .await
    }

    /// Whether git exits with success, for yes-or-no questions.
    async fn git_succeeds(&self, args: &[&str]) -> anyhow::Result<bool> {
        let status = git_command()
            .arg("--git-dir")
            .arg(&self.dir)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .await
            .context("running git")?;
        Ok(status.success())
    }

    /// The refs under a prefix such as `refs/heads/`, by name.
    pub(crate) async fn list_refs(&self, prefix: &str) -> anyhow::Result<Vec<GitRef>> {
        let text = self
            .run_git(&[
                "for-each-ref",
                "--format=%(refname) %(objectname) %(objecttype)",
            ])
            .await?;
        let refs = text.lines().filter_map(|line| {
            let mut words = line.split(' ');
            let name = words
                .next()
                .filter(|name| name.starts_with(prefix))?
                .to_owned();
            Some(GitRef {
                name,
                sha: words.next()?.to_owned(),
                kind: words.next()?.to_owned(),
            })
        });
        Ok(refs.collect())
    }

    pub(crate) async fn find_ref(&self, name: &str) -> anyhow::Result<Option<GitRef>> {
        Ok(self
            .list_refs(name)
            .await?
            .into_iter()
            .find(|found| found.name == name))
    }

    /// The tip of a branch.
    pub(crate) async fn find_branch_tip(&self, name: &str) -> anyhow::Result<Option<String>> {
        Ok(self
            .find_ref(&format!("refs/heads/{name}"))
            .await?
            .map(|found| found.sha))
    }

    /// Resolves a branch, a tag, a hash of 4 to 40 digits, `HEAD`, or a ref with or without `refs/` to
    /// a commit. Nothing else, so no `@{…}` or `^`.
    pub(crate) async fn resolve_commit(&self, rev: &str) -> anyhow::Result<Option<String>> {
        let is_hash =
            (4..=40).contains(&rev.len()) && rev.bytes().all(|byte| byte.is_ascii_hexdigit());
        let refs = self.list_refs("refs/").await?;
        let candidates = [
            format!("refs/heads/{rev}"),
            format!("refs/tags/{rev}"),
            format!("refs/{rev}"),
            rev.to_owned(),
        ];
        let named = candidates
            .iter()
            .find(|name| refs.iter().any(|found| found.name == **name));
        let rev = match named {
            Some(name) => name.as_str(),
            None if is_hash => rev,
            None if rev == "HEAD" => rev,
            None => return Ok(None),
        };
        let output = git_command()
            .arg("--git-dir")
            .arg(&self.dir)
            .args([
                "rev-parse",
                "--verify",
                "--quiet",
                "--end-of-options",
                &format!("{rev}^{{commit}}"),
            ])
            .output()
            .await
            .context("running git")?;
        Ok(output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned()))
    }

    pub(crate) async fn set_ref(&self, name: &str, sha: &str) -> anyhow::Result<()> {
        self.run_git(&["update-ref", "--end-of-options", name, sha])
            .await
            .map(drop)
    }

    pub(crate) async fn delete_ref(&self, name: &str) -> anyhow::Result<()> {
        self.run_git(&["update-ref", "-d", "--end-of-options", name])
            .await
            .map(drop)
    }

    /// Whether git accepts the name of a ref.
    pub(crate) async fn is_valid_ref(&self, name: &str) -> anyhow::Result<bool> {
        Ok(name.starts_with("refs/") && self.git_succeeds(&["check-ref-format", name]).await?)
    }

    /// Fetches one ref of another repository of the stand-in, under another name.
    pub(crate) async fn fetch_ref(
        &self,
        from: &BareRepo,
        source: &str,
        target: &str,
    ) -> anyhow::Result<()> {
        let dir = from.dir.to_string_lossy();
        self.run_git(&[
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-write-fetch-head",
            &dir,
            &format!("+{source}:{target}"),
        ])
        .await
        .map(drop)
    }

    pub(crate) async fn is_ancestor(&self, old: &str, new: &str) -> anyhow::Result<bool> {
        self.git_succeeds(&["merge-base", "--is-ancestor", old, new])
            .await
    }

    pub(crate) async fn find_merge_base(&self, a: &str, b: &str) -> anyhow::Result<Option<String>> {
        let output = git_command()
            .arg("--git-dir")
            .arg(&self.dir)
            .args(["merge-base", a, b])
            .output()
            .await
            .context("running git")?;
        Ok(output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned()))
    }

    /// Merges two commits without a work tree.
    pub(crate) async fn merge_tree(
        &self,
        base: &str,
        head: &str,
    ) -> anyhow::Result<MergeTreeResult> {
        let output = git_command()
            .arg("--git-dir")
            .arg(&self.dir)
            .args(["merge-tree", "--write-tree", base, head])
            .output()
            .await
            .context("running git")?;
        let text = String::from_utf8_lossy(&output.stdout);
        match output.status.code() {
            Some(0) => Ok(MergeTreeResult::Tree(text.trim().to_owned())),
            Some(1) => Ok(MergeTreeResult::Conflict),
            _ => bail!(
                "git merge-tree: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            ),
        }
    }

    /// The entry at `path` of a commit, a file or a folder.
    pub(crate) async fn find_entry(
        &self,
        commit: &str,
        path: &str,
    ) -> anyhow::Result<Option<TreeEntry>> {
        let path = path.trim_matches('/');
        Ok(self
            .ls_tree(&["ls-tree", "-z", "-l", "--full-tree", commit, "--", path])
            .await?
            .pop())
    }

    /// The entries of a folder. An empty `path` is the root.
    pub(crate) async fn list_folder(
        &self,
        commit: &str,
        path: &str,
    ) -> anyhow::Result<Vec<TreeEntry>> {
        let path = format!("{}/", path.trim_matches('/'));
        let mut args = vec!["ls-tree", "-z", "-l", "--full-tree", commit];
        if path != "/" {
            args.extend(["--", &path]);
        }
        self.ls_tree(&args).await
    }

    async fn ls_tree(&self, args: &[&str]) -> anyhow::Result<Vec<TreeEntry>> {
        let text = self.run_git(args).await?;
        let entries = text.split('\0').filter_map(|line| {
            let (head, path) = line.split_once('\t')?;
            let mut words = head.split_whitespace();
            Some(TreeEntry {
                mode: words.next()?.to_owned(),
                kind: words.next()?.to_owned(),
                sha: words.next()?.to_owned(),
                size: words.next()?.parse().unwrap_or(0),
                path: path.to_owned(),
            })
        });
        Ok(entries.collect())
    }

    /// The diff of a range, as git prints it.
    pub(crate) async fn diff_text(&self, range: &str) -> anyhow::Result<Vec<u8>> {
        let args = ["diff", "--no-ext-diff", "--no-textconv", "-M", range];
        self.run_git_bytes(&args, None).await
    }

    /// The commits of a range in mail format.
    pub(crate) async fn patch_text(&self, range: &str) -> anyhow::Result<Vec<u8>> {
        self.run_git_bytes(&["format-patch", "--stdout", range], None)
            .await
    }

    pub(crate) async fn read_blob(&self, sha: &str) -> anyhow::Result<Vec<u8>> {
        self.run_git_bytes(&["cat-file", "blob", sha], None).await
    }
}

async fn run_to_end(command: &mut Command, input: Option<&[u8]>) -> anyhow::Result<Vec<u8>> {
    command.stdin(if input.is_some() {
        Stdio::piped()
    } else {
        Stdio::null()
    });
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("running git (is it installed?)")?;
    let stdin = child.stdin.take();
    // At the same time: git may write its output before it has read everything.
    let feed = async {
        if let (Some(mut stdin), Some(input)) = (stdin, input) {
            stdin.write_all(input).await?;
        }
        std::io::Result::Ok(())
    };
    let (fed, output) = tokio::join!(feed, child.wait_with_output());
    let output = output?;
    if !output.status.success() {
        bail!("git: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    fed.context("writing to git")?;
    Ok(output.stdout)
}
