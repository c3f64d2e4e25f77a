//! Chooses which mirrors are removed when they take too much disk: those unused for longest.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// The file in a mirror whose modification time is the last use. It survives a restart.
const LAST_USED_FILE: &str = "prow-last-used";

/// A mirror on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MirrorOnDisk {
    path: PathBuf,
    used: SystemTime,
    bytes: u64,
}

/// Records that a mirror is used now. Without it, the mirror is removed a little earlier.
pub(super) fn mark_used(mirror: &Path) {
    let _ = fs::write(mirror.join(LAST_USED_FILE), "");
}

/// The mirrors below `dir`: `org/repo.git`.
pub(super) fn find_mirrors(dir: &Path) -> Vec<MirrorOnDisk> {
    let repos = list_folders(dir)
        .into_iter()
        .flat_map(|org| list_folders(&org));
    repos
        .filter(|path| path.extension().is_some_and(|it| it == "git"))
        .map(|path| MirrorOnDisk {
            used: fs::metadata(path.join(LAST_USED_FILE))
                .and_then(|metadata| metadata.modified())
                .unwrap_or(SystemTime::UNIX_EPOCH),
            bytes: disk_usage(&path),
            path,
        })
        .collect()
}

fn list_folders(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

/// The bytes that a folder takes on the disk. Links are not followed.
fn disk_usage(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| Some((entry.path(), entry.metadata().ok()?)))
        .map(|(path, metadata)| match metadata.is_dir() {
            true => disk_usage(&path),
            false => metadata.blocks() * 512,
        })
        .sum()
}

/// The mirrors to remove so that at most `limit` bytes are left. The newest stays, however large.
pub(super) fn choose_least_recent(mut found: Vec<MirrorOnDisk>, limit: u64) -> Vec<PathBuf> {
    found.sort_by_key(|mirror| mirror.used);
    let mut total: u64 = found.iter().map(|mirror| mirror.bytes).sum();
    found.pop();
    let mut gone = Vec::new();
    for mirror in found {
        if total <= limit {
            break;
        }
        total -= mirror.bytes;
        gone.push(mirror.path);
    }
    gone
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_oldest_go_until_the_rest_fits() {
        let mirror = |name: &str, age: u64, bytes| MirrorOnDisk {
            path: name.into(),
            used: SystemTime::UNIX_EPOCH + Duration::from_secs(1000 - age),
            bytes,
        };
        let all = || {
            vec![
                mirror("new", 1, 50),
                mirror("old", 9, 10),
                mirror("older", 20, 10),
            ]
        };
        for (limit, gone) in [
            (70, &[][..]),
            (69, &["older"]),
            (50, &["older", "old"]),
            (1, &["older", "old"]),
        ] {
            let found = choose_least_recent(all(), limit);
            assert_eq!(found, gone.iter().map(PathBuf::from).collect::<Vec<_>>());
        }
    }

    #[test]
    fn mirrors_are_found_with_their_size_and_last_use() {
        let dir = tempfile::tempdir().unwrap();
        let mirror = dir.path().join("org/repo.git");
        fs::create_dir_all(mirror.join("objects")).unwrap();
        fs::write(mirror.join("objects/pack"), vec![1; 100_000]).unwrap();
        let found = find_mirrors(dir.path());
        assert_eq!(found[0].path, mirror);
        assert_eq!(found[0].used, SystemTime::UNIX_EPOCH);
        assert!(found[0].bytes >= 100_000, "{found:?}");
        mark_used(&mirror);
        assert!(find_mirrors(dir.path())[0].used > SystemTime::UNIX_EPOCH);
    }
}
