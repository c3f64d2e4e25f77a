//! Runs git on what strangers pushed: no prompt, no hook, no configuration of the machine, no
//! protocol but HTTP, bounded in time and output.

mod child;
mod failure_cause;

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use common::github::GitCredentials;
use secrecy::ExposeSecret as _;
use tokio::process::Command;

use super::temp_files::RunningGits;
use failure_cause::{GitFailureCause, classify_failure};

pub(super) use child::GitProcess;

/// The environment variables that git inherits: what it needs, and no secret.
const INHERITED: [&str; 10] = [
    "PATH",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "no_proxy",
    "NO_PROXY",
    "ALL_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GIT_SSL_CAINFO",
];

/// Most bytes that one command may print.
const MAX_OUTPUT: usize = 1 << 20;

/// What the pull request says about a failure whose details are not for its author.
const CANNOT_READ: &str = "git cannot read the repository";

/// Something that git cannot read however often it tries. Only the next event tries again.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{log}")]
pub(super) struct UnreadableRepository {
    /// For the pull request: our own words, which say nothing about the machine.
    pub(super) told: String,
    /// For the operator.
    log: String,
}

impl UnreadableRepository {
    /// The same text for the pull request and the operator.
    pub(super) fn with_reason(text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            told: text.clone(),
            log: text,
        }
    }

    pub(super) fn with_log_text(log: String) -> Self {
        Self {
            told: CANNOT_READ.to_owned(),
            log,
        }
    }
}

/// A failure that may pass by itself. After a few attempts it counts as permanent.
///
/// GitHub sends an event before each of its servers has the commit; a machine may be out of memory
/// or disk for a while.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct TransientGitError(pub(super) UnreadableRepository);

/// A mirror that is damaged; a new one may work.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct DamagedMirror(pub(super) String);

/// A lock that a killed git left in the mirror.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct LockedMirror(String);

/// One bare repository and how to reach its remote.
pub(super) struct MirrorGit<'a> {
    pub(super) dir: PathBuf,
    /// The remote's URL. Credentials go to it and nowhere else.
    pub(super) url: &'a str,
    pub(super) credentials: Option<&'a GitCredentials>,
    /// All git processes that run in the repository.
    pub(super) gits: &'a Arc<RunningGits>,
}

/// What a command printed, and how it ended.
pub(super) struct GitOutput {
    pub(super) stdout: Vec<u8>,
    /// Git printed more, and was killed for it.
    pub(super) truncated: bool,
    stderr: String,
    /// `None` when a signal ended it.
    pub(super) code: Option<i32>,
}

