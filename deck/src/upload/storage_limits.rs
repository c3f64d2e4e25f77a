//! How much of a run's space each kind of object may fill, so that artifacts leave space for the
//! log, and the log for the result.

use common::storage::live;

/// The kind of a run's object, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoredObjectKind {
    /// What the test left, below `artifacts/`.
    Artifact,
    /// A file of the run itself that may be long.
    Log,
    /// A piece of a log, while its job runs.
    Piece,
    /// `finished.json` and the other files that say how the run went.
    Result,
    /// An alias or `latest-build.txt`: one line.
    Pointer,
}

impl StoredObjectKind {
    /// `dir` is the folder of the run that `key` belongs to, empty if it lies in none.
    pub(super) fn from_key(key: &str, dir: &str) -> Self {
        let Some(name) = key.strip_prefix(dir).filter(|_| !dir.is_empty()) else {
            return Self::Pointer;
        };
        let is_artifact = name
            .rsplit_once('/')
            .is_some_and(|(folders, _)| folders.split('/').any(|folder| folder == "artifacts"));
        if live::is_piece(name.trim_start_matches('/')) {
            Self::Piece
        } else if is_artifact {
            Self::Artifact
        } else if name.ends_with(".json") {
            Self::Result
        } else {
            Self::Log
        }
    }

    /// The name in the text of a refusal.
    pub(super) fn plural_name(self) -> &'static str {
        match self {
            Self::Artifact => "artifacts",
            Self::Log => "logs and artifacts",
            Self::Piece => "pieces of live logs",
            Self::Result | Self::Pointer => "files",
        }
    }
}

/// Maximum bytes that are reserved for results.
const MAX_RESULTS: u64 = 16 << 20;
/// Maximum bytes of an alias or of `latest-build.txt`.
pub(super) const MAX_POINTER: usize = 64 << 10;

/// Maximum sizes, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct StorageLimits {
    pub(super) object: u64,
    pub(super) run: u64,
}

impl StorageLimits {
    /// Maximum size of a run after an object of this kind was stored.
    pub(super) fn max_run_size(self, kind: StoredObjectKind) -> u64 {
        let results = MAX_RESULTS.min(self.run / 64);
        let logs = self.object.min(self.run / 4);
        match kind {
            StoredObjectKind::Artifact => self.run - results - logs,
            StoredObjectKind::Log => self.run - results,
            // Pieces are deleted once the log is stored, and leave space for it until then.
            StoredObjectKind::Piece => logs,
            StoredObjectKind::Result | StoredObjectKind::Pointer => self.run,
        }
    }

    pub(super) fn max_object_size(self, kind: StoredObjectKind) -> u64 {
        match kind {
            StoredObjectKind::Pointer => self.object.min(MAX_POINTER as u64),
            _ => self.object,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_by_their_names() {
        let dir = "logs/j/1";
        for (key, dir, expected) in [
            ("logs/j/1/artifacts/a.json", dir, StoredObjectKind::Artifact),
            (
                "logs/j/1/sub/artifacts/d/a",
                dir,
                StoredObjectKind::Artifact,
            ),
            ("logs/j/1/build-log.txt", dir, StoredObjectKind::Log),
            (
                "logs/j/1/build-log.live/00000001.txt",
                dir,
                StoredObjectKind::Piece,
            ),
            (
                "logs/j/1/artifacts/build-log.live/00000001.txt",
                dir,
                StoredObjectKind::Artifact,
            ),
            ("logs/j/1/artifacts", dir, StoredObjectKind::Log),
            ("logs/j/1/finished.json", dir, StoredObjectKind::Result),
            ("logs/j/latest-build.txt", "", StoredObjectKind::Pointer),
        ] {
            assert_eq!(StoredObjectKind::from_key(key, dir), expected, "{key}");
        }
    }

    #[test]
    fn each_kind_leaves_room_for_the_next() {
        let limits = StorageLimits {
            object: 1 << 30,
            run: 10 << 30,
        };
        assert_eq!(
            limits.max_run_size(StoredObjectKind::Artifact),
            (9 << 30) - (16 << 20)
        );
        assert_eq!(
            limits.max_run_size(StoredObjectKind::Log),
            (10 << 30) - (16 << 20)
        );
        assert_eq!(limits.max_run_size(StoredObjectKind::Result), 10 << 30);
        for run in [0, 1, 63, 1000, u64::MAX] {
            let limits = StorageLimits {
                object: u64::MAX,
                run,
            };
            assert!(
                limits.max_run_size(StoredObjectKind::Artifact)
                    <= limits.max_run_size(StoredObjectKind::Log)
            );
        }
    }
}
