//! One git process: its output is bounded, and it is killed together with everything it started.

use std::os::unix::process::ExitStatusExt as _;

use anyhow::Context as _;
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use super::GitOutput;

/// The bytes of standard error that are kept.
const MAX_STDERR: usize = 64 << 10;

/// A running git, in a process group of its own: `git fetch` starts helpers, which would outlive
/// it. Dropping the handle kills the group.
pub(in super::super) struct GitProcess(Child);

impl GitProcess {
    pub(super) fn spawn_git(command: &mut Command) -> anyhow::Result<Self> {
        let child = command.process_group(0).kill_on_drop(true).spawn();
        Ok(Self(
            child.context("git cannot be started: is it installed?")?,
        ))
    }

    /// The standard input and output of an interactive command.
    pub(in super::super) fn take_pipes(&mut self) -> (ChildStdin, ChildStdout) {
        let stdin = self.0.stdin.take().expect("stdin is piped");
        let stdout = self.0.stdout.take().expect("stdout is piped");
        (stdin, stdout)
    }

    /// Reads until git ends. Kills a git that prints more than `limit` bytes.
    pub(super) async fn read_output(&mut self, limit: usize) -> anyhow::Result<GitOutput> {
        let stdout = self.0.stdout.take().expect("stdout is piped");
        let stderr = self.0.stderr.take().expect("stderr is piped");
        let group = self.process_group();
        let print = async {
            let mut bytes = Vec::new();
            let mut pipe = stdout.take(limit as u64 + 1);
            pipe.read_to_end(&mut bytes).await?;
            let truncated = bytes.len() > limit;
            if truncated {
                bytes.truncate(limit);
                kill_group(group);
            }
            Ok((bytes, truncated))
        };
        let ((stdout, truncated), stderr) = tokio::try_join!(print, drain_pipe(stderr))?;
        let status = self.0.wait().await?;
        if status.signal().is_some() {
            // Whoever killed git may have spared its helpers.
            kill_group(group);
        }
        Ok(GitOutput {
            stdout,
            truncated,
            stderr: String::from_utf8_lossy(&stderr).trim().to_owned(),
            code: status.code(),
        })
    }

    /// Kills git, and waits until it has ended.
    pub(super) async fn kill_and_wait(&mut self) {
        kill_group(self.process_group());
        if let Err(error) = self.0.wait().await {
            tracing::warn!("git could not be waited for: {error}");
        }
    }

    /// `None` once git was waited for: its number may belong to another process.
    fn process_group(&self) -> Option<Pid> {
        let id = self.0.id()?;
        Some(Pid::from_raw(i32::try_from(id).ok()?))
    }
}

impl Drop for GitProcess {
    fn drop(&mut self) {
        kill_group(self.process_group());
    }
}

fn kill_group(group: Option<Pid>) {
    if let Some(group) = group {
        // It may have ended by itself.
        let _ = killpg(group, Signal::SIGKILL);
    }
}

/// Reads to the end, and keeps the beginning: a child whose output nobody reads would never end.
async fn drain_pipe(mut pipe: impl AsyncRead + Unpin) -> std::io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    let mut buffer = [0; 8 << 10];
    loop {
        let read = pipe.read(&mut buffer).await?;
        if read == 0 {
            return Ok(kept);
        }
        let room = MAX_STDERR.saturating_sub(kept.len());
        kept.extend_from_slice(&buffer[..read.min(room)]);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        process::Stdio,
        time::{Duration, Instant},
    };

    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-c", script])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Whether a process runs; a zombie does not.
    fn runs(pid: &str) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let state = stat.rsplit(") ").next().and_then(|it| it.chars().next());
        !matches!(state, None | Some('Z' | 'X'))
    }

    async fn gone(pid: &str) -> bool {
        let begin = Instant::now();
        while runs(pid) && begin.elapsed() < Duration::from_secs(10) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        !runs(pid)
    }

    #[tokio::test]
    async fn what_prints_without_end_is_ended_at_the_limit() {
        for script in ["yes", "yes & yes >&2"] {
            let mut running = GitProcess::spawn_git(&mut shell(script)).unwrap();
            let printed = running.read_output(1000).await.unwrap();
            assert!(printed.truncated, "{script}");
            assert_eq!(printed.stdout.len(), 1000, "{script}");
        }
    }

    #[tokio::test]
    async fn errors_without_end_do_not_stop_the_output() {
        let script = "head -c 1000000 /dev/zero >&2; echo done";
        let mut running = GitProcess::spawn_git(&mut shell(script)).unwrap();
        let printed = running.read_output(1000).await.unwrap();
        assert_eq!(
            (printed.stdout, printed.code),
            (b"done\n".to_vec(), Some(0))
        );
        assert!(printed.stderr.len() <= MAX_STDERR);
    }

    #[tokio::test]
    async fn helpers_end_with_the_call_that_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let script = format!(
            "sleep 1000 & echo $! > {0}.new; mv {0}.new {0}; wait",
            file.display()
        );
        for is_dropped in [true, false] {
            let mut running = GitProcess::spawn_git(&mut shell(&script)).unwrap();
            let reading = tokio::time::timeout(Duration::from_secs(60), running.read_output(1000));
            tokio::select! {
                _ = reading => panic!("the script waits"),
                () = async { while !file.exists() { tokio::task::yield_now().await } } => {}
            }
            let helper = std::fs::read_to_string(&file).unwrap();
            assert!(runs(helper.trim()));
            if is_dropped {
                drop(running);
            } else {
                running.kill_and_wait().await;
            }
            assert!(gone(helper.trim()).await, "dropped: {is_dropped}");
            std::fs::remove_file(&file).unwrap();
        }
    }
}
