//! The wrapped process and everything it leaves running: start, signals, reaping, killing.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::PipeReader;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawnp};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal, kill, killpg};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid};

use crate::variables;

/// SIGINT, SIGTERM and SIGCHLD as a file descriptor to poll, instead of handlers.
///
/// They are blocked first and stay blocked, so that none gets lost.
pub(crate) fn block_signals() -> nix::Result<SignalFd> {
    let mut set = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGCHLD] {
        set.add(signal);
    }
    set.thread_block()?;
    SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
}

/// The wrapped process: the leader of a session of its own, whose orphans become our children.
#[derive(Debug)]
pub(crate) struct WrappedProcess {
    pid: Pid,
}

impl WrappedProcess {
    /// Starts the command with standard output and error on one pipe; returns the read end.
    pub(crate) fn spawn(args: &[String]) -> std::io::Result<(Self, PipeReader)> {
        prctl::set_child_subreaper(true)?;
        let (reader, writer) = std::io::pipe()?;
        fcntl(reader.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        let null = File::open("/dev/null")?;

        let mut files = PosixSpawnFileActions::init()?;
        files.add_dup2(null.as_raw_fd(), 0)?;
        files.add_dup2(writer.as_raw_fd(), 1)?;
        files.add_dup2(writer.as_raw_fd(), 2)?;

        let mut attr = PosixSpawnAttr::init()?;
        // A session of its own, so that one signal reaches all of it and a terminal's Ctrl-C comes
        // only through us. Our blocked signals and Rust's ignored SIGPIPE are not inherited.
        attr.set_flags(
            PosixSpawnFlags::from_bits_retain(i32::from(libc::POSIX_SPAWN_SETSID))
                | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK
                | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF,
        )?;
        attr.set_sigmask(&SigSet::empty())?;
        attr.set_sigdefault(&SigSet::all())?;

        let args: Vec<CString> = args
            .iter()
            .map(|a| CString::new(a.as_str()))
            .collect::<Result<_, _>>()?;
        let env: Vec<CString> = std::env::vars_os()
            .filter(|(name, _)| !variables::is_own_variable(name))
            .map(|(name, value)| CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()))
            .collect::<Result<_, _>>()?;
        let program = args.first().ok_or(Errno::EINVAL)?;
        let pid = posix_spawnp(program, &files, &attr, &args, &env)?;
        Ok((Self { pid }, reader))
    }

    /// Sends a signal to the whole group; a group that is gone already is fine.
    pub(crate) fn signal_group(&self, signal: Signal) {
        let _ = killpg(self.pid, signal);
    }

    /// Reaps every child that has ended; returns the code of the process if it is among them.
    ///
    /// As PID 1 and as subreaper we are also the parent of all orphans.
    pub(crate) fn reap_children(&self) -> ReapedChildren {
        let mut reaped = ReapedChildren::default();
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, status)) if pid == self.pid => {
                    reaped.code = Some(status);
                }
                Ok(WaitStatus::Signaled(pid, signal, _)) if pid == self.pid => {
                    reaped.code = Some(-1);
                    reaped.signal = Some(signal);
                }
                Ok(WaitStatus::StillAlive) => {
                    reaped.children_left = true;
                    return reaped;
                }
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => return reaped,
            }
        }
    }

    /// Kills what the process has started and left running, in whatever session it is.
    pub(crate) fn kill_descendants(&self) {
        // Killing a parent makes its children ours, so it takes a round for each generation.
        for _ in 0..50 {
            if !self.reap_children().children_left {
                return;
            }
            self.signal_group(Signal::SIGKILL);
            for child in list_children(getpid()) {
                let _ = kill(child, Signal::SIGKILL);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// What [`WrappedProcess::reap_children`] found.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ReapedChildren {
    /// The exit code, -1 if a signal ended the process; `None` if it has not ended just now.
    pub(crate) code: Option<i32>,
    /// The signal that ended it.
    pub(crate) signal: Option<Signal>,
    /// Whether any child is still running.
    pub(crate) children_left: bool,
}

fn list_children(parent: Pid) -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| {
            fs::read_to_string(format!("/proc/{pid}/stat"))
                .is_ok_and(|stat| parent_in_stat(&stat) == Some(parent.as_raw()))
        })
        .map(Pid::from_raw)
        .collect()
}

/// The fourth field of `/proc/PID/stat`; the second, a name in parentheses, may hold anything.
fn parent_in_stat(stat: &str) -> Option<i32> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::parent_in_stat;

    #[test]
    fn the_parent_is_found_behind_a_hostile_name() {
        for (stat, expected) in [
            ("12 (sh) S 7 12 12 0", Some(7)),
            ("12 (a) S 9 (b) R 7 12 12", Some(7)),
            ("12 sh", None),
            ("", None),
        ] {
            assert_eq!(parent_in_stat(stat), expected, "{stat}");
        }
    }
}
