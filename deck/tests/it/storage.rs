//! `/storage`: who may write what, and how it is served.

use std::io::Write;

use common::storage::{ObjectAttributes, ObjectStorage, StorageCredentials, StorageError, token};
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use reqwest::Method;
use serde_json::json;

use crate::harness::{Deck, KEY, Setup, in_an_hour};

const DIR: &str = "logs/nightly/5";

async fn put(deck: &Deck, key: &str, token: Option<&str>, headers: &[(&str, &str)]) -> u16 {
    let mut request = deck
        .http
        .put(deck.url(&format!("/storage/{key}")))
        .body("5");
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_run_removes_the_pieces_of_its_live_log_and_nothing_else() {
    let deck = Deck::start().await;
    let own = token::sign_token(KEY, DIR, in_an_hour());
    let other = token::sign_token(KEY, "logs/other/5", in_an_hour());
    let piece = "logs/nightly/5/build-log.live/00000001.txt";
    let log = "logs/nightly/5/build-log.txt";
    let latest = "logs/nightly/latest-build.txt";
    for key in [piece, log, latest] {
        assert_eq!(put(&deck, key, Some(&own), &[]).await, 201, "{key}");
    }
    for (what, key, token, origin, expected) in [
        ("without a token", piece, None, false, 401),
        ("of another run", piece, Some(&other), false, 403),
        ("from a page", piece, Some(&own), true, 403),
        ("the log", log, Some(&own), false, 403),
        ("the latest build", latest, Some(&own), false, 403),
        (
            "up and away",
            "logs/nightly/5/..%2F6/x",
            Some(&own),
            false,
            400,
        ),
        ("a piece", piece, Some(&own), false, 204),
        ("a piece that is gone", piece, Some(&own), false, 204),
    ] {
        let mut request = deck.http.delete(deck.url(&format!("/storage/{key}")));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if origin {
            request = request.header("origin", "https://evil.example");
        }
        let status = request.send().await.unwrap().status().as_u16();
        assert_eq!(status, expected, "{what}");
    }
    let storage = client(&deck, DIR);
    assert!(matches!(
        storage.get_object(piece).await,
        Err(StorageError::NotFound(_))
    ));
    assert!(storage.get_object(log).await.is_ok());
    storage.delete_object(piece).await.unwrap();
    let refused = storage.delete_object(log).await;
    assert!(
        matches!(refused, Err(StorageError::Forbidden(_))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn only_the_run_itself_may_write_its_keys() {
    let deck = Deck::start().await;
    let good = token::sign_token(KEY, DIR, in_an_hour());
    let other = token::sign_token(KEY, "logs/other/5", in_an_hour());
    let forged = token::sign_token(b"another key", DIR, in_an_hour());
    let expired = token::sign_token(KEY, DIR, Timestamp::from_second(1_000_000).unwrap());
    let key = "logs/nightly/5/build-log.txt";
    let origin = [("origin", "https://evil.example")];
    for (what, key, token, headers, expected) in [
        ("its own", key, Some(&good), &[][..], 201),
        (
            "its latest build",
            "logs/nightly/latest-build.txt",
            Some(&good),
            &[],
            201,
        ),
        ("without a token", key, None, &[], 401),
        ("of another run", key, Some(&other), &[], 403),
        ("signed by somebody else", key, Some(&forged), &[], 403),
        ("too late", key, Some(&expired), &[], 403),
        (
            "beside its folder",
            "logs/nightly/55/x",
            Some(&good),
            &[],
            403,
        ),
        (
            "up and away",
            "logs/nightly/5/..%2F6/x",
            Some(&good),
            &[],
            400,
        ),
        (
            "with an empty segment",
            "logs/nightly/5//x",
            Some(&good),
            &[],
            400,
        ),
        (
            "into the folder of attributes",
            ".attributes/x",
            Some(&good),
            &[],
            400,
        ),
        ("from a web page", key, Some(&good), &origin[..], 403),
    ] {
        assert_eq!(
            put(&deck, key, token.map(String::as_str), headers).await,
            expected,
            "{what}"
        );
    }
}

#[tokio::test]
async fn commons_client_gets_back_what_it_put() {
    let deck = Deck::start().await;
    let credentials = StorageCredentials {
        storage_token: Some(token::sign_token(KEY, DIR, in_an_hour()).into()),
        ..StorageCredentials::default()
    };
    let storage = ObjectStorage::open_bucket(&deck.url("/storage"), &credentials).unwrap();
    let attributes = ObjectAttributes {
        content_type: Some("application/x-thing".into()),
        metadata: [("link".to_owned(), "gs://b/x".to_owned())].into(),
        cache_control: Some("no-cache".into()),
        ..ObjectAttributes::default()
    };
    let key = format!("{DIR}/artifacts/a b%23#?.bin");
    storage
        .put_object(&key, "0123456789", &attributes)
        .await
        .unwrap();
    let object = storage.get_object(&key).await.unwrap();
    assert_eq!((object.size, &object.attributes), (10, &attributes));
    assert_eq!(object.read_bytes(100).await.unwrap(), "0123456789");
    assert_eq!(
        storage
            .get_range(&key, 2..5)
            .await
            .unwrap()
            .read_bytes(100)
            .await
            .unwrap(),
        "234"
    );
    assert_eq!(
        storage
            .get_tail(&key, 3)
            .await
            .unwrap()
            .read_bytes(100)
            .await
            .unwrap(),
        "789"
    );
    assert_eq!(
        storage
            .get_range(&key, 20..30)
            .await
            .unwrap()
            .read_bytes(100)
            .await
            .unwrap(),
        ""
    );
    assert_eq!(storage.head_object(&key).await.unwrap().size, 10);
    assert!(matches!(
        storage.get_object(&format!("{DIR}/none")).await,
        Err(StorageError::NotFound(_))
    ));

    let once = format!("{DIR}/finished.json");
    assert!(
        storage
            .put_if_absent(&once, "first", &ObjectAttributes::default())
            .await
            .unwrap()
    );
    assert!(
        !storage
            .put_if_absent(&once, "second", &ObjectAttributes::default())
            .await
            .unwrap()
    );
    assert_eq!(
        storage
            .get_object(&once)
            .await
            .unwrap()
            .read_bytes(100)
            .await
            .unwrap(),
        "first"
    );

    let empty = format!("{DIR}/empty");
    storage
        .put_object(&empty, "", &ObjectAttributes::default())
        .await
        .unwrap();
    assert_eq!(storage.get_tail(&empty, 5).await.unwrap().size, 0);
}

#[tokio::test]
async fn what_a_job_wrote_cannot_act_on_this_site() {
    let deck = Deck::start().await;
    let key = format!("{DIR}/artifacts/page.html");
    assert_eq!(deck.put(DIR, &key, "<script>alert(1)</script>").await, 201);
    let get = deck.http.get(deck.url(&format!("/storage/{key}")));
    let answer = get.try_clone().unwrap().send().await.unwrap();
    let policy = answer.headers()["content-security-policy"]
        .to_str()
        .unwrap();
    assert!(policy.starts_with("sandbox; "), "{policy}");
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    let etag = answer.headers()["etag"].to_str().unwrap().to_owned();
    // A proxy that compresses makes the tag weak.
    for known in [etag.clone(), format!("\"x\", W/{etag}")] {
        let get = get.try_clone().unwrap().header("if-none-match", known);
        assert_eq!(get.send().await.unwrap().status(), 304);
    }
    let part = get.header("range", "bytes=1-6").send().await.unwrap();
    assert_eq!(
        (
            part.status().as_u16(),
            part.headers()["content-range"].as_bytes()
        ),
        (206, "bytes 1-6/25".as_bytes())
    );
    assert_eq!(part.text().await.unwrap(), "script");
    let head = deck
        .http
        .request(Method::HEAD, deck.url(&format!("/storage/{key}")))
        .send()
        .await
        .unwrap();
    assert_eq!(
        (
            head.status().as_u16(),
            head.headers()["content-length"].as_bytes()
        ),
        (200, "25".as_bytes())
    );
}

#[tokio::test]
async fn what_is_compressed_is_plain_for_who_does_not_say_gzip() {
    const TEXT: &str = "a line of the log\n";
    let deck = Deck::start().await;
    let key = format!("{DIR}/artifacts/lines.txt");
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(TEXT.as_bytes()).unwrap();
    let packed = gzip.finish().unwrap();
    let url = deck.url(&format!("/storage/{key}"));
    let stored = deck
        .http
        .put(&url)
        .bearer_auth(token::sign_token(KEY, DIR, in_an_hour()))
        .header("content-type", "text/plain")
        .header("content-encoding", "gzip")
        .body(packed.clone())
        .send()
        .await
        .unwrap();
    assert_eq!(stored.status(), 201);
    for (accepts, is_plain) in [
        (None, true),
        (Some("identity"), true),
        (Some("br, gzip;q=0"), true),
        (Some("gzip"), false),
        (Some("br;q=1.0, gzip;q=0.8, *;q=0.1"), false),
        (Some("*"), false),
    ] {
        let ask = |etag: Option<&str>| {
            let request = deck.http.get(&url);
            let headers = [("accept-encoding", accepts), ("if-none-match", etag)];
            let headers = headers
                .into_iter()
                .filter_map(|(name, it)| Some((name, it?)));
            headers.fold(request, |request, (name, it)| request.header(name, it))
        };
        let answer = ask(None).send().await.unwrap();
        let encoding = answer.headers().get("content-encoding").is_none();
        assert_eq!(
            (answer.status().as_u16(), encoding),
            (200, is_plain),
            "{accepts:?}"
        );
        let etag = answer.headers()["etag"].to_str().unwrap().to_owned();
        let expected = if is_plain { TEXT.as_bytes() } else { &packed };
        assert_eq!(answer.bytes().await.unwrap(), expected, "{accepts:?}");
        assert_eq!(ask(Some(&etag)).send().await.unwrap().status(), 304);
    }
}

#[tokio::test]
async fn sizes_have_ends() {
    let deck = Deck::with(Setup {
        max_object_size: Some(100),
        max_job_size: Some(250),
        ..Setup::default()
    })
    .await;
    let put = async |name: &str, size: usize| {
        deck.put(DIR, &format!("{DIR}/{name}"), &"x".repeat(size))
            .await
    };
    assert_eq!(put("a", 101).await, 413);
    for (name, size, expected) in [
        ("a", 90, 201),
        ("b", 90, 201),
        ("c", 90, 413),
        ("artifacts/x", 6, 413),
        ("a", 90, 201),
        ("c", 50, 201),
        ("podinfo.json", 15, 201),
        ("podinfo.json", 20, 201),
        ("prowjob.json", 1, 413),
    ] {
        assert_eq!(put(name, size).await, expected, "{name} of {size}");
    }
    // An upload of unknown length is cut off, and nothing of it stays.
    let body = futures::stream::iter((0..3).map(|_| Ok::<_, std::io::Error>("x".repeat(40))));
    let request = deck
        .http
        .put(deck.url("/storage/logs/nightly/6/d"))
        .body(reqwest::Body::wrap_stream(body));
    let answer = request
        .bearer_auth(token::sign_token(KEY, "logs/nightly/6", in_an_hour()))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 413);
    assert_eq!(deck.get("/storage/logs/nightly/6/d").await.0, 404);
}

fn client(deck: &Deck, dir: &str) -> ObjectStorage {
    let credentials = StorageCredentials {
        storage_token: Some(token::sign_token(KEY, dir, in_an_hour()).into()),
        ..StorageCredentials::default()
    };
    ObjectStorage::open_bucket(&deck.url("/storage"), &credentials).unwrap()
}

#[tokio::test]
async fn a_run_reads_and_lists_its_own_folder_also_when_it_is_hidden() {
    const DIR: &str = "pr-logs/pull/hush_r/7/unit/5";
    let deck = Deck::with(Setup {
        deck: json!({"hidden_repos": ["hush/r"]}),
        ..Setup::default()
    })
    .await;
    let storage = client(&deck, DIR);
    let plain = ObjectAttributes::default();
    for name in ["build-log.txt", "artifacts/junit_unit.xml", "artifacts/a/b"] {
        storage
            .put_object(&format!("{DIR}/{name}"), "x", &plain)
            .await
            .unwrap();
    }
    let keys = |listing: &common::storage::ObjectListing| {
        let keys = listing.objects.iter().map(|object| object.key.as_str());
        keys.collect::<Vec<_>>().join(" ")
    };
    let all = storage.list_objects(DIR, false).await.unwrap();
    assert_eq!(
        keys(&all),
        "pr-logs/pull/hush_r/7/unit/5/artifacts/a/b pr-logs/pull/hush_r/7/unit/5/artifacts/junit_unit.xml pr-logs/pull/hush_r/7/unit/5/build-log.txt"
    );
    assert_eq!(all.objects[0].size, 1);
    let level = storage
        .list_objects(&format!("{DIR}/artifacts"), true)
        .await
        .unwrap();
    assert_eq!(level.prefixes, ["pr-logs/pull/hush_r/7/unit/5/artifacts/a"]);
    assert_eq!(
        keys(&level),
        "pr-logs/pull/hush_r/7/unit/5/artifacts/junit_unit.xml"
    );
    assert_eq!(
        storage
            .list_objects(&format!("{DIR}/none"), false)
            .await
            .unwrap(),
        common::storage::ObjectListing::default()
    );
    let report = storage
        .get_object(&format!("{DIR}/artifacts/junit_unit.xml"))
        .await
        .unwrap();
    assert_eq!(report.read_bytes(10).await.unwrap(), "x");

    let stranger = client(&deck, "pr-logs/pull/hush_r/7/unit/6");
    assert!(matches!(
        stranger.list_objects(DIR, false).await,
        Err(StorageError::Forbidden(_))
    ));
    assert!(matches!(
        stranger.get_object(&format!("{DIR}/build-log.txt")).await,
        Err(StorageError::Forbidden(_))
    ));
    let listing = format!("/storage/{DIR}?list");
    assert_eq!(deck.get(&listing).await.0, 401, "nobody lists without");
    assert_eq!(
        deck.get(&format!("/storage/{DIR}/build-log.txt")).await.0,
        404,
        "hidden from everybody else"
    );
}

#[tokio::test]
async fn a_bearer_of_another_kind_reads_what_everybody_reads() {
    let deck = Deck::start().await;
    assert_eq!(deck.put(DIR, &format!("{DIR}/x"), "public").await, 201);
    let request = deck.http.get(deck.url(&format!("/storage/{DIR}/x")));
    let answer = request.bearer_auth("a.proxys.token").send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "public");
}
