//! Runs git as a contributor would, without the operator's own configuration.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use tokio::process::Command;

/// A repository on disk, and the author of its commits.
pub(super) struct ContributorGit {
    folder: PathBuf,
    environment: Vec<(String, String)>,
}

impl ContributorGit {
    /// `author` commits; `token` is sent to the server at `url`. It is in the environment, so that
    /// no process list shows it.
    pub(super) fn new(folder: &Path, author: &str, url: &str, token: &str) -> Self {
        let identity = ["AUTHOR", "COMMITTER"].into_iter().flat_map(|role| {
            [
                (format!("GIT_{role}_NAME"), author.to_owned()),
                (format!("GIT_{role}_EMAIL"), format!("{author}@localhost")),
            ]
        });
        let settings = [
            (
                format!("http.{url}/.extraHeader"),
                format!("Authorization: Bearer {token}"),
            ),
            ("gc.auto".to_owned(), "0".to_owned()),
            ("maintenance.auto".to_owned(), "false".to_owned()),
            ("init.defaultBranch".to_owned(), "main".to_owned()),
            ("core.hooksPath".to_owned(), "/dev/null".to_owned()),
            ("core.fsmonitor".to_owned(), "false".to_owned()),
            // A repository of another user may be read, too.
            ("safe.directory".to_owned(), "*".to_owned()),
        ];
        let mut environment: Vec<_> = identity.collect();
        environment.push(("GIT_CONFIG_COUNT".to_owned(), settings.len().to_string()));
        for (number, (key, value)) in settings.into_iter().enumerate() {
            environment.push((format!("GIT_CONFIG_KEY_{number}"), key));
            environment.push((format!("GIT_CONFIG_VALUE_{number}"), value));
        }
        for (key, value) in [
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_TERMINAL_PROMPT", "0"),
            // Reading the state of a repository changes nothing in it.
            ("GIT_OPTIONAL_LOCKS", "0"),
        ] {
            environment.push((key.to_owned(), value.to_owned()));
        }
        Self {
            folder: folder.to_owned(),
            environment,
        }
    }

    /// Makes a shallow clone a complete one of the commits it has.
    pub(super) fn end_shallow_clone(&self) -> anyhow::Result<()> {
        std::fs::remove_file(self.folder.join(".git/shallow")).context("ending a shallow clone")
    }

    /// Returns what `git` prints, trimmed. What it prints on stderr is the error.
    pub(super) async fn run_git<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> anyhow::Result<String> {
        let output = Command::new("git")
            .args(arguments)
            .current_dir(&self.folder)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .envs(self.environment.iter().map(|(key, value)| (key, value)))
            .output()
            .await
            .context("running git: is it installed?")?;
        if !output.status.success() {
            bail!(
                "git failed: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}
