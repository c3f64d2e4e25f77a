//! The marker file: how a container tells the sidecar, and the next container, how it ended.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Writes the code so that a reader sees either no file or the whole number.
pub(crate) fn write(path: &Path, code: i32) -> io::Result<()> {
    let staging = staging_path(path);
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    let result = (|| {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&staging)?;
        file.write_all(code.to_string().as_bytes())?;
        // The sidecar may run as another user.
        file.set_permissions(Permissions::from_mode(0o777))?;
        file.sync_all()?;
        fs::rename(&staging, path)
    })();
    if result.is_err() {
        let _ = fs::remove_file(&staging);
    }
    result
}

/// The code in a marker; `None` while it is not there.
pub(crate) fn read(path: &Path) -> io::Result<Option<i32>> {
    match fs::read_to_string(path) {
        Ok(text) => text.trim().parse().map(Some).map_err(io::Error::other),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

fn staging_path(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}", std::process::id()));
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("logs/marker-file.txt");
        assert_eq!(read(&path).unwrap(), None);
        for code in [0, -1, 1130] {
            write(&path, code).unwrap();
            assert_eq!(read(&path).unwrap(), Some(code));
        }
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o777
        );
    }

    #[test]
    fn a_marker_that_is_no_number_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("marker");
        fs::write(&path, "soon").unwrap();
        assert!(read(&path).is_err());
    }
}
