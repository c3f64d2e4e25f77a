//! Files that are written in a staging folder, and then moved to their place at once.

use std::fs::{self, File, FileTimes};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The age at which the leftovers of an unfinished write are removed.
const LEFTOVER_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// A file that is removed unless it is published.
#[derive(Debug)]
pub(super) struct StagedFile {
    path: Option<PathBuf>,
}

impl StagedFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path: Some(path) }
    }

    /// Sets a modification time later than `other`, and syncs the file. Returns time and size.
    pub(super) fn sync_file(&self, other: Option<SystemTime>) -> io::Result<(SystemTime, u64)> {
        let path = self.path.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let file = File::options().write(true).open(path)?;
        // Two writes may share one tick of the file system's clock.
        let after = other.map(|other| other + Duration::from_nanos(1));
        let time = after.map_or_else(SystemTime::now, |after| after.max(SystemTime::now()));
        file.set_times(FileTimes::new().set_modified(time))?;
        file.sync_all()?;
        let metadata = file.metadata()?;
        Ok((metadata.modified()?, metadata.len()))
    }

    /// Moves the file to `to`; `false` if a file is there and `replace` is false.
    pub(super) fn publish_file(mut self, to: &Path, replace: bool) -> io::Result<bool> {
        let from = self.path.clone().ok_or(io::ErrorKind::NotFound)?;
        let parent = to.parent().unwrap_or(Path::new("/"));
        create_folders(parent)?;
        if replace {
            fs::rename(&from, to)?;
            self.path = None;
        } else {
            match fs::hard_link(&from, to) {
                Ok(()) => {}
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
                Err(e) => return Err(e),
            }
        }
        File::open(parent)?.sync_all()?;
        Ok(true)
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if let Some(path) = self.path.take() {
            let _ = fs::remove_file(path);
        }
    }
}

/// Creates folders that survive a power failure.
fn create_folders(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let Some(parent) = folder.parent() else {
        return Ok(());
    };
    create_folders(parent)?;
    match fs::create_dir(folder) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e),
        _ => File::open(parent)?.sync_all(),
    }
}

/// Removes leftovers of killed writes. What cannot be removed now can be removed later.
pub(super) fn remove_leftovers(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        let age = modified.map(|modified| modified.elapsed().unwrap_or_default());
        if age.is_ok_and(|age| age > LEFTOVER_AGE) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_old_leftovers_go() {
        let folder = tempfile::tempdir().unwrap();
        for (name, hours) in [("new", 1), ("old", 25)] {
            let file = File::create(folder.path().join(name)).unwrap();
            let time = SystemTime::now() - Duration::from_secs(hours * 3600);
            file.set_modified(time).unwrap();
        }
        remove_leftovers(folder.path());
        assert!(folder.path().join("new").exists());
        assert!(!folder.path().join("old").exists());
        remove_leftovers(&folder.path().join("none"));
    }

    #[test]
    fn two_files_never_have_one_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        fs::write(&path, "x").unwrap();
        let staged = StagedFile::new(path.clone());
        let (first, size) = staged.sync_file(None).unwrap();
        let (second, _) = staged.sync_file(Some(first)).unwrap();
        assert_ne!(first, second);
        assert_eq!(size, 1);
        drop(staged);
        assert!(!path.exists(), "what is not published goes");
    }
}
