//! Supervises one child process: signals, orphans, exit code.

use std::io;
use std::process::Command;
use std::thread;
use std::time::Duration;

use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid};

use crate::kubelet::process::kill_descendants;

fn supervised_signals() -> SigSet {
    let mut set = SigSet::empty();
    set.add(Signal::SIGTERM);
    set.add(Signal::SIGCHLD);
    set
}

/// Blocks SIGTERM and SIGCHLD until [`supervise_command`] takes them, so that none is lost before.
pub(super) fn block_signals() -> io::Result<()> {
    Ok(supervised_signals().thread_block()?)
}

/// Makes this process the parent of orphaned descendants.
pub(super) fn adopt_orphans() -> io::Result<()> {
    Ok(prctl::set_child_subreaper(true)?)
}

/// Kills this process when its parent ends. The parent has one thread only.
pub(super) fn die_with_parent() -> io::Result<()> {
    Ok(prctl::set_pdeathsig(Signal::SIGKILL)?)
}

/// Starts `command`, calls `started`, passes SIGTERM on and reaps whatever ends. Returns when the
/// command has ended: its exit code, or 128 plus the number of the signal that ended it.
pub(super) fn supervise_command(
    command: &mut Command,
    started: impl FnOnce() -> io::Result<()>,
) -> io::Result<u8> {
    let child = Pid::from_raw(command.spawn()?.id().cast_signed());
    started()?;
    loop {
        match supervised_signals().wait()? {
            Signal::SIGTERM => {
                // It may have ended just now, before its SIGCHLD arrives.
                let _ = kill(child, Signal::SIGTERM);
            }
            _ => {
                if let Some(code) = reap_children(child) {
                    return Ok(code);
                }
            }
        }
    }
}

/// Reaps everything that has ended. Returns the exit code of `child` if it is among them.
fn reap_children(child: Pid) -> Option<u8> {
    let mut code = None;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, status)) if pid == child => {
                code = u8::try_from(status & 0xff).ok()
            }
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == child => {
                code = u8::try_from(128 + signal as i32).ok()
            }
            Ok(WaitStatus::StillAlive) | Err(_) => return code,
            Ok(_) => {}
        }
    }
}

/// Kills what the child has left behind.
pub(super) fn kill_orphans() {
    while !kill_descendants(getpid().as_raw()) {
        while let Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) =
            waitpid(None, Some(WaitPidFlag::WNOHANG))
        {}
        thread::sleep(Duration::from_millis(2));
    }
}
