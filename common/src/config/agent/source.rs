//! What can be kept up to date: something that is read from files.

use std::{
    collections::BTreeMap,
    fmt, fs, mem,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::config::ConfigErrors;

/// Folders below a path, one in the other.
const MAX_DEPTH: usize = 32;

/// Files that make up one value.
pub trait ReloadableConfig: Send + 'static {
    type Value: Send + Sync + 'static;

    /// Reads the files; the same value again says that nothing changed.
    fn load_config(&mut self) -> Result<Arc<Self::Value>, ConfigErrors>;

    /// Whether the files are others than the last reading found, however that ended. Looks at
    /// no contents: it is asked each second.
    fn is_stale(&self) -> bool;

    /// What the system is asked to tell of: files, and folders whose every file counts, nested
    /// ones by themselves. Not the folder of a single file: others may write beside it.
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
    /// `read` makes the value of what is at `paths`: files, or folders with all that is in them.
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
        // Before reading: what changes meanwhile is read again.
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

/// How files looked from outside when they were last read.
#[derive(Debug, Default)]
pub(in crate::config) struct FileWatch {
    paths: Vec<PathBuf>,
    stamps: FileStats,
}

impl FileWatch {
    /// At files, or folders with all that is in them; not looked at yet.
    pub(in crate::config) fn for_paths(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        Self {
            paths: paths.into_iter().collect(),
            stamps: FileStats::default(),
        }
    }

    /// Looks, and returns what was seen before.
    pub(in crate::config) fn refresh_stats(&mut self) -> FileStats {
        mem::replace(&mut self.stamps, FileStats::stat_paths(&self.paths))
    }

    pub(in crate::config) fn file_stats(&self) -> &FileStats {
        &self.stamps
    }

    pub(in crate::config) fn is_stale(&self) -> bool {
        self.stamps != FileStats::stat_paths(&self.paths)
    }

    /// The files, and every folder that something was seen in. What is not there is left to the
    /// clock.
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

/// What a change of a file changes, of each file and folder below some paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::config) struct FileStats(BTreeMap<PathBuf, FileStat>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct FileStat {
    is_folder: bool,
    /// A file that takes another's place may be as long and as old.
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

    /// None for what was not there.
    pub(in crate::config) fn get_stat(&self, path: &Path) -> Option<&FileStat> {
        self.0.get(path)
    }

    /// What cannot be looked at has no stamp, and gets one when it can be.
    fn add_path(&mut self, path: PathBuf, depth: usize) {
        // Links are followed: a mounted file is one.
        let Ok(metadata) = fs::metadata(&path) else {
            return;
        };
        let is_link = || fs::symlink_metadata(&path).is_ok_and(|own| own.is_symlink());
        // A link to a folder may lead in circles.
        if metadata.is_dir() && depth < MAX_DEPTH && (depth == 0 || !is_link()) {
            for entry in fs::read_dir(&path).into_iter().flatten().flatten() {
                // Hidden by two dots are the parts of a mounted ConfigMap, one of which its
                // files link to.
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
