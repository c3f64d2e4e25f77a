//! Half-written files that a git left behind which was killed, at its limit say: it cannot remove
//! them, no other git does, and a stranger could fill the mirrors' room with them.
//!
//! Other gits may be writing into the same mirror. What is older than all that run is nobody's.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

/// A file system's clock has ticks, so a file may seem a little older than whoever wrote it.
const TICK: Duration = Duration::from_secs(1);

/// The gits that may be writing into one mirror.
#[derive(Debug, Default)]
pub(super) struct Writers(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    count: u64,
    /// When each of them began.
    running: BTreeMap<u64, SystemTime>,
}

/// One of them; it counts until this is dropped.
#[derive(Debug)]
pub(super) struct Writer {
    writers: Arc<Writers>,
    number: u64,
}

impl Writers {
    pub(super) fn begin(self: &Arc<Self>) -> Writer {
        let mut state = self.state();
        state.count += 1;
        let number = state.count;
        state.running.insert(number, SystemTime::now());
        Writer {
            writers: Arc::clone(self),
            number,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writer {
    /// It has ended: what it, or another that was killed, left in the mirror is removed.
    pub(super) fn end(self, mirror: &Path) {
        let mut state = self.writers.state();
        state.running.remove(&self.number);
        // Nobody begins meanwhile.
        remove(mirror, state.running.values().min().copied());
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.writers.state().running.remove(&self.number);
    }
}

/// Removes half-written packs and objects; with `before` only what is older.
fn remove(mirror: &Path, before: Option<SystemTime>) {
    let objects = mirror.join("objects");
    for folder in fs::read_dir(objects).into_iter().flatten().flatten() {
        for entry in fs::read_dir(folder.path()).into_iter().flatten().flatten() {
            let is_half = entry.file_name().as_encoded_bytes().starts_with(b"tmp_");
            if is_half && is_older(&entry, before) {
                // Gone already is as well.
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
        let writers = Arc::new(Writers::default());
        let (first, second) = (writers.begin(), writers.begin());
        let new = write("pack/tmp_pack_new", 0);
        first.end(mirror.path());
        assert!(old.iter().all(|path| !path.exists()), "older than both");
        assert!(new.exists(), "the second may be writing it");
        drop(second);
        writers.begin().end(mirror.path());
        assert!(!new.exists(), "whose writer is gone");
        assert!(stay.iter().all(|path| path.exists()));
        writers.begin().end(&mirror.path().join("none"));
    }
}
