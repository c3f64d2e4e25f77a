//! Removes half-written files of a git that was killed, say at its time limit. It cannot remove
//! them, no other git does, and a stranger could fill the mirrors' disk with them.
//!
//! hook looks for them after a git was killed, and once after the start, since hook may have been
//! killed itself. Files older than all running gits of the mirror belong to none of them.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

/// A file system's clock has ticks, so a file may seem a little older than the git that wrote it.
const TICK: Duration = Duration::from_secs(1);

/// The gits that run in one mirror.
#[derive(Debug, Default)]
pub(super) struct RunningGits(Mutex<RunningGitTable>);

#[derive(Debug, Default)]
struct RunningGitTable {
    count: u64,
    /// When each running git began.
    running: BTreeMap<u64, SystemTime>,
    /// Whether all half-written files belong to running gits.
    is_clean: bool,
}

/// One running git, until this is dropped. If it is dropped without [`RunningGit::mark_ended`], git
/// may have been killed.
#[derive(Debug)]
pub(super) struct RunningGit {
    all: Arc<RunningGits>,
    number: u64,
    has_ended: bool,
}

impl RunningGits {
    pub(super) fn begin_git(self: &Arc<Self>) -> RunningGit {
        let mut gits = self.lock_table();
        gits.count += 1;
        let number = gits.count;
        gits.running.insert(number, SystemTime::now());
        RunningGit {
            all: Arc::clone(self),
            number,
            has_ended: false,
        }
    }

    /// Removes what killed gits left in the mirror. No git begins meanwhile.
    pub(super) fn clean_mirror(&self, mirror: &Path) {
        let mut gits = self.lock_table();
        let first = gits.running.values().min().copied();
        remove_temp_files(mirror, first);
        gits.is_clean = first.is_none();
    }

    /// Whether [`RunningGits::clean_mirror`] has nothing to do.
    pub(super) fn is_clean(&self) -> bool {
        self.lock_table().is_clean
    }

    fn lock_table(&self) -> MutexGuard<'_, RunningGitTable> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RunningGit {
    /// Records that git ended by itself, and so removed its own half-written files.
    pub(super) fn mark_ended(mut self) {
        self.has_ended = true;
    }
}

impl Drop for RunningGit {
    fn drop(&mut self) {
        let mut gits = self.all.lock_table();
        gits.running.remove(&self.number);
        gits.is_clean &= self.has_ended;
    }
}

/// Removes half-written packs and objects; with `before`, only those that are older.
fn remove_temp_files(mirror: &Path, before: Option<SystemTime>) {
    let objects = mirror.join("objects");
    for folder in fs::read_dir(objects).into_iter().flatten().flatten() {
        for entry in fs::read_dir(folder.path()).into_iter().flatten().flatten() {
            let is_half = entry.file_name().as_encoded_bytes().starts_with(b"tmp_");
            if is_half && is_older(&entry, before) {
                // It may be gone already.
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

fn is_older(entry: &fs::DirEntry, before: Option<SystemTime>) -> bool {
    let Some(before) = before else {
        return true;
    };
    let modified = entry.metadata().and_then(|metadata| metadata.modified());
    modified.is_ok_and(|modified| modified + TICK < before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_is_looked_through_after_the_start_and_after_a_kill() {
        let mirror = tempfile::tempdir().unwrap();
        let gits = Arc::new(RunningGits::default());
        assert!(!gits.is_clean(), "this process may have been killed before");
        gits.clean_mirror(mirror.path());
        assert!(gits.is_clean());
        gits.begin_git().mark_ended();
        assert!(gits.is_clean());
        let other = gits.begin_git();
        drop(gits.begin_git());
        assert!(!gits.is_clean());
        gits.clean_mirror(mirror.path());
        assert!(!gits.is_clean(), "what was left may seem to be the other's");
        other.mark_ended();
        gits.clean_mirror(mirror.path());
        assert!(gits.is_clean());
    }

    #[test]
    fn what_nobody_writes_any_more_goes_and_everything_else_stays() {
        let mirror = tempfile::tempdir().unwrap();
        let write = |name: &str, age: u64| {
            let path = mirror.path().join("objects").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let file = fs::File::create(&path).unwrap();
            let time = SystemTime::now() - Duration::from_secs(age);
            file.set_modified(time).unwrap();
            path
        };
        let stay = ["pack/pack-a.pack", "pack/pack-a.promisor", "7f/abcdef"];
        let stay = stay.map(|name| write(name, 3600));
        let old = ["pack/tmp_pack_a", "pack/tmp_idx_b", "7f/tmp_obj_c"];
        let old = old.map(|name| write(name, 60));
        let gits = Arc::new(RunningGits::default());
        let running = gits.begin_git();
        let new = write("pack/tmp_pack_new", 0);
        gits.clean_mirror(mirror.path());
        assert!(old.iter().all(|path| !path.exists()), "older than it");
        assert!(new.exists(), "it may be writing it");
        drop(running);
        gits.clean_mirror(mirror.path());
        assert!(!new.exists(), "whose git is gone");
        assert!(stay.iter().all(|path| path.exists()));
        gits.clean_mirror(&mirror.path().join("none"));
    }
}
