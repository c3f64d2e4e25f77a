//! The marker file, which tells the sidecar and the next container how a container ended.
//!
//! Until the marker is written, there is a lock file next to it that this process holds locked. If
//! nobody holds the lock and there is no marker, the process was killed and no marker will come.
//! Prow's entrypoint has no such file, so its end without a marker is not noticed.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::posix_fallocate;

use crate::open_regular;

/// Reserved for the code. More than any code takes: an `i32` has at most eleven characters.
const RESERVED_BYTES: &[u8] = &[b' '; 32];
/// Bytes that are read: more than any code has.
const MAX_MARKER_BYTES: u64 = 64;

/// What a marker and its lock say about the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkerState {
    /// There is no marker yet.
    Open,
    /// The container ended with this code.
    Ended(i32),
    /// The container ended and left no code: its entrypoint was killed, or could not write.
    Abandoned,
}

/// The state of the container of `marker`. Never blocks, whatever file has that name.
///
/// # Errors
///
/// If the marker is there and cannot be read, or holds no code.
pub fn read_marker_state(marker: &Path) -> io::Result<MarkerState> {
    if let Some(code) = read_exit_code(marker)? {
        return Ok(MarkerState::Ended(code));
    }
    if !is_lock_released(&lock_path(marker)) {
        return Ok(MarkerState::Open);
    }
    // The marker may have been written since the first look.
    let code = read_exit_code(marker)?;
    Ok(code.map_or(MarkerState::Abandoned, MarkerState::Ended))
}

/// The code in a marker; `None` while there is no marker.
fn read_exit_code(marker: &Path) -> io::Result<Option<i32>> {
    let file = match open_regular(marker, OpenOptions::new().read(true)) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let mut text = String::new();
    file.take(MAX_MARKER_BYTES).read_to_string(&mut text)?;
    if text.is_empty() {
        // It is being written by something that does not rename it into place.
        return Ok(None);
    }
    let code = text.trim().parse();
    code.map(Some)
        .map_err(|_| io::Error::other("it holds no exit code"))
}

/// Whether the lock file exists and nobody holds the lock.
fn is_lock_released(lock: &Path) -> bool {
    let file = open_regular(lock, OpenOptions::new().read(true));
    file.is_ok_and(|file| file.try_lock_shared().is_ok())
}

/// A marker that is not written yet. It is locked and has the disk space that the code needs, in
/// case the disk is full by then.
#[derive(Debug)]
pub(crate) struct ReservedMarker {
    file: File,
}

impl ReservedMarker {
    /// When this returns, the lock is visible and held, until the process ends in whatever way.
    pub(crate) fn new(marker: &Path) -> io::Result<Self> {
        let staging = staging_path(marker);
        let mut file = create_shared_file(&staging)?;
        file.lock()?;
        // Failures are ignored: a disk that is full already has room for a name, at least.
        let _ = posix_fallocate(&file, 0, RESERVED_BYTES.len() as i64);
        let _ = file.write_all(RESERVED_BYTES);
        fs::rename(&staging, lock_path(marker))?;
        Ok(Self { file })
    }

    /// Writes the code so that a reader sees either no marker or the whole number.
    pub(crate) fn write_code(mut self, marker: &Path, code: i32) -> io::Result<()> {
        let text = code.to_string();
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(text.as_bytes())?;
        self.file.set_len(text.len() as u64)?;
        fs::rename(lock_path(marker), marker)
    }
}

/// As [`ReservedMarker::write_code`], if nothing could be reserved.
pub(crate) fn write_marker(marker: &Path, code: i32) -> io::Result<()> {
    let staging = staging_path(marker);
    let result = create_shared_file(&staging).and_then(|mut file| {
        file.write_all(code.to_string().as_bytes())?;
        fs::rename(&staging, marker)
    });
    if result.is_err() {
        let _ = fs::remove_file(&staging);
    }
    result
}

/// An empty file that everybody may read and lock: the sidecar may run as another user.
fn create_shared_file(path: &Path) -> io::Result<File> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    let file = File::create(path)?;
    file.set_permissions(Permissions::from_mode(0o777))?;
    Ok(file)
}

fn lock_path(marker: &Path) -> PathBuf {
    hidden_sibling(marker, "lock")
}

fn staging_path(marker: &Path) -> PathBuf {
    hidden_sibling(marker, &std::process::id().to_string())
}

fn hidden_sibling(marker: &Path, end: &str) -> PathBuf {
    let name = marker.file_name().unwrap_or_default().to_string_lossy();
    marker.with_file_name(format!(".{name}.{end}"))
}

#[cfg(test)]
mod tests {
    use nix::{sys::stat::Mode, unistd::mkfifo};

    use super::*;

    fn marker() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("logs/marker-file.txt");
        (dir, path)
    }

    #[test]
    fn what_is_written_is_read_and_nothing_else_is_left() {
        let (_dir, path) = marker();
        assert_eq!(read_marker_state(&path).unwrap(), MarkerState::Open);
        for code in [0, -1, 1130, i32::MIN] {
            let reserved = ReservedMarker::new(&path).unwrap();
            reserved.write_code(&path, code).unwrap();
            assert_eq!(read_marker_state(&path).unwrap(), MarkerState::Ended(code));
            write_marker(&path, 7).unwrap();
            assert_eq!(read_marker_state(&path).unwrap(), MarkerState::Ended(7));
        }
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o777);
    }

    #[test]
    fn a_lock_that_is_let_go_without_a_marker_is_an_end() {
        let (_dir, path) = marker();
        let reserved = ReservedMarker::new(&path).unwrap();
        assert_eq!(read_marker_state(&path).unwrap(), MarkerState::Open);
        drop(reserved);
        assert_eq!(read_marker_state(&path).unwrap(), MarkerState::Abandoned);
    }

    #[test]
    fn what_is_no_marker_is_an_error_and_no_wait() {
        let (_dir, path) = marker();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "").unwrap();
        assert_eq!(read_marker_state(&path).unwrap(), MarkerState::Open);
        fs::write(&path, "soon").unwrap();
        let told = read_marker_state(&path).unwrap_err().to_string();
        assert_eq!(told, "it holds no exit code");
        fs::remove_file(&path).unwrap();
        mkfifo(&path, Mode::S_IRWXU).unwrap();
        let told = read_marker_state(&path).unwrap_err().to_string();
        assert_eq!(told, "it is no regular file");
        fs::remove_file(&path).unwrap();
        mkfifo(&lock_path(&path), Mode::S_IRWXU).unwrap();
        assert_eq!(read_marker_state(&path).unwrap(), MarkerState::Open);
    }
}
