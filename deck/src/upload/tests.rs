use std::collections::BTreeMap;

use common::storage::token::{keys::StorageKeyFile, sign_token, verify_token};
use common::storage::{StorageCredentials, token::keys::StorageKeys};
use futures::stream;
use proptest::prelude::*;

use super::*;
use crate::options::KeyLocation;
use crate::storage_key::KeyStore;

const DIR: &str = "logs/j/1";
const KEY: &[u8] = b"a key of 16 bytes";
const LIMITS: StorageLimits = StorageLimits {
    object: 40,
    run: 128,
};

fn uploads() -> (tempfile::TempDir, Uploads) {
    uploads_with(LIMITS)
}

fn uploads_with(limits: StorageLimits) -> (tempfile::TempDir, Uploads) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}", folder.path().display());
    let file = StorageKeyFile::new(folder.path().join("key"));
    std::fs::write(file.path(), KEY).unwrap();
    let own = DeckStorage {
        storage: ObjectStorage::open_bucket(&url, &StorageCredentials::default()).unwrap(),
        key: KeyLocation::File(file.clone()),
        max_object_size: limits.object,
        max_job_size: limits.run,
    };
    (
        folder,
        Uploads::new(own, StorageKey::new(KeyStore::File(file))),
    )
}

fn grant(folder: &str) -> StorageGrant {
    let keys = StorageKeys::new(Some(KEY), None).unwrap();
    let token = sign_token(KEY, folder, Timestamp::MAX);
    verify_token(&keys, &token, Timestamp::UNIX_EPOCH).unwrap()
}

#[derive(Clone, Debug)]
enum Step {
    Put {
        name: usize,
        size: u64,
        announced: bool,
        only_if_absent: bool,
        /// The sender disconnects after that many bytes.
        breaks: Option<u64>,
    },
    /// Somebody deletes the file, and Deck is restarted.
    Delete(usize),
}

const NAMES: [&str; 6] = [
    "artifacts/a",
    "artifacts/d/b",
    "artifacts/c",
    "build-log.txt",
    "other-build-log.txt",
    "finished.json",
];

fn step() -> impl Strategy<Value = Step> {
    let put = (
        0..NAMES.len(),
        0..48_u64,
        any::<bool>(),
        prop::bool::weighted(0.2),
        prop::option::weighted(0.2, 0..48_u64),
    );
    prop_oneof![
        8 => put.prop_map(|(name, size, announced, only_if_absent, breaks)| Step::Put {
            name, size, announced, only_if_absent, breaks,
        }),
        1 => (0..NAMES.len()).prop_map(Step::Delete),
    ]
}

/// What should be stored: the size of each of `NAMES`.
type Model = BTreeMap<usize, u64>;

fn expected(model: &Model, step: &Step) -> &'static str {
    let Step::Put {
        name,
        size,
        announced,
        only_if_absent,
        breaks,
    } = step
    else {
        return "";
    };
    let key = format!("{DIR}/{}", NAMES[*name]);
    let room = LIMITS.max_run_size(StoredObjectKind::from_key(&key, DIR));
    let replaced = model.get(name).copied().unwrap_or(0);
    let kept: u64 = model.values().sum();
    let fits = |size: u64| size <= replaced || kept + (size - replaced) <= room;
    let comes = breaks.map_or(*size, |breaks| breaks.min(*size));
    let checked = if *announced { *size } else { comes };
    // Byte by byte: the limit that is reached first counts.
    let first_without_room = (0..=checked).find(|size| !fits(*size));
    match () {
        () if *announced && checked > LIMITS.object => "object",
        () if first_without_room.is_some_and(|size| size <= LIMITS.object) => "run",
        () if checked > LIMITS.object => "object",
        () if breaks.is_some_and(|breaks| breaks < *size) => "broken",
        () if *only_if_absent && model.contains_key(name) => "exists",
        () => "stored",
    }
}

