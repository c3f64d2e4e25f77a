//! Stops a command that takes too long, and the commands that it started.

use std::process::Child;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::git::CloneDeadline;

/// The last line of the output of a command that was stopped.
pub(super) const TIMEOUT_MESSAGE: &str = "fatal: cloning takes too long and was stopped\n";

/// A thread that kills a command at its deadline.
pub(super) struct CommandTimeout {
    done: mpsc::Sender<()>,
    thread: JoinHandle<bool>,
}

impl CommandTimeout {
    /// The child must have a process group of its own.
    pub(super) fn start_timer(child: &Child, deadline: CloneDeadline) -> Self {
        let group = i32::try_from(child.id()).ok().map(Pid::from_raw);
        let (done, ended) = mpsc::channel();
        let thread = thread::spawn(move || {
            let left = deadline.0.saturating_duration_since(Instant::now());
            let is_late = ended.recv_timeout(left) == Err(RecvTimeoutError::Timeout);
            if let Some(group) = group.filter(|_| is_late) {
                // The command may have ended just now.
                let _ = killpg(group, Signal::SIGKILL);
            }
            is_late
        });
        Self { done, thread }
    }

    /// Whether the command was stopped. Must be called after the command has ended.
    pub(super) fn was_stopped(self) -> bool {
        drop(self.done);
        self.thread.join().unwrap_or(false)
    }
}
