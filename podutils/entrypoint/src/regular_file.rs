//! Opens files at paths where the job may have put anything.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::OFlag;

/// Opens a regular file. Refuses a link, and a pipe, which would block its opener.
///
/// # Errors
///
/// Those of [`OpenOptions::open`], and one for anything but a regular file.
pub fn open_regular(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = options.custom_flags(flags.bits()).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("it is no regular file")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use nix::{sys::stat::Mode, unistd::mkfifo};

    use super::*;

    #[test]
    fn only_a_regular_file_is_opened() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("file"), "mine").unwrap();
        std::os::unix::fs::symlink(path("file"), path("link")).unwrap();
        mkfifo(&path("pipe"), Mode::S_IRWXU).unwrap();
        for (name, opens) in [
            ("file", true),
            ("link", false),
            ("pipe", false),
            (".", false),
        ] {
            for options in [
                OpenOptions::new().read(true),
                OpenOptions::new().append(true),
            ] {
                let opened = open_regular(&path(name), options);
                assert_eq!(opened.is_ok(), opens, "{name}");
            }
        }
        assert_eq!(fs::read_to_string(path("file")).unwrap(), "mine");
    }
}
