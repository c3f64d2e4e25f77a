use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use common::storage::StorageCredentials;

use super::*;

const SHORT: RetryLimits = RetryLimits {
    own: Duration::from_millis(300),
    artifact: Duration::from_millis(100),
    lost: Duration::from_millis(300),
    first_wait: Duration::from_millis(5),
    longest_wait: Duration::from_millis(20),
};

fn bucket() -> (tempfile::TempDir, Uploader) {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("file://{}", dir.path().join("bucket").display());
    let storage = ObjectStorage::open_bucket(&url, &StorageCredentials::default()).unwrap();
    (
        dir,
        Uploader {
            patience: Arc::new(RetryBudget::new(SHORT)),
            ..Uploader::new(storage, false)
        },
    )
}

async fn read(uploader: &Uploader, key: &str) -> Vec<u8> {
    uploader
        .storage
        .get_object(key)
        .await
        .unwrap()
        .read_bytes(10 << 20)
        .await
        .unwrap()
        .to_vec()
}

#[tokio::test]
async fn an_old_run_that_ends_late_does_not_rewind_the_latest_build() {
    let (_dir, uploader) = bucket();
    let key = "logs/j/latest-build.txt";
    let now = jiff::Timestamp::from_second(1_795_953_600).unwrap();
    for (build_id, expected) in [("5", "5"), ("12", "12"), ("9", "12")] {
        let failures = uploader.upload_latest_build(key, build_id, now);
        assert_eq!(failures.await.total_count(), 0);
        assert_eq!(read(&uploader, key).await, expected.as_bytes());
    }
    // A recorded text that is no build id does not keep out later builds.
    for frozen in ["9".repeat(19), "9".repeat(300)] {
        let plain = ObjectAttributes::default();
        uploader
            .storage
            .put_object(key, frozen, &plain)
            .await
            .unwrap();
        let failures = uploader.upload_latest_build(key, "2127000000000000000", now);
        assert_eq!(failures.await.total_count(), 0);
        assert_eq!(read(&uploader, key).await, b"2127000000000000000");
    }
}

#[tokio::test]
async fn one_bad_upload_does_not_stop_the_others() {
    let (dir, uploader) = bucket();
    let file = |name: &str| UploadSource::Log(dir.path().join(name));
    std::fs::write(dir.path().join("good"), "content").unwrap();
    let upload = |key: &str, source| ObjectUpload {
        key: key.into(),
        source,
        attributes: ObjectAttributes::default(),
    };
    let failures = uploader
        .upload_objects(vec![
            upload("a/good", file("good")),
            upload("a/gone", file("gone")),
            upload("../b", file("good")),
        ])
        .await;
    let mut keys: Vec<_> = failures.iter().map(|f| f.key.as_str()).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["../b", "a/gone"]);
    assert_eq!(read(&uploader, "a/good").await, b"content");
}

#[tokio::test]
async fn a_dry_run_uploads_nothing() {
    let (_dir, uploader) = bucket();
    let uploader = Uploader {
        dry_run: true,
        ..uploader
    };
    let failures = uploader.upload_objects(vec![ObjectUpload::from_text("k".into(), "v")]);
    assert_eq!(failures.await.total_count(), 0);
    assert!(uploader.storage.get_object("k").await.is_err());
}

#[tokio::test]
async fn a_walk_is_never_far_ahead_of_the_uploads() {
    let made = Arc::new(AtomicUsize::new(0));
    let counting = made.clone();
    let items = (0..5_000).inspect(move |_| {
        counting.fetch_add(1, Relaxed);
    });
    let mut stream = std::pin::pin!(read_ahead(items));
    let mut read = 0;
    while stream.next().await.is_some() {
        read += 1;
        let ahead = made.load(Relaxed) - read;
        // One more item waits for room in the channel.
        assert!(ahead <= AHEAD + 1, "{ahead}");
    }
    assert_eq!(read, 5_000);
}

