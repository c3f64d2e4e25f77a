use futures::StreamExt;
use proptest::prelude::*;
use tempfile::TempDir;

use crate::storage::{ObjectInfo, ObjectStorage, StorageCredentials};

use super::*;

fn folder() -> (TempDir, ObjectStorage) {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("file://{}", dir.path().join("new/folder").display());
    let storage = ObjectStorage::open_bucket(&url, &StorageCredentials::default()).unwrap();
    (dir, storage)
}

async fn text(object: BucketObject) -> String {
    String::from_utf8(object.read_bytes(1 << 20).await.unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn what_is_put_comes_back_with_its_attributes() {
    let (_dir, storage) = folder();
    let attributes = ObjectAttributes {
        content_type: Some("text/plain".into()),
        content_encoding: Some("gzip".into()),
        cache_control: None,
        metadata: BTreeMap::from([("link".into(), "gs://b/x".into())]),
    };
    storage
        .put_object("logs/j/1/x", "body", &attributes)
        .await
        .unwrap();
    let object = storage.get_object("logs/j/1/x").await.unwrap();
    assert_eq!((object.size, &object.attributes), (4, &attributes));
    assert!(object.modified.is_some());
    assert_eq!(text(object).await, "body");

    storage
        .put_object("logs/j/1/x", "again", &ObjectAttributes::default())
        .await
        .unwrap();
    let object = storage.get_object("logs/j/1/x").await.unwrap();
    assert_eq!(object.attributes, ObjectAttributes::default());
    assert_eq!(text(object).await, "again");
}

#[tokio::test]
async fn what_is_deleted_is_gone_with_its_attributes_and_its_folder() {
    let (dir, storage) = folder();
    let attributes = ObjectAttributes::of_type("a/b");
    for key in ["run/x", "run/live/1", "run/live/2", "k"] {
        storage.put_object(key, "body", &attributes).await.unwrap();
    }
    storage.delete_object("run/live/1").await.unwrap();
    storage.delete_object("run/live/1").await.unwrap();
    assert!(storage.get_object("run/live/2").await.is_ok());
    storage.delete_object("run/live/2").await.unwrap();
    storage.delete_object("k").await.unwrap();
    let listing = storage.list_objects("", false).await.unwrap();
    assert_eq!(listing.objects.len(), 1);
    for gone in ["run/live", ".attributes/run/live"] {
        assert!(!dir.path().join("new/folder").join(gone).exists(), "{gone}");
    }
    storage
        .put_object("k", "again", &ObjectAttributes::default())
        .await
        .unwrap();
    let again = storage.get_object("k").await.unwrap();
    assert_eq!(again.attributes, ObjectAttributes::default());
}

#[tokio::test]
async fn a_name_tells_its_type_without_a_file() {
    let (dir, storage) = folder();
    storage
        .put_object(
            "a.txt",
            "",
            &ObjectAttributes::of_type("text/plain; charset=utf-8"),
        )
        .await
        .unwrap();
    assert_eq!(
        storage
            .head_object("a.txt")
            .await
            .unwrap()
            .attributes
            .content_type
            .unwrap(),
        "text/plain; charset=utf-8"
    );
    assert!(!dir.path().join("new/folder/.attributes").exists());
}

#[tokio::test]
async fn parts_are_read_and_ends_are_no_error() {
    let (_dir, storage) = folder();
    storage
        .put_object("k", "0123456789", &ObjectAttributes::default())
        .await
        .unwrap();
    for (object, range, expected) in [
        (storage.get_range("k", 2..4).await, 2..4, "23"),
        (storage.get_range("k", 8..99).await, 8..10, "89"),
        (storage.get_range("k", 50..99).await, 10..10, ""),
        (storage.get_tail("k", 3).await, 7..10, "789"),
        (storage.get_tail("k", 30).await, 0..10, "0123456789"),
        (storage.head_object("k").await, 0..0, ""),
    ] {
        let object = object.unwrap();
        assert_eq!((object.size, object.range.clone()), (10, range));
        assert_eq!(text(object).await, expected);
    }
    assert!(matches!(
        storage.get_tail("none", 1).await,
        Err(StorageError::NotFound(_))
    ));
    assert!(
        storage
            .get_object("k")
            .await
            .unwrap()
            .read_bytes(9)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_large_stream_arrives_whole_and_a_broken_one_not_at_all() {
    let (_dir, storage) = folder();
    let chunk = Bytes::from(vec![b'x'; 1 << 20]);
    let chunks: Vec<std::io::Result<Bytes>> = (0..20).map(|_| Ok(chunk.clone())).collect();
    storage
        .put_object(
            "big",
            ObjectBody::from_stream(futures::stream::iter(chunks)),
            &ObjectAttributes::default(),
        )
        .await
        .unwrap();
    assert_eq!(storage.head_object("big").await.unwrap().size, 20 << 20);

    for good in [1, 20] {
        let chunks: Vec<std::io::Result<Bytes>> = (0..good)
            .map(|_| Ok(chunk.clone()))
            .chain([Err(std::io::Error::other("torn"))])
            .collect();
        let body = ObjectBody::from_stream(futures::stream::iter(chunks));
        assert!(
            storage
                .put_object("torn", body, &ObjectAttributes::default())
                .await
                .is_err()
        );
        assert!(matches!(
            storage.get_object("torn").await,
            Err(StorageError::NotFound(_))
        ));
    }
    storage
        .put_object(
            "empty",
            ObjectBody::from_stream(futures::stream::empty().boxed()),
            &ObjectAttributes::default(),
        )
        .await
        .unwrap();
    assert_eq!(storage.head_object("empty").await.unwrap().size, 0);
}

#[tokio::test]
async fn the_first_of_two_stays() {
    let (_dir, storage) = folder();
    assert!(
        storage
            .put_if_absent("k", "one", &ObjectAttributes::default())
            .await
            .unwrap()
    );
    assert!(
        !storage
            .put_if_absent("k", "two", &ObjectAttributes::default())
            .await
            .unwrap()
    );
    assert_eq!(text(storage.get_object("k").await.unwrap()).await, "one");
}

#[tokio::test]
async fn lists_folders_without_its_own_files() {
    let (_dir, storage) = folder();
    let attributes = ObjectAttributes::of_type("x/y");
    for key in ["logs/j/1/a", "logs/j/2/a", "logs/j/latest", "top"] {
        storage.put_object(key, "z", &attributes).await.unwrap();
    }
    let keys = |objects: &[ObjectInfo]| objects.iter().map(|o| o.key.clone()).collect::<Vec<_>>();
    let listing = storage.list_objects("logs/j/", true).await.unwrap();
    assert_eq!(listing.prefixes, ["logs/j/1", "logs/j/2"]);
    assert_eq!(keys(&listing.objects), ["logs/j/latest"]);
    let listing = storage.list_objects("", true).await.unwrap();
    assert_eq!(
        (listing.prefixes, keys(&listing.objects)),
        (vec!["logs".to_owned()], vec!["top".to_owned()])
    );
    assert_eq!(
        storage.list_objects("", false).await.unwrap().objects.len(),
        4
    );
    assert_eq!(
        storage.list_objects("nothing/here", true).await.unwrap(),
        ObjectListing::default()
    );
}

#[tokio::test]
async fn reading_makes_no_folder() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("file://{}/new/folder", dir.path().display());
    let storage = ObjectStorage::open_bucket(&url, &StorageCredentials::default()).unwrap();
    let missing =
        |got: Result<BucketObject, StorageError>| matches!(got, Err(StorageError::NotFound(_)));
    assert!(missing(storage.get_object("a").await) && missing(storage.head_object("a").await));
    assert_eq!(
        storage.list_objects("", false).await.unwrap(),
        ObjectListing::default()
    );
    drop(storage);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    let storage = ObjectStorage::open_bucket(&url, &StorageCredentials::default()).unwrap();
    storage
        .put_object("a", "x", &ObjectAttributes::default())
        .await
        .unwrap();
    assert_eq!(text(storage.get_object("a").await.unwrap()).await, "x");
}

#[tokio::test]
async fn nothing_leads_out_of_the_folder() {
    let (dir, storage) = folder();
    std::fs::write(dir.path().join("secret"), "s").unwrap();
    for key in [
        "../../secret",
        "/etc/passwd",
        "a/../../../secret",
        ".attributes/x",
    ] {
        assert!(
            matches!(
                storage.get_object(key).await,
                Err(StorageError::InvalidKey(..))
            ),
            "{key}"
        );
        assert!(
            storage
                .put_object(key, "x", &ObjectAttributes::default())
                .await
                .is_err(),
            "{key}"
        );
    }
    assert!(matches!(
        storage.get_object("%2e%2e/%2e%2e/secret").await,
        Err(StorageError::NotFound(_))
    ));
}

/// What a reader sees: the bytes, and their attributes.
async fn seen(storage: &ObjectStorage) -> Option<(String, Option<String>)> {
    match storage.get_object("k").await {
        Ok(object) => {
            let attributes = object.attributes.content_type.clone();
            Some((text(object).await, attributes))
        }
        Err(StorageError::NotFound(_)) => None,
        Err(e) => panic!("{e}"),
    }
}

/// An object whose bytes say what its attributes should be; all have the same length.
fn version(n: u32) -> (String, ObjectAttributes) {
    let name = format!("type/{n:03}");
    // Every second one has the attributes that its name implies.
    let attributes = if n.is_multiple_of(2) {
        ObjectAttributes::of_type(&name)
    } else {
        ObjectAttributes::default()
    };
    (name, attributes)
}

fn is_whole((bytes, attributes): &(String, Option<String>)) -> bool {
    let n: u32 = bytes.trim_start_matches("type/").parse().unwrap();
    *attributes == version(n).1.content_type
}

/// Runs a future until it has been woken `steps` times, then drops it, as a kill would.
async fn killed_after<T>(steps: usize, work: impl Future<Output = T>) -> Option<T> {
    let mut work = std::pin::pin!(work);
    let mut step = 0;
    std::future::poll_fn(|cx| {
        if step == steps {
            return std::task::Poll::Ready(None);
        }
        step += 1;
        work.as_mut().poll(cx).map(Some)
    })
    .await
}

#[tokio::test]
async fn wherever_a_write_is_killed_the_object_is_the_old_or_the_new() {
    for first in [None, Some(2), Some(3)] {
        for next in [4, 5] {
            let mut steps = 0;
            loop {
                let (_dir, storage) = folder();
                if let Some(first) = first {
                    let (bytes, attributes) = version(first);
                    storage.put_object("k", bytes, &attributes).await.unwrap();
                }
                let (bytes, attributes) = version(next);
                let body = ObjectBody::from_stream(futures::stream::iter([
                    Ok(Bytes::from(bytes[..4].to_owned())),
                    Ok(Bytes::from(bytes[4..].to_owned())),
                ]));
                let done = killed_after(steps, storage.put_object("k", body, &attributes)).await;
                // As after a restart: only the content of the disk is known.
                let url = storage.bucket().url().to_owned();
                let again =
                    ObjectStorage::open_bucket(&url, &StorageCredentials::default()).unwrap();
                let what = format!("{first:?} to {next}, {steps} steps");
                match seen(&again).await {
                    None => assert!(first.is_none() && done.is_none(), "{what}"),
                    Some(object) => {
                        assert!(is_whole(&object), "{what}: {object:?}");
                        assert!(done.is_none() || object.0 == bytes, "{what}: {object:?}");
                    }
                }
                // It can be written again.
                let (bytes, attributes) = version(6);
                again.put_object("k", bytes, &attributes).await.unwrap();
                assert!(is_whole(&seen(&again).await.unwrap()), "{what}");
                assert_eq!(
                    again.list_objects("", false).await.unwrap().objects.len(),
                    1
                );
                if done.is_some() {
                    break;
                }
                steps += 1;
            }
            assert!(steps >= 3, "there are steps to be killed at: {steps}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_and_writers_at_once_see_whole_objects() {
    let (_dir, storage) = folder();
    let (bytes, attributes) = version(0);
    storage.put_object("k", bytes, &attributes).await.unwrap();
    let writers: Vec<_> = (0..3)
        .map(|writer| {
            let storage = storage.clone();
            tokio::spawn(async move {
                for n in 0..40 {
                    let (bytes, attributes) = version(writer * 300 + n);
                    storage.put_object("k", bytes, &attributes).await.unwrap();
                }
            })
        })
        .collect();
    while writers.iter().any(|writer| !writer.is_finished()) {
        let object = seen(&storage).await.unwrap();
        assert!(is_whole(&object), "{object:?}");
        let end = storage.get_tail("k", 3).await.unwrap();
        assert_eq!(end.range, 5..8);
        text(end).await;
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert!(is_whole(&seen(&storage).await.unwrap()));
}

#[tokio::test]
async fn what_can_never_be_stored_is_no_reason_to_try_again() {
    let (_dir, storage) = folder();
    let plain = ObjectAttributes::default();
    storage.put_object("a/b", "x", &plain).await.unwrap();
    storage.put_object("c", "x", &plain).await.unwrap();
    let too_long = "x".repeat(300);
    for key in ["a", "c/d", "e/f:", "g|", &too_long] {
        let error = storage.put_object(key, "x", &plain).await.unwrap_err();
        assert!(
            matches!(error, StorageError::InvalidKey(..)),
            "{key}: {error}"
        );
    }
    let longest = "x".repeat(255);
    storage.put_object(&longest, "x", &plain).await.unwrap();
    let names = |dir: &std::path::Path| {
        let entries = std::fs::read_dir(dir).unwrap();
        entries.count()
    };
    let staging = std::path::Path::new(storage.bucket().path()).join(STAGING_FOLDER);
    assert_eq!(names(&staging), 0, "nothing half is left behind");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any key is refused, or is listed as itself and stays in the folder.
    #[test]
    fn a_key_is_one_file_in_the_folder(key in "[a.%#/0 \u{e4}\\\\:?]{1,12}|\\PC{1,20}") {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (dir, storage) = folder();
        let listed = runtime.block_on(async {
            if storage.put_object(&key, "x", &ObjectAttributes::of_type("a/b")).await.is_err() {
                return Vec::new();
            }
            let object = storage.get_object(&key).await.unwrap();
            assert_eq!(object.attributes, ObjectAttributes::of_type("a/b"));
            storage.list_objects("", false).await.unwrap().objects
        });
        if let [object] = listed.as_slice() {
            prop_assert_eq!(&object.key, &key);
        } else {
            let is_refused = crate::storage::validate_key(&key).is_err()
                || key.contains('#')
                || super::is_like_a_drive(&key);
            prop_assert!(listed.is_empty() && is_refused, "{:?}", listed);
        }
        let outside: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
        prop_assert!(outside.len() <= 1, "only the bucket is there");
    }
}
