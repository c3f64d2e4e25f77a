//! The user's repository in the demo: which jobs it has, what is not taken from it, and its clone
//! in the demo's own folder.

use std::path::Path;

use anyhow::{Context, bail};
use local::github::is_reserved;

use super::{
    git::ContributorGit,
    sample_repo::{find_only_key, parse_remote_url},
};

/// The paths that may bring jobs. The first one that exists counts.
const JOB_CONFIG_PATHS: [(&str, &str); 3] = [
    (".prow", "tree"),
    (".prow.yaml", "blob"),
    ("prow-jobs.yaml", "blob"),
];

/// Most names that one note lists.
const MOST_NAMES: usize = 5;

/// A repository of the user's, which is only read.
pub(super) struct UserRepository {
    /// Its topmost folder.
    path: String,
    is_shallow: bool,
    /// What the user should know about what is taken.
    pub(super) notes: Vec<String>,
}

impl UserRepository {
    /// Checks that there are jobs at `path`, before anything is made or started for it.
    pub(super) async fn open(path: &Path) -> anyhow::Result<Self> {
        let given = absolute_path(path)?;
        let git = ContributorGit::new(Path::new(&given), "", "", "");
        // A repository without a work tree is taken as it is.
        let path = match git.run_git(["rev-parse", "--show-toplevel"]).await {
            Ok(top) => top,
            Err(_) => git
                .run_git(["rev-parse", "--absolute-git-dir"])
                .await
                .with_context(|| format!("--repo {given}"))?,
        };
        let git = ContributorGit::new(Path::new(&path), "", "", "");
        if git
            .run_git(["rev-parse", "--verify", "--quiet", "HEAD"])
            .await
            .is_err()
        {
            bail!("--repo {path}: it has no commit yet; commit something there first");
        }
        let mut repository = Self {
            is_shallow: git
                .run_git(["rev-parse", "--is-shallow-repository"])
                .await?
                == "true",
            notes: Vec::new(),
            path,
        };
        repository.find_job_config(&git).await?;
        repository.note_uncommitted(&git).await;
        if repository.is_shallow {
            repository.notes.push(
                "The repository is a shallow clone: its last commit is taken without its history, \
                 under a name of its own."
                    .to_owned(),
            );
        }
        Ok(repository)
    }

    async fn find_job_config(&mut self, git: &ContributorGit) -> anyhow::Result<()> {
        let mut found = Vec::new();
        for (name, kind) in JOB_CONFIG_PATHS {
            let is = git
                .run_git(["cat-file", "-t", &format!("HEAD:{name}")])
                .await;
            if is.is_ok_and(|is| is == kind) {
                found.push(name);
            }
        }
        if let [first, ignored @ ..] = &found[..]
            && !ignored.is_empty()
        {
            let ignored = ignored.join(" and ");
            self.notes
                .push(format!("{first} is read; {ignored} beside it is ignored."));
        }
        if found.is_empty() {
            let path = &self.path;
            let here = JOB_CONFIG_PATHS.map(|(name, _)| name);
            let uncommitted = here.iter().find(|name| Path::new(path).join(name).exists());
            let what_next = match uncommitted {
                Some(name) => format!("{name} is there and not committed: commit it"),
                None => "write one, as README.md shows, and commit it".to_owned(),
            };
            bail!(
                "--repo {path}: its last commit has no .prow/, .prow.yaml or prow-jobs.yaml; {what_next}"
            );
        }
        Ok(())
    }

    /// Notes that only commits are taken. For another user's repository there is no such note: git
    /// would have to run what its configuration names.
    async fn note_uncommitted(&mut self, git: &ContributorGit) {
        let changed = ["diff", "--name-only", "-z", "HEAD"];
        let new = [
            "ls-files",
            "-z",
            "--others",
            "--exclude-standard",
            "--directory",
        ];
        let mut names = Vec::new();
        for ask in [&changed[..], &new] {
            let not_of_others = ["-c", "safe.directory="].into_iter();
            let told = git.run_git(not_of_others.chain(ask.iter().copied())).await;
            let told = told.unwrap_or_default();
            names.extend(told.split_terminator('\0').map(str::to_owned));
        }
        if names.is_empty() {
            return;
        }
        let told = names[..names.len().min(MOST_NAMES)].join(", ");
        let more = match names.len().saturating_sub(MOST_NAMES) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        self.notes.push(format!(
            "Only the last commit is taken. Not committed, so not in the demo: {told}{more}."
        ));
    }

