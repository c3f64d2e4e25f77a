use std::io::Write;
use std::path::Path;

use common::storage::{ObjectAttributes, ObjectStorage, StorageCredentials, live, paths};
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;

use super::*;
use crate::buckets::StorageLocation;

const KEY: &str = "logs/unit/1";

/// A run's folder on disk.
struct Folder {
    dir: tempfile::TempDir,
    storage: ObjectStorage,
}

impl Folder {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("file://{}", dir.path().display());
        let storage = ObjectStorage::open_bucket(&url, &StorageCredentials::default()).unwrap();
        Self { dir, storage }
    }

    fn log(&self) -> StoredLog {
        let place = StorageLocation {
            storage: self.storage.clone(),
            key: KEY.into(),
            bucket: "storage".into(),
        };
        StoredLog::new(&place, paths::TEST_CONTAINER, 1)
    }

    async fn put(&self, name: &str, bytes: Vec<u8>, packed: bool) {
        let (bytes, encoding) = if packed {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(&bytes).unwrap();
            (encoder.finish().unwrap(), Some("gzip".to_owned()))
        } else {
            (bytes, None)
        };
        let attributes = ObjectAttributes {
            content_encoding: encoding,
            ..ObjectAttributes::default()
        };
        let key = format!("{KEY}/{name}");
        self.storage
            .put_object(&key, bytes, &attributes)
            .await
            .unwrap();
    }

    fn remove(&self, name: &str) {
        let path: &Path = self.dir.path();
        std::fs::remove_file(path.join(KEY).join(name)).unwrap();
    }
}

/// Reads all that is there now.
async fn read(pieces: &mut LogPieces, into: &mut Vec<u8>) {
    while let Some(chunk) = pieces.next_chunk().await.unwrap() {
        into.extend_from_slice(&chunk);
    }
}

#[tokio::test]
async fn of_nothing_there_is_no_log() {
    let folder = Folder::new();
    let mut pieces = LogPieces::new(folder.log());
    assert!(pieces.next_chunk().await.unwrap().is_none() && !pieces.ended());
    assert!(matches!(pieces.into_stream().await, Err(LogError::Absent)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// However the log is split, whenever it is stored, whatever is removed by then: a reader gets
    /// it byte for byte.
    #[test]
    fn nothing_comes_twice_and_nothing_is_lost(
        cuts in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 1..200)), 0..8),
        rest in prop::collection::vec(any::<u8>(), 0..200),
        removed in 0usize..9,
        packed: bool,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = Folder::new();
            let mut pieces = LogPieces::new(folder.log());
            let (mut all, mut got) = (Vec::new(), Vec::new());
            for ((looks, piece), number) in cuts.iter().zip(1..) {
                all.extend_from_slice(piece);
                let name = live::piece_name(paths::BUILD_LOG, number);
                folder.put(&name, piece.clone(), false).await;
                if *looks {
                    read(&mut pieces, &mut got).await;
                    assert_eq!(got, all);
                }
            }
            all.extend_from_slice(&rest);
            folder.put(paths::BUILD_LOG, all.clone(), packed).await;
            for number in (1..=cuts.len() as u64).take(removed) {
                folder.remove(&live::piece_name(paths::BUILD_LOG, number));
            }
            read(&mut pieces, &mut got).await;
            assert!(pieces.ended());
            assert_eq!(got, all);
        });
    }
}
