//! Processes of this machine: identified by pid and start time, and killed with all their
//! descendants.
//!
//! Nothing here waits for a child; whoever started it does.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use std::{fs, io, thread};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// Identifies one process. A pid is reused; a pid with a start time in one boot of the machine is
/// not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessRecord {
    pid: i32,
    /// Clock ticks since boot, field 22 of `/proc/PID/stat`.
    start: u64,
    /// `/proc/sys/kernel/random/boot_id`.
    boot: String,
}

/// What `/proc/PID/stat` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ProcessStat {
    parent: i32,
    start: u64,
    /// Has ended, and waits for its parent to reap it.
    zombie: bool,
}

fn parse_stat(text: &str) -> Option<ProcessStat> {
    // The name is in parentheses and may contain anything, even parentheses and blanks.
    let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace();
    let zombie = matches!(fields.next()?, "Z" | "X");
    let parent = fields.next()?.parse().ok()?;
    let start = fields.nth(17)?.parse().ok()?;
    Some(ProcessStat {
        parent,
        start,
        zombie,
    })
}

fn read_stat(pid: i32) -> Option<ProcessStat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Every process of this machine that has not ended.
fn list_processes() -> BTreeMap<i32, ProcessStat> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| Some((pid, read_stat(pid)?)))
        .filter(|(_, stat)| !stat.zombie)
        .collect()
}

/// All descendants of `root`, without `root` itself.
fn find_descendants(table: &BTreeMap<i32, ProcessStat>, root: i32) -> Vec<i32> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(
            table
                .iter()
                .filter(|(_, stat)| stat.parent == parent)
                .map(|(pid, _)| *pid),
        );
        next += 1;
    }
    found.split_off(1)
}

fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?
        .trim()
        .to_owned())
}

impl ProcessRecord {
    /// The process that has this pid now.
    pub(crate) fn from_pid(pid: u32) -> io::Result<Self> {
        let pid = i32::try_from(pid).map_err(io::Error::other)?;
        let stat = read_stat(pid).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        Ok(Self {
            pid,
            start: stat.start,
            boot: boot_id()?,
        })
    }

    /// Whether it still runs.
    pub(crate) fn is_alive(&self) -> bool {
        read_stat(self.pid).is_some_and(|stat| stat.start == self.start && !stat.zombie)
            && boot_id().is_ok_and(|boot| boot == self.boot)
    }

    /// Asks the process to end.
    pub(crate) fn send_sigterm(&self) {
        if self.is_alive() {
            // It may have ended already, which is what we want.
            let _ = kill(Pid::from_raw(self.pid), Signal::SIGTERM);
        }
    }

    /// Kills the process and all its descendants, even in other sessions or after double forks.
    /// Blocks until they are gone. The process itself is killed last: as a subreaper it stays the
    /// ancestor of its orphans.
    pub(crate) fn kill_tree(&self) {
        while self.is_alive() {
            if kill_descendants(self.pid) {
                let _ = kill(Pid::from_raw(self.pid), Signal::SIGKILL);
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    pub(crate) fn write_record(&self, path: &Path) -> io::Result<()> {
        let new = path.with_extension("new");
        fs::write(&new, serde_json::to_vec(self)?)?;
        fs::rename(new, path)
    }

    pub(crate) fn read_record(path: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(path)?)?)
    }
}

/// Kills the current descendants of `root`. Returns true if there are none.
pub(crate) fn kill_descendants(root: i32) -> bool {
    let table = list_processes();
    let found = find_descendants(&table, root);
    for pid in &found {
        if read_stat(*pid).map(|stat| stat.start) == table.get(pid).map(|stat| stat.start) {
            let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
        }
    }
    found.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_read_whatever_the_name_is() {
        let tail = "S 41 43 43 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 7777 1 1";
        let expected = ProcessStat {
            parent: 41,
            start: 7777,
            zombie: false,
        };
        for name in ["(sh)", "(a b)", "(x) Z 1 (y)"] {
            assert_eq!(
                parse_stat(&format!("43 {name} {tail}")),
                Some(expected),
                "{name}"
            );
        }
        assert!(
            parse_stat(&format!("43 (sh) {}", tail.replace('S', "Z")))
                .unwrap()
                .zombie
        );
        assert_eq!(parse_stat("43 (sh) S"), None);
    }

    #[test]
    fn descendants_are_found_at_any_depth() {
        let stat = |parent| ProcessStat {
            parent,
            start: 1,
            zombie: false,
        };
        let table = BTreeMap::from([
            (1, stat(0)),
            (2, stat(1)),
            (3, stat(2)),
            (4, stat(3)),
            (5, stat(1)),
            (6, stat(2)),
        ]);
        assert_eq!(find_descendants(&table, 2), [3, 6, 4]);
        assert!(find_descendants(&table, 5).is_empty());
    }

    #[test]
    fn a_used_pid_is_another_process() {
        let this = ProcessRecord::from_pid(std::process::id()).unwrap();
        assert!(this.is_alive());
        assert!(
            !ProcessRecord {
                start: this.start + 1,
                ..this.clone()
            }
            .is_alive()
        );
        assert!(
            !ProcessRecord {
                boot: "another".into(),
                ..this
            }
            .is_alive()
        );
    }
}
