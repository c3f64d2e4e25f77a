//! Files and folders that only their owner may read, whatever the umask is. Existing ones with
//! wider permissions are restricted.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Write as _},
    os::unix::fs::{
        DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
    },
    path::Path,
};

/// Modes of a folder and of a file: all permissions for the owner, none for others.
const DIR_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// Set on a folder such as `/tmp`, in which everybody may create files.
const STICKY_BIT: u32 = 0o1000;

/// Creates a folder for data, and its parents, and removes other users' permissions for it.
///
/// A folder that all users share is refused: it is no data folder.
pub fn ensure_private_dir(path: &Path) -> io::Result<()> {
    create_private_dir(path)?;
    let metadata = fs::metadata(path)?;
    if metadata.mode() & STICKY_BIT != 0 {
        let message = "all users make files there; name a folder within it";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    set_owner_mode(path, DIR_MODE)
}

/// Creates a folder, and its parents, for their owner only; an existing one stays as it is.
pub fn create_private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(DIR_MODE)
        .create(path)
}

/// Opens a file for reading and writing, creates it if it does not exist, and removes other users'
/// permissions for it.
pub fn open_private_file(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .open(path)?;
    set_owner_mode(path, FILE_MODE)?;
    Ok(file)
}

/// Writes a file that contains a secret.
pub fn write_private_file(path: &Path, content: impl AsRef<[u8]>) -> io::Result<()> {
    let mut file = open_private_file(path)?;
    file.set_len(0)?;
    file.write_all(content.as_ref())
}

/// Removes other users' permissions for a file, if it exists.
pub fn restrict_file_mode(path: &Path) -> io::Result<()> {
    match set_owner_mode(path, FILE_MODE) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Sets the mode if it differs. What belongs to another user (a volume in a pod) stays as it is:
/// its mode is not ours to set.
fn set_owner_mode(path: &Path, mode: u32) -> io::Result<()> {
    let metadata = fs::metadata(path)?;
    let is_ours = metadata.uid() == nix::unistd::geteuid().as_raw();
    if is_ours && metadata.mode() & 0o7777 != mode {
        fs::set_permissions(path, Permissions::from_mode(mode))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn nobody_else_may_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let made = dir.path().join("a/b");
        ensure_private_dir(&made).unwrap();
        assert_eq!(
            (mode(&made), mode(made.parent().unwrap())),
            (DIR_MODE, DIR_MODE)
        );
        write_private_file(&made.join("new"), "1").unwrap();
        assert_eq!(mode(&made.join("new")), FILE_MODE);

        let old = made.join("old");
        fs::write(&old, "long ago").unwrap();
        fs::set_permissions(&old, Permissions::from_mode(0o644)).unwrap();
        fs::set_permissions(&made, Permissions::from_mode(0o2775)).unwrap();
        ensure_private_dir(&made).unwrap();
        write_private_file(&old, "new").unwrap();
        assert_eq!((mode(&made), mode(&old)), (DIR_MODE, FILE_MODE));
        assert_eq!(fs::read_to_string(&old).unwrap(), "new");

        fs::set_permissions(&old, Permissions::from_mode(0o666)).unwrap();
        restrict_file_mode(&old).unwrap();
        assert_eq!(mode(&old), FILE_MODE);
        restrict_file_mode(&made.join("none")).unwrap();
    }

    #[test]
    fn what_all_share_is_no_data_folder() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o1777)).unwrap();
        let refusal = ensure_private_dir(dir.path()).unwrap_err();
        assert!(
            refusal.to_string().contains("a folder within it"),
            "{refusal}"
        );
        assert_eq!(mode(dir.path()), 0o1777);
    }

    #[test]
    fn a_folder_that_is_there_may_stay_open() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        create_private_dir(dir.path()).unwrap();
        assert_eq!(mode(dir.path()), 0o755);
    }
}