    /// Clones it into the folder of `git`.
    pub(super) async fn clone_to(&self, git: &ContributorGit) -> anyhow::Result<()> {
        let how = ["clone", "--quiet", "--no-hardlinks", "--no-tags", "--"];
        git.run_git(how.into_iter().chain([self.path.as_str(), "."]))
            .await?;
        if self.is_shallow {
            self.recreate_history(git).await?;
        }
        Ok(())
    }

    /// Recreates the last commit, and the one before it if there is one, as a complete history: no
    /// server accepts one whose beginning is missing.
    async fn recreate_history(&self, git: &ContributorGit) -> anyhow::Result<()> {
        let mut commit = vec!["commit-tree".to_owned(), "HEAD^{tree}".to_owned()];
        if git
            .run_git(["rev-parse", "--verify", "--quiet", "HEAD~1"])
            .await
            .is_ok()
        {
            let root = ["commit-tree", "HEAD~1^{tree}", "-m", "What came before"];
            commit.extend(["-p".to_owned(), git.run_git(root).await?]);
        }
        git.run_git(["remote", "remove", "origin"]).await?;
        let message = git.run_git(["log", "-1", "--format=%B"]).await?;
        commit.extend(["-m".to_owned(), message]);
        let commit = git.run_git(commit).await?;
        git.run_git(["update-ref", "HEAD", &commit]).await?;
        git.end_shallow_clone()
    }

    /// Organisation and name: from `origin`, else from the only key in its `prow-jobs.yaml`, else
    /// `local/<folder>`.
    pub(super) async fn org_and_name(
        &self,
        git: &ContributorGit,
    ) -> anyhow::Result<(String, String)> {
        let path = self.path.as_str();
        if let Some(name) = git
            .run_git(["-C", path, "remote", "get-url", "origin"])
            .await
            .ok()
            .and_then(|url| parse_remote_url(&url))
            .filter(|(org, _)| !is_reserved(org))
        {
            return Ok(name);
        }
        let jobs = git
            .run_git(["-C", path, "show", "HEAD:prow-jobs.yaml"])
            .await
            .unwrap_or_default();
        if let Some(name) = common::config::yaml::parse_yaml("prow-jobs.yaml", &jobs)
            .ok()
            .as_ref()
            .and_then(find_only_key)
            .filter(|(org, _)| !is_reserved(org))
        {
            return Ok(name);
        }
        let folder = Path::new(path).file_name().and_then(|name| name.to_str());
        Ok((
            "local".to_owned(),
            sanitize_name(folder.unwrap_or("repository")),
        ))
    }
}

/// A folder's name, changed to what GitHub accepts as a repository's name.
fn sanitize_name(folder: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-');
    let name: String = folder
        .chars()
        .take(100)
        .map(|letter| if plain(letter) { letter } else { '-' })
        .collect();
    match name.as_str() {
        "." | ".." | "" => "repository".to_owned(),
        _ => name,
    }
}

fn absolute_path(path: &Path) -> anyhow::Result<String> {
    let absolute = path
        .canonicalize()
        .with_context(|| format!("--repo {}", path.display()))?;
    if !absolute.is_dir() {
        bail!("--repo {}: it is no folder", absolute.display());
    }
    let text = absolute.to_str().map(str::to_owned);
    text.context("--repo: the path is not UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_folder_makes_a_name() {
        for (folder, name) in [
            ("a-b_c.d", "a-b_c.d"),
            ("my repo ü", "my-repo--"),
            ("..", "repository"),
        ] {
            assert_eq!(sanitize_name(folder), name, "{folder}");
        }
    }
}
