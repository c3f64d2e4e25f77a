//! Starts a container's own process and sends it what to run.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, Command};

use super::container::{CONTAINER_ARGUMENT, PLAIN, ROOT};
use super::launch::{LaunchReport, LaunchSpec};
use super::process::ProcessRecord;

/// A container's process that has not received its [`LaunchSpec`] yet.
pub(crate) struct SpawnedContainer {
    pub(crate) child: Child,
    pub(crate) process: ProcessRecord,
    /// Its output, both streams in one.
    pub(crate) output: Receiver,
    channel: UnixStream,
}

/// Starts the process and writes its record to `record`. Dropping the result kills nothing.
pub(crate) fn spawn_container(
    exe: &Path,
    own_root: bool,
    record: &Path,
) -> io::Result<SpawnedContainer> {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    let (output, stdout) = io::pipe()?;
    let child = {
        let mut command = Command::new(exe);
        command
            .args([CONTAINER_ARGUMENT, if own_root { ROOT } else { PLAIN }])
            .env_clear();
        command
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stderr(stdout.try_clone()?)
            .stdout(stdout);
        command.spawn()?
    };
    let process = ProcessRecord::from_pid(
        child
            .id()
            .ok_or_else(|| io::Error::other("it ended at once"))?,
    )?;
    process.write_record(record)?;
    ours.set_nonblocking(true)?;
    let channel = UnixStream::from_std(ours)?;
    let output = Receiver::from_owned_fd(OwnedFd::from(output))?;
    Ok(SpawnedContainer {
        child,
        process,
        output,
        channel,
    })
}

impl SpawnedContainer {
    /// Lets the process run `launch`. Returns its answer.
    pub(crate) async fn send_launch_spec(
        &mut self,
        launch: &LaunchSpec,
    ) -> io::Result<LaunchReport> {
        let mut line = serde_json::to_vec(launch)?;
        line.push(b'\n');
        self.channel.write_all(&line).await?;
        let mut answer = String::new();
        BufReader::new(&mut self.channel)
            .read_line(&mut answer)
            .await?;
        if answer.is_empty() {
            return Ok(LaunchReport::Failed(
                "the container's process ended before it had started anything".to_owned(),
            ));
        }
        Ok(serde_json::from_str(&answer)?)
    }
}
