//! The source of a configuration: a value that is read from files.

use std::{
    collections::BTreeMap,
    fmt, fs, mem,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::config::ConfigErrors;

/// How deep nested folders below a path are followed.
const MAX_DEPTH: usize = 32;

/// A value that is loaded from files, again when they change.
pub trait ReloadableConfig: Send + 'static {
    type Value: Send + Sync + 'static;

    /// Loads the value; returns the same `Arc` if nothing changed.
    fn load_config(&mut self) -> Result<Arc<Self::Value>, ConfigErrors>;

    /// Whether the files differ from what the last load found, even if that failed. Compares file
    /// stats only, no contents: it is called each second.
    fn is_stale(&self) -> bool;

    /// What the system is asked to notify of: files, and folders whose every file counts. Nested
    /// folders are listed, too. Not the folder of a single file: others may write there.
    fn watched_paths(&self) -> Vec<PathBuf>;
}

/// Files that are all read again when one of them changes.
pub struct ReloadableFiles<T> {
    look: FileWatch,
    read: Box<dyn FnMut() -> Result<T, ConfigErrors> + Send>,
}

impl<T> fmt::Debug for ReloadableFiles<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files").field("look", &self.look).finish()
    }
}

impl<T> ReloadableFiles<T> {
    /// `read` makes the value from `paths`: files, or folders with everything in them.
    pub fn new(
        paths: impl IntoIterator<Item = PathBuf>,
        read: impl FnMut() -> Result<T, ConfigErrors> + Send + 'static,
    ) -> Self {
        Self {
            look: FileWatch::for_paths(paths),
            read: Box::new(read),
        }
    }
}

impl<T: Send + Sync + 'static> ReloadableConfig for ReloadableFiles<T> {
    type Value = T;

    fn load_config(&mut self) -> Result<Arc<T>, ConfigErrors> {
        // Taken before the read, so that a change meanwhile leads to another load.
        self.look.refresh_stats();
        (self.read)().map(Arc::new)
    }

    fn is_stale(&self) -> bool {
        self.look.is_stale()
    }

    fn watched_paths(&self) -> Vec<PathBuf> {
        self.look.watched_paths()
    }
}

/// The stats of files when they were last read.
#[derive(Debug, Default)]
pub(in crate::config) struct FileWatch {
    paths: Vec<PathBuf>,
    stamps: FileStats,
}

impl FileWatch {
    /// Watches files, or folders with everything in them. Takes no stats yet.
    pub(in crate::config) fn for_paths(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        Self {
            paths: paths.into_iter().collect(),
            stamps: FileStats::default(),
        }
    }

    /// Takes the stats again and returns the previous ones.
    pub(in crate::config) fn refresh_stats(&mut self) -> FileStats {
        mem::replace(&mut self.stamps, FileStats::stat_paths(&self.paths))
    }

    pub(in crate::config) fn file_stats(&self) -> &FileStats {
        &self.stamps
    }

    pub(in crate::config) fn is_stale(&self) -> bool {
        self.stamps != FileStats::stat_paths(&self.paths)
    }

    /// The files, and every folder that has stats. A path that does not exist yet is found by
    /// polling.
    pub(in crate::config) fn watched_paths(&self) -> Vec<PathBuf> {
        let named = self
            .paths
            .iter()
            .filter(|path| self.stamps.get_stat(path).is_some());
        let nested = self.stamps.0.iter().filter(|(_, stamp)| stamp.is_folder);
        let mut all: Vec<_> = named.chain(nested.map(|(path, _)| path)).cloned().collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// Of each file and folder below some paths, the metadata that changes with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::config) struct FileStats(BTreeMap<PathBuf, FileStat>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct FileStat {
    is_folder: bool,
    /// A file that replaces another may have the same size and time.
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileStats {
    fn stat_paths(paths: &[PathBuf]) -> Self {
        let mut stamps = Self::default();
        for path in paths {
            stamps.add_path(path.clone(), 0);
        }
        stamps
    }

    /// `None` if the path did not exist.
    pub(in crate::config) fn get_stat(&self, path: &Path) -> Option<&FileStat> {
        self.0.get(path)
    }

    /// A path whose metadata cannot be read has no stat until it can.
    fn add_path(&mut self, path: PathBuf, depth: usize) {
        // Links are followed: a mounted file is a link.
        let Ok(metadata) = fs::metadata(&path) else {
            return;
        };
        let is_link = || fs::symlink_metadata(&path).is_ok_and(|own| own.is_symlink());
        // Links to folders may form a cycle.
        if metadata.is_dir() && depth < MAX_DEPTH && (depth == 0 || !is_link()) {
            for entry in fs::read_dir(&path).into_iter().flatten().flatten() {
                // Names of the folders that a mounted ConfigMap keeps its versions in begin with
                // two dots. The mounted files are links into one of them.
                if !entry.file_name().as_encoded_bytes().starts_with(b"..") {
                    self.add_path(entry.path(), depth + 1);
                }
            }
        }
        let stamp = FileStat {
            is_folder: metadata.is_dir(),
            inode: metadata.ino(),
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        };
        self.0.insert(path, stamp);
    }
}