impl MirrorGit<'_> {
    /// Runs a command that has to succeed.
    pub(super) async fn run_git(&self, args: &[&str], limit: Duration) -> anyhow::Result<Vec<u8>> {
        let printed = self.try_run_git(args, limit).await?;
        if printed.truncated {
            let text = format!("git {} printed more than {MAX_OUTPUT} bytes", args[0]);
            return Err(UnreadableRepository::with_reason(text).into());
        }
        if printed.code == Some(0) {
            return Ok(printed.stdout);
        }
        Err(printed.into_error(args))
    }

    /// Runs a command whose exit status the caller reads. One that takes longer than `limit` counts
    /// as unreadable: the next attempt would take as long.
    pub(super) async fn try_run_git(
        &self,
        args: &[&str],
        limit: Duration,
    ) -> anyhow::Result<GitOutput> {
        let git = self.gits.begin_git();
        let mut running = GitProcess::spawn_git(&mut self.git_command(args))?;
        let printed = tokio::time::timeout(limit, running.read_output(MAX_OUTPUT)).await;
        match &printed {
            Ok(Ok(printed)) if printed.code.is_some() => git.mark_ended(),
            _ => {
                running.kill_and_wait().await;
                drop(git);
            }
        }
        self.clean_mirror().await?;
        let slow = || {
            UnreadableRepository::with_reason(format!("git {} took longer than {limit:?}", args[0]))
        };
        printed.map_err(|_| slow())?
    }

    async fn clean_mirror(&self) -> anyhow::Result<()> {
        if !self.gits.is_clean() {
            let (gits, dir) = (Arc::clone(self.gits), self.dir.clone());
            tokio::task::spawn_blocking(move || gits.clean_mirror(&dir)).await?;
        }
        Ok(())
    }

    /// Starts a command that answers requests until its handle is dropped. It fetches nothing.
    pub(super) fn start_interactive(&self, args: &[&str]) -> anyhow::Result<GitProcess> {
        let mut command = self.git_command_with(args, self.local_config());
        GitProcess::spawn_git(command.stdin(Stdio::piped()).stderr(Stdio::null()))
    }

    fn git_command(&self, args: &[&str]) -> Command {
        self.git_command_with(args, self.remote_config())
    }

    fn git_command_with(&self, args: &[&str], settings: Vec<(String, String)>) -> Command {
        let mut command = Command::new("git");
        command
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .env_clear()
            .envs(
                INHERITED
                    .iter()
                    .filter_map(|name| Some((name, std::env::var_os(name)?))),
            )
            .env("HOME", &self.dir)
            .env("GIT_DIR", &self.dir)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ASKPASS", "/bin/false")
            .env("GIT_ALLOW_PROTOCOL", "https:http")
            .env("LC_ALL", "C");
        command.env("GIT_CONFIG_COUNT", settings.len().to_string());
        for (index, (key, value)) in settings.into_iter().enumerate() {
            command
                .env(format!("GIT_CONFIG_KEY_{index}"), key)
                .env(format!("GIT_CONFIG_VALUE_{index}"), value);
        }
        command
    }

    /// Passes settings in the environment: every process of the machine can read a command line,
    /// and a file outlives the token in it.
    fn remote_config(&self) -> Vec<(String, String)> {
        let remote = [
            ("protocol.version", "2"),
            ("http.followRedirects", "initial"),
            ("remote.origin.url", self.url),
            // File contents are fetched one by one, when they are read.
            ("remote.origin.promisor", "true"),
            ("remote.origin.partialCloneFilter", "blob:none"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()));
        let mut settings = self.local_config();
        settings.extend(remote);
        if let Some(GitCredentials { username, password }) = self.credentials {
            let basic = BASE64_STANDARD.encode(format!("{username}:{}", password.expose_secret()));
            settings.push((
                format!("http.{}.extraHeader", self.url),
                format!("Authorization: Basic {basic}"),
            ));
        }
        settings
    }

    /// Settings for commands that need no remote.
    fn local_config(&self) -> Vec<(String, String)> {
        [
            ("core.hooksPath", "/dev/null"),
            ("gc.auto", "0"),
            ("maintenance.auto", "false"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .to_vec()
    }
}

impl GitOutput {
    /// The failure as an error. Git's output holds no secret: git was given none to print.
    pub(super) fn into_error(self, args: &[&str]) -> anyhow::Error {
        let Self { stderr, code, .. } = self;
        let ended = code.map_or("a signal".to_owned(), |code| code.to_string());
        let text = format!("git {} ended with {ended}: {stderr}", args[0]);
        let cause = match code {
            Some(_) => classify_failure(&stderr),
            None => GitFailureCause::Unknown,
        };
        match cause {
            GitFailureCause::Gone => TransientGitError(UnreadableRepository {
                told: "GitHub does not have the commit (any more)".to_owned(),
                log: text,
            })
            .into(),
            GitFailureCause::Unknown => {
                TransientGitError(UnreadableRepository::with_log_text(text)).into()
            }
            GitFailureCause::Refused => UnreadableRepository::with_log_text(text).into(),
            GitFailureCause::Away => anyhow::anyhow!(text),
            GitFailureCause::Damaged => DamagedMirror(text).into(),
            GitFailureCause::Locked => LockedMirror(text).into(),
        }
    }

    pub(super) fn stderr_contains(&self, text: &str) -> bool {
        self.stderr.contains(text)
    }
}

/// Whether `sha` is a full commit id and nothing that git could take for something else.
pub(super) fn is_sha(sha: &str) -> bool {
    sha.len() == 40 && sha.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Whether a folder holds a repository already.
pub(super) fn is_repository(dir: &Path) -> bool {
    dir.join("HEAD").is_file() && dir.join("objects").is_dir()
}
