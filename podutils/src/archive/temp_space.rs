//! Temporary space: the disk space that all archives of a run may use at once.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::statvfs::statvfs;
use tempfile::SpooledTempFile;

/// The upper limit in bytes, however much is free.
const MOST: u64 = 8 << 30;
/// The limit in bytes if the free space is unknown.
const UNKNOWN: u64 = 1 << 30;
/// Files of up to this many bytes are kept in memory.
const IN_MEMORY: usize = 1 << 20;

/// A folder for temporary files, and how many bytes they may take.
#[derive(Debug, Clone)]
pub(crate) struct TempSpace(Arc<TempSpaceState>);

#[derive(Debug)]
struct TempSpaceState {
    dir: PathBuf,
    limit: u64,
    taken: AtomicU64,
}

impl TempSpace {
    /// The limit is half of what is free, so that the job's own files and our log have room, too.
    pub(crate) fn in_folder(dir: &Path) -> Self {
        let free =
            statvfs(dir).map(|disk| disk.blocks_available().saturating_mul(disk.fragment_size()));
        Self::new(dir, (free.unwrap_or(2 * UNKNOWN) / 2).min(MOST))
    }

    pub(crate) fn new(dir: &Path, limit: u64) -> Self {
        Self(Arc::new(TempSpaceState {
            dir: dir.to_owned(),
            limit,
            taken: AtomicU64::new(0),
        }))
    }

    /// An empty temporary file.
    pub(super) fn create_spool(&self) -> SpoolFile {
        SpoolFile {
            file: tempfile::spooled_tempfile_in(IN_MEMORY, &self.0.dir),
            at: 0,
            taken: 0,
            space: self.clone(),
        }
    }

    fn reserve_bytes(&self, bytes: u64) -> io::Result<()> {
        let more = |taken: u64| taken.checked_add(bytes).filter(|sum| *sum <= self.0.limit);
        let taken = self
            .0
            .taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        match taken {
            Ok(_) => Ok(()),
            Err(_) => Err(io::ErrorKind::StorageFull.into()),
        }
    }

    #[cfg(test)]
    pub(super) fn taken_bytes(&self) -> u64 {
        self.0.taken.load(Ordering::Relaxed)
    }
}

/// A temporary file whose bytes count against the limit until it is dropped.
#[derive(Debug)]
pub(crate) struct SpoolFile {
    file: SpooledTempFile,
    at: u64,
    taken: u64,
    space: TempSpace,
}

impl Write for SpoolFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let end = self.at + bytes.len() as u64;
        if end > self.taken {
            self.space.reserve_bytes(end - self.taken)?;
            self.taken = end;
        }
        let written = self.file.write(bytes)?;
        self.at += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Read for SpoolFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for SpoolFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = self.file.seek(to)?;
        Ok(self.at)
    }
}

impl Drop for SpoolFile {
    fn drop(&mut self) {
        self.space.0.taken.fetch_sub(self.taken, Ordering::Relaxed);
    }
}
