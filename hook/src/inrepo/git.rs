//! Running git on what strangers pushed: no prompt, no hook, no configuration of the machine,
//! no protocol but HTTP, bounded in time and output.

use std::{
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use anyhow::{Context as _, anyhow};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use common::github::GitCredentials;
use secrecy::ExposeSecret as _;
use tokio::{
    io::AsyncReadExt as _,
    process::{Child, Command},
};

/// What git needs to know of its surroundings, and no secret among it.
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

/// Most that one command may print.
const MAX_OUTPUT: u64 = 8 * 1024 * 1024;

/// A commit that the remote does not have any more: trying again changes nothing.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the commit is gone: {0}")]
pub(crate) struct Gone(String);

/// What git cannot read however often it tries: trying again is for the next event.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unreadable(String);

impl Unreadable {
    pub(super) fn because(text: impl Into<String>) -> anyhow::Error {
        Self(text.into()).into()
    }
}

/// A mirror that is damaged; a new one may be better.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Damaged(pub(super) String);

/// One bare repository and how to reach its remote.
pub(super) struct Git<'a> {
    pub(super) dir: PathBuf,
    /// The remote's URL. Credentials go to it and nowhere else.
    pub(super) url: &'a str,
    pub(super) credentials: Option<&'a GitCredentials>,
}

/// What a command printed, and its exit status.
pub(super) struct Printed {
    pub(super) stdout: Vec<u8>,
    stderr: String,
    pub(super) code: i32,
}

impl Git<'_> {
    /// Runs a command that has to succeed.
    pub(super) async fn run(&self, args: &[&str], limit: Duration) -> anyhow::Result<Vec<u8>> {
        let printed = self.try_run(args, limit).await?;
        if printed.code == 0 {
            return Ok(printed.stdout);
        }
        Err(printed.error(args))
    }

    /// Runs a command whose exit status means something.
    pub(super) async fn try_run(&self, args: &[&str], limit: Duration) -> anyhow::Result<Printed> {
        let mut child = self
            .command(args)
            .spawn()
            .context("git cannot be started: is it installed?")?;
        let stdout = child.stdout.take().expect("stdout is piped");
        let stderr = child.stderr.take().expect("stderr is piped");
        let work = async {
            let (mut out, mut err) = (Vec::new(), Vec::new());
            // Both are drained: a child that waits for its reader would never end.
            let mut out_pipe = stdout.take(MAX_OUTPUT + 1);
            let mut err_pipe = stderr.take(MAX_OUTPUT);
            tokio::try_join!(
                out_pipe.read_to_end(&mut out),
                err_pipe.read_to_end(&mut err)
            )?;
            if out.len() as u64 > MAX_OUTPUT {
                return Err(Unreadable::because(format!(
                    "git {} printed more than {MAX_OUTPUT} bytes",
                    args[0]
                )));
            }
            let status = child.wait().await?;
            anyhow::Ok(Output {
                status,
                stdout: out,
                stderr: err,
            })
        };
        // A command that is given up is killed when its handle is dropped.
        let output = tokio::time::timeout(limit, work)
            .await
            .map_err(|_| anyhow!("git {} took longer than {limit:?}", args[0]))??;
        Ok(Printed {
            code: output.status.code().unwrap_or(-1),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        })
    }

    /// Starts a command that is asked and answers, until its handle is dropped. It fetches
    /// nothing.
    pub(super) fn converse(&self, args: &[&str]) -> anyhow::Result<Child> {
        let mut command = self.command_with(args, self.local_settings());
        command.stdin(Stdio::piped()).stderr(Stdio::null());
        command
            .spawn()
            .context("git cannot be started: is it installed?")
    }

    fn command(&self, args: &[&str]) -> Command {
        self.command_with(args, self.settings())
    }

    fn command_with(&self, args: &[&str], settings: Vec<(String, String)>) -> Command {
        let mut command = Command::new("git");
        command
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
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

    /// Settings by environment: a command line can be read by every process of the machine, and
    /// a file outlives the token in it.
    fn settings(&self) -> Vec<(String, String)> {
        let remote = [
            ("protocol.version", "2"),
            ("http.followRedirects", "initial"),
            ("remote.origin.url", self.url),
            // File contents come one by one, when they are looked at.
            ("remote.origin.promisor", "true"),
            ("remote.origin.partialCloneFilter", "blob:none"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()));
        let mut settings = self.local_settings();
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

    /// For what needs no remote.
    fn local_settings(&self) -> Vec<(String, String)> {
        [
            ("core.hooksPath", "/dev/null"),
            ("gc.auto", "0"),
            ("maintenance.auto", "false"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .to_vec()
    }
}

impl Printed {
    /// The failure as an error. Git's own words name no secret: it was given none to print.
    pub(super) fn error(self, args: &[&str]) -> anyhow::Error {
        let text = format!("git {} ended with {}: {}", args[0], self.code, self.stderr);
        match cause(&self.stderr) {
            Cause::Gone => Gone(self.stderr).into(),
            Cause::Refused => Unreadable::because(text),
            Cause::Away => anyhow!(text),
            Cause::Damaged => Damaged(text).into(),
        }
    }

    pub(super) fn says(&self, text: &str) -> bool {
        self.stderr.contains(text)
    }
}

/// Why git failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// The remote does not have the commit.
    Gone,
    /// The remote does not let us have the repository.
    Refused,
    /// The remote cannot be reached, or has troubles of its own.
    Away,
    /// What is left: something here.
    Damaged,
}

/// Git has one exit status for all of these, but fixed words (`LC_ALL=C`).
fn cause(stderr: &str) -> Cause {
    let says = |texts: &[&str]| texts.iter().any(|text| stderr.contains(text));
    if says(&[
        "not our ref",
        "couldn't find remote ref",
        "unadvertised object",
    ]) {
        Cause::Gone
    } else if says(&[
        "Authentication failed",
        "could not read Username",
        "returned error: 401",
        "returned error: 403",
        "returned error: 404",
        "' not found",
    ]) {
        Cause::Refused
    } else if says(&[
        "unable to access",
        "returned error: ",
        "RPC failed",
        "early EOF",
        "the remote end hung up",
        "unexpected disconnect",
        "from promisor remote",
    ]) {
        Cause::Away
    } else {
        Cause::Damaged
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_apart() {
        for (stderr, expected) in [
            (
                "fatal: remote error: upload-pack: not our ref 0123",
                Cause::Gone,
            ),
            (
                "fatal: Authentication failed for 'https://x/y.git/'",
                Cause::Refused,
            ),
            (
                "fatal: repository 'https://x/y.git/' not found",
                Cause::Refused,
            ),
            (
                "fatal: unable to access 'https://x/': The requested URL returned error: 403",
                Cause::Refused,
            ),
            (
                "fatal: unable to access 'https://x/': The requested URL returned error: 502",
                Cause::Away,
            ),
            (
                "fatal: unable to access 'https://x/': Could not resolve host: x",
                Cause::Away,
            ),
            (
                "fatal: could not fetch 0123 from promisor remote",
                Cause::Away,
            ),
            ("error: object file objects/01/23 is empty", Cause::Damaged),
            ("fatal: not a git repository: '/m/x.git'", Cause::Damaged),
        ] {
            assert_eq!(cause(stderr), expected, "{stderr}");
        }
    }
}