#[tokio::test]
async fn a_file_that_grows_is_read_to_where_it_was() {
    let (dir, uploader) = bucket();
    let path = dir.path().join("log");
    let file = std::fs::File::create(&path).unwrap();
    file.set_len(16 << 20).unwrap();
    let upload = ObjectUpload {
        key: "log".into(),
        source: UploadSource::Log(path),
        attributes: ObjectAttributes::default(),
    };
    let opened = source::open_upload(&upload, &uploader).await.unwrap();
    // The file is open, and only its first chunks are read.
    file.set_len(32 << 20).unwrap();
    let put = uploader
        .storage
        .put_object("log", opened.body, &upload.attributes);
    put.await.unwrap();
    assert_eq!(
        uploader.storage.head_object("log").await.unwrap().size,
        16 << 20
    );
}

fn file(path: std::path::PathBuf, key: &str) -> ObjectUpload {
    ObjectUpload {
        key: key.to_owned(),
        source: UploadSource::File {
            below: path.clone(),
            path,
            censor: true,
            compress: false,
        },
        attributes: ObjectAttributes::default(),
    }
}

#[tokio::test]
async fn a_storage_that_is_away_is_told_with_its_cause_and_not_waited_for_by_each_file() {
    let storage =
        ObjectStorage::open_bucket("http://127.0.0.1:1/storage", &StorageCredentials::default())
            .unwrap();
    let uploader = Uploader {
        patience: Arc::new(RetryBudget::new(SHORT)),
        ..Uploader::new(storage, false)
    };
    let artifacts = (0..2_000).map(|n| Ok(ObjectUpload::from_text(format!("a/{n}"), "x")));
    let begin = Instant::now();
    let failures = uploader.upload_artifacts(artifacts).await;
    assert_eq!(failures.total_count(), 2_000);
    assert!(
        begin.elapsed() < Duration::from_mins(1),
        "one patience each would take more than three"
    );
    let reasons: Vec<&str> = failures.iter().map(|f| f.reason.as_str()).collect();
    let tried: Vec<_> = reasons.iter().filter(|r| r.contains("; tried ")).collect();
    assert_eq!(tried.len(), CONCURRENCY, "{reasons:?}");
    assert!(tried[0].contains("Connection refused"), "{tried:?}");
    assert!(reasons[50].contains("was not tried"), "{reasons:?}");
    let own = uploader.upload_objects(vec![ObjectUpload::from_text("finished.json".into(), "{}")]);
    let own = own.await;
    let reason = &own.iter().next().unwrap().reason;
    assert!(reason.contains("; tried "), "tried all the same: {reason}");
}

#[tokio::test]
async fn archives_that_do_not_fit_together_go_one_after_the_other() {
    let (dir, uploader) = bucket();
    let censor = Censor::new(["hunter22"]).unwrap();
    let uploader = Uploader {
        censor,
        archives: ArchiveSlots::new(TempSpace::new(dir.path(), 3 << 20), 4),
        ..uploader
    };
    let content = [vec![b'x'; 1 << 20], b"hunter22".to_vec()].concat();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, &content).unwrap();
    let packed = packed.finish().unwrap();
    let uploads: Vec<_> = (0..8)
        .map(|n| {
            let path = dir.path().join(format!("{n}.gz"));
            std::fs::write(&path, &packed).unwrap();
            Ok(file(path, &format!("a/{n}")))
        })
        .collect();
    let failures = uploader.upload_artifacts(uploads.into_iter()).await;
    assert_eq!(failures.total_count(), 0, "{failures:?}");

    let uploader = Uploader {
        archives: ArchiveSlots::new(TempSpace::new(dir.path(), 1 << 20), 4),
        ..uploader
    };
    let alone = file(dir.path().join("0.gz"), "b");
    let failures = uploader.upload_artifacts([Ok(alone)].into_iter()).await;
    let failure = failures.iter().next().unwrap();
    assert!(failure.uncensored);
    assert!(failure.reason.contains("no room"), "{}", failure.reason);
}
