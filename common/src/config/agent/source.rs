//! What can be kept up to date: something that is read from files.

use std::{
    collections::BTreeMap,
    fmt, fs, mem,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::config::Errors;

/// Folders below a path, one in the other.
const MAX_DEPTH: usize = 32;

/// Files that make up one value.
pub trait Source: Send + 'static {
    type Value: Send + Sync + 'static;

    /// Reads the files; the same value again says that nothing changed.
    fn load(&mut self) -> Result<Arc<Self::Value>, Errors>;

    /// Whether the files are others than the last reading found, however that ended. Looks at
    /// no contents: it is asked each second.
    fn is_stale(&self) -> bool;

    /// What the system is asked to tell of: files, and folders whose every file counts, nested
    /// ones by themselves. Not the folder of a single file: others may write beside it.
    fn watched(&self) -> Vec<PathBuf>;
}

/// Files that are all read again when one of them changes.
pub struct Files<T> {
    look: Look,
    read: Box<dyn FnMut() -> Result<T, Errors> + Send>,
}

impl<T> fmt::Debug for Files<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files").field("look", &self.look).finish()
    }
}

impl<T> Files<T> {
    /// `read` makes the value of what is at `paths`: files, or folders with all that is in them.
    pub fn new(
        paths: impl IntoIterator<Item = PathBuf>,
        read: impl FnMut() -> Result<T, Errors> + Send + 'static,
    ) -> Self {
        Self {
            look: Look::at(paths),
            read: Box::new(read),
        }
    }
}

impl<T: Send + Sync + 'static> Source for Files<T> {
    type Value = T;

    fn load(&mut self) -> Result<Arc<T>, Errors> {
        // Before reading: what changes meanwhile is read again.
        self.look.again();
        (self.read)().map(Arc::new)
    }

    fn is_stale(&self) -> bool {
        self.look.is_stale()
    }

    fn watched(&self) -> Vec<PathBuf> {
        self.look.watched()
    }
}

/// How files looked from outside when they were last read.
#[derive(Debug, Default)]
pub(in crate::config) struct Look {
    paths: Vec<PathBuf>,
    stamps: Stamps,
}

impl Look {
    /// At files, or folders with all that is in them; not looked at yet.
    pub(in crate::config) fn at(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        Self {
            paths: paths.into_iter().collect(),
            stamps: Stamps::default(),
        }
    }

    /// Looks, and returns what was seen before.
    pub(in crate::config) fn again(&mut self) -> Stamps {
        mem::replace(&mut self.stamps, Stamps::of(&self.paths))
    }

    pub(in crate::config) fn stamps(&self) -> &Stamps {
        &self.stamps
    }

    pub(in crate::config) fn is_stale(&self) -> bool {
        self.stamps != Stamps::of(&self.paths)
    }

    /// The files, and every folder that something was seen in. What is not there is left to the
    /// clock.
    pub(in crate::config) fn watched(&self) -> Vec<PathBuf> {
        let named = self
            .paths
            .iter()
            .filter(|path| self.stamps.get(path).is_some());
        let nested = self.stamps.0.iter().filter(|(_, stamp)| stamp.is_folder);
        let mut all: Vec<_> = named.chain(nested.map(|(path, _)| path)).cloned().collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// What a change of a file changes, of each file and folder below some paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::config) struct Stamps(BTreeMap<PathBuf, Stamp>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct Stamp {
    is_folder: bool,
    /// A file that takes another's place may be as long and as old.
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamps {
    fn of(paths: &[PathBuf]) -> Self {
        let mut stamps = Self::default();
        for path in paths {
            stamps.add(path.clone(), 0);
        }
        stamps
    }

    /// None for what was not there.
    pub(in crate::config) fn get(&self, path: &Path) -> Option<&Stamp> {
        self.0.get(path)
    }

    /// What cannot be looked at has no stamp, and gets one when it can be.
    fn add(&mut self, path: PathBuf, depth: usize) {
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
                    self.add(entry.path(), depth + 1);
                }
            }
        }
        let stamp = Stamp {
            is_folder: metadata.is_dir(),
            inode: metadata.ino(),
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        };
        self.0.insert(path, stamp);
    }
}