async fn put(uploads: &Uploads, step: &Step) -> &'static str {
    let Step::Put {
        name,
        size,
        announced,
        only_if_absent,
        breaks,
    } = step
    else {
        return "";
    };
    let comes = breaks.map_or(*size, |breaks| breaks.min(*size));
    let pieces: Vec<_> = (0..comes)
        .map(|_| Ok(Bytes::from_static(b"x")))
        .chain((comes < *size).then(|| Err(io::Error::other("gone"))))
        .collect();
    let put = PutRequest {
        key: &format!("{DIR}/{}", NAMES[*name]),
        grant: &grant(DIR),
        is_complete: &|| Some(false),
        attributes: &ObjectAttributes::of_type("application/x-thing"),
        length: announced.then_some(*size),
        only_if_absent: *only_if_absent,
        now: Timestamp::UNIX_EPOCH,
    };
    match uploads.put_object(&put, stream::iter(pieces)).await {
        Ok(()) => "stored",
        Err(UploadRefusal::ObjectTooLarge(_)) => "object",
        Err(UploadRefusal::RunTooLarge { .. }) => "run",
        Err(UploadRefusal::Broken) => "broken",
        Err(UploadRefusal::Exists) => "exists",
        Err(other) => panic!("{other}"),
    }
}

async fn replay_steps(steps: &[Step]) {
    let (folder, mut uploads) = uploads();
    let mut model = Model::new();
    for step in steps {
        if let Step::Delete(name) = step {
            let _ = std::fs::remove_file(folder.path().join(DIR).join(NAMES[*name]));
            model.remove(name);
            uploads.ledger = StorageUsage::default();
            continue;
        }
        let wanted = expected(&model, step);
        assert_eq!(put(&uploads, step).await, wanted, "{step:?} {model:?}");
        if let (Step::Put { name, size, .. }, "stored") = (step, wanted) {
            model.insert(*name, *size);
        }
        let listing = uploads.storage().list_objects(DIR, false).await.unwrap();
        let listed: u64 = listing.objects.iter().map(|object| object.size).sum();
        assert_eq!(listed, model.values().sum::<u64>(), "nothing half is there");
        if wanted == "stored" {
            assert_eq!(uploads.ledger.run_usage(DIR).kept(), listed, "{step:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_account_is_what_a_listing_gives(steps in prop::collection::vec(step(), 1..24)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(replay_steps(&steps));
    }
}

#[tokio::test]
async fn artifacts_leave_room_for_log_and_result() {
    let (_folder, uploads) = uploads();
    let of = |name, size| Step::Put {
        name,
        size,
        announced: true,
        only_if_absent: false,
        breaks: None,
    };
    for (name, size, expected) in [
        (0, 40, "stored"),
        (1, 40, "stored"),
        (2, 40, "run"),
        (3, 32, "stored"),
        (2, 15, "run"),
        (5, 3, "stored"),
        (5, 16, "stored"),
        (3, 32, "stored"),
    ] {
        let step = of(name, size);
        assert_eq!(put(&uploads, &step).await, expected, "{step:?}");
    }
}

#[tokio::test]
async fn pieces_of_a_live_log_leave_it_room_and_give_theirs_back() {
    let (_folder, uploads) = uploads();
    let now = Timestamp::from_second(1_000).unwrap();
    let token = sign_token(KEY, DIR, Timestamp::from_second(2_000).unwrap());
    let key = |name: &str| format!("{DIR}/{name}");
    let put = async |name: &str, size: u64| {
        let key = key(name);
        let put = PutRequest {
            key: &key,
            grant: &grant(DIR),
            is_complete: &|| Some(false),
            attributes: &ObjectAttributes::default(),
            length: Some(size),
            only_if_absent: false,
            now,
        };
        let bytes = Bytes::from(vec![0; usize::try_from(size).unwrap()]);
        let body = stream::iter([Ok::<_, io::Error>(bytes)]);
        uploads.put_object(&put, body).await.is_ok()
    };
    let pieces = ["build-log.live/00000001.txt", "build-log.live/00000002.txt"];
    assert!(put(pieces[0], 20).await);
    assert!(!put(pieces[1], 20).await, "the log needs the rest");
    assert!(put(pieces[1], 12).await);
    assert!(put("build-log.txt", 32).await);
    assert!(!put("artifacts/a", 40).await);
    for piece in pieces {
        uploads
            .delete_piece(&token, now, &key(piece))
            .await
            .unwrap();
    }
    assert!(put("artifacts/a", 40).await);
    let log = uploads
        .delete_piece(&token, now, &key("build-log.txt"))
        .await;
    assert!(matches!(log, Err(UploadRefusal::Kept)), "{log:?}");
}

#[tokio::test]
async fn an_alias_is_a_line_and_no_file() {
    let (_folder, uploads) = uploads();
    let put = PutRequest {
        key: "logs/j/latest-build.txt",
        grant: &grant(DIR),
        is_complete: &|| None,
        attributes: &ObjectAttributes::default(),
        length: Some(storage_limits::MAX_POINTER as u64 + 1),
        only_if_absent: false,
        now: Timestamp::UNIX_EPOCH,
    };
    let body = stream::empty::<io::Result<Bytes>>();
    assert!(matches!(
        uploads.put_object(&put, body).await,
        Err(UploadRefusal::ObjectTooLarge(40))
    ));
}

#[tokio::test]
async fn a_token_tells_no_tales_of_others_and_does_not_take_back_an_end() {
    let (folder, uploads) = uploads_with(StorageLimits {
        object: 1 << 10,
        run: 1 << 20,
    });
    let alias = "pr-logs/directory/unit/100.txt";
    let latest = "logs/j/latest-build.txt";
    let finished = "logs/j/100/finished.json";
    let (of_job, of_pull) = ("logs/j/100", "pr-logs/pull/o_r/7/unit/100");
    let url = |run: &str| format!("gs://b/{run}");
    for (run, key, text, is_complete, expected) in [
        (of_job, latest, "100".to_owned(), None, "stored"),
        ("logs/j/99", latest, "99".to_owned(), None, "stored"),
        (of_job, latest, "101".to_owned(), None, "foreign"),
        ("logs/j/101", latest, "101".to_owned(), None, "stored"),
        (of_pull, alias, url(of_pull), None, "stored"),
        (of_pull, alias, url("pr-logs/x/101"), None, "foreign"),
        (
            of_pull,
            "logs/unit/latest-build.txt",
            "100".to_owned(),
            None,
            "token",
        ),
        (of_pull, finished, "{}".to_owned(), None, "token"),
        (of_job, finished, "first".to_owned(), None, "stored"),
        (of_job, finished, "not listed".to_owned(), None, "later"),
        (of_job, finished, "second".to_owned(), Some(false), "stored"),
        (of_job, finished, "third".to_owned(), Some(true), "ended"),
        (
            of_job,
            "logs/j/100/started.json",
            "{}".to_owned(),
            Some(true),
            "stored",
        ),
        (
            "logs/j/99",
            "logs/j/99/finished.json",
            "late".to_owned(),
            Some(true),
            "stored",
        ),
    ] {
        let put = PutRequest {
            key,
            grant: &grant(run),
            is_complete: &move || is_complete,
            attributes: &ObjectAttributes::default(),
            length: None,
            only_if_absent: false,
            now: Timestamp::UNIX_EPOCH,
        };
        let body = stream::iter([Ok::<_, io::Error>(Bytes::from(text.clone()))]);
        let got = match uploads.put_object(&put, body).await {
            Ok(()) => "stored",
            Err(UploadRefusal::Foreign) => "foreign",
            Err(UploadRefusal::Token(TokenError::OtherRun)) => "token",
            Err(UploadRefusal::Ended) => "ended",
            Err(UploadRefusal::NotListed) => "later",
            Err(other) => panic!("{other}"),
        };
        assert_eq!(got, expected, "{key} {text}");
    }
    for (key, expected) in [
        (latest, "101"),
        (finished, "second"),
        (alias, &url(of_pull)),
    ] {
        let stands = std::fs::read_to_string(folder.path().join(key)).unwrap();
        assert_eq!(stands, expected);
    }
}
