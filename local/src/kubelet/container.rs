//! A container's own process: the runner's binary executed again, synchronous and single-threaded.
//!
//! The process has three forms. `plain` starts the container's program in the machine's own root.
//! `root` enters namespaces and starts `init` in them. The program runs as a child of `init`, so
//! when `init` ends everything in the container ends. The runner talks to the process on standard
//! input: one line says what to run ([`LaunchSpec`]), and is sent only after the process is on
//! record; one line answers ([`LaunchReport`]).
//!
//! The process does not end with the runner. After a kill, the next runner finds it by its record
//! (see [`super::process`]). A parent-death signal would also end it whenever the runner's thread
//! that started it ends.

mod mounts;
mod root;
mod supervise;

use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, bail};
use nix::sys::stat::{Mode, umask};

use super::launch::{LaunchReport, LaunchSpec};

/// The first argument that makes the binary run as a container's process.
pub(crate) const CONTAINER_ARGUMENT: &str = "container";
/// Exit code of a container that could not be started, as in container runtimes.
const START_ERROR_CODE: u8 = 128;

/// The forms of a container's process, as the second argument.
pub(crate) const PLAIN: &str = "plain";
pub(crate) const ROOT: &str = "root";
const INIT: &str = "init";

/// The entry point of the binary when its first argument is `container`. Call it before anything
/// else, in a process with one thread: a user namespace cannot be entered otherwise.
#[must_use]
pub fn container_main() -> ExitCode {
    match run_container_process() {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            // The runner may be gone already.
            let _ = send_report(&LaunchReport::Failed(format!("{error:#}")));
            ExitCode::from(START_ERROR_CODE)
        }
    }
}

fn run_container_process() -> anyhow::Result<u8> {
    supervise::block_signals()?;
    close_inherited();
    // Files of a container need not be as private as the operator's own may have to be.
    umask(Mode::from_bits_truncate(0o022));
    match std::env::args().nth(2).as_deref() {
        Some(PLAIN) => {
            // A new session, so that no terminal's Ctrl-C reaches it.
            let _ = nix::unistd::setsid();
            supervise::adopt_orphans()?;
            let code = run_program()?;
            supervise::kill_orphans();
            Ok(code)
        }
        Some(ROOT) => {
            let _ = nix::unistd::setsid();
            root::enter_namespaces().context("cannot enter namespaces")?;
            let code = supervise::supervise_command(&mut init_command()?, || Ok(()))?;
            Ok(code)
        }
        Some(INIT) => {
            supervise::die_with_parent()?;
            run_program()
        }
        _ => bail!(
            "expected {PLAIN} or {ROOT} after {CONTAINER_ARGUMENT}; this command is the runner's own"
        ),
    }
}

/// This binary again, as the first process of the namespaces.
fn init_command() -> anyhow::Result<Command> {
    let mut command = Command::new("/proc/self/exe");
    // Keeps `argv[0]`, since the binary may depend on it.
    command.arg0(std::env::args().next().unwrap_or_default());
    command
        .args([CONTAINER_ARGUMENT, INIT])
        .env_clear()
        .stdin(Stdio::from(runner_channel()?));
    Ok(command)
}

/// Reads what to run, runs it, and returns its exit code.
fn run_program() -> anyhow::Result<u8> {
    let mut line = String::new();
    BufReader::new(UnixStream::from(runner_channel()?)).read_line(&mut line)?;
    if line.is_empty() {
        bail!("the runner is gone");
    }
    let launch: LaunchSpec = serde_json::from_str(&line).context("cannot read what to run")?;
    if let Some(root) = &launch.root {
        root::build_root(root).context("cannot make a root")?;
    }
    fs::create_dir_all(&launch.dir)
        .with_context(|| format!("cannot make the working directory {}", launch.dir.display()))?;
    let mut command = Command::new(&launch.program);
    command
        .args(&launch.args)
        .env_clear()
        .envs(launch.env.iter().map(|(name, value)| (name, value)));
    command
        .current_dir(&launch.dir)
        .stdin(Stdio::null())
        .process_group(0);
    if let Some(arg0) = &launch.arg0 {
        command.arg0(arg0);
    }
    supervise::supervise_command(&mut command, || send_report(&LaunchReport::Started))
        .with_context(|| format!("exec {:?}", launch.program))
}

/// The socket to the runner, which is standard input.
fn runner_channel() -> io::Result<OwnedFd> {
    io::stdin().as_fd().try_clone_to_owned()
}

fn send_report(report: &LaunchReport) -> io::Result<()> {
    let mut line = serde_json::to_vec(report)?;
    line.push(b'\n');
    UnixStream::from(runner_channel()?).write_all(&line)
}

/// Closes the files that the runner inherited from whoever started it.
fn close_inherited() {
    let entries = fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .flatten();
    let open: Vec<i32> = entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    for fd in open.into_iter().filter(|fd| *fd > 2) {
        // The descriptor of the folder itself is closed already.
        let _ = nix::unistd::close(fd);
    }
}
