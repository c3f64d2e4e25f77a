//! `--copy-mode-only`: copies this binary to where the test container runs it.

use std::fs;
use std::io;
use std::path::Path;

/// Copies the running binary, with its mode. Readers see all of it or nothing.
pub(crate) fn copy_binary(destination: &str) -> io::Result<()> {
    let destination = Path::new(destination);
    let name = destination
        .file_name()
        .ok_or_else(|| io::Error::other("not a file name"))?;
    if let Some(dir) = destination.parent() {
        fs::create_dir_all(dir)?;
    }
    let staging = destination.with_file_name(format!(
        ".{}.{}",
        name.to_string_lossy(),
        std::process::id()
    ));
    // Not `current_exe`: its path may not be reachable; the link in /proc always is.
    fs::copy("/proc/self/exe", &staging).and_then(|_| fs::rename(&staging, destination))
}
