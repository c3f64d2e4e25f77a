//! Removes lock files that a killed git left: it cannot remove them, and the next git would refuse
//! to work.

use std::{fs, path::Path};

/// Removes git's lock files from a mirror that nobody uses.
pub(super) fn remove_lock_files(mirror: &Path) {
    for entry in fs::read_dir(mirror).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder && entry.file_name() != "objects" {
            remove_lock_files(&path);
        } else if !is_folder && path.extension().is_some_and(|it| it == "lock") {
            // It may be gone already.
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_go_and_everything_else_stays() {
        let mirror = tempfile::tempdir().unwrap();
        for folder in ["refs/prow/pull", "objects/pack"] {
            fs::create_dir_all(mirror.path().join(folder)).unwrap();
        }
        let stay = ["HEAD", "config", "refs/prow/base", "objects/pack/a.lock"];
        let go = ["shallow.lock", "config.lock", "refs/prow/pull/7.lock"];
        for file in stay.iter().chain(&go) {
            fs::write(mirror.path().join(file), "").unwrap();
        }
        remove_lock_files(mirror.path());
        for file in stay {
            assert!(mirror.path().join(file).exists(), "{file}");
        }
        for file in go {
            assert!(!mirror.path().join(file).exists(), "{file}");
        }
    }
}
