//! The log of a run that censors its secrets, while it runs and afterwards.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use common::storage::StorageCredentials;
use http::{StatusCode, Uri};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::harness::{Deck, Setup, decorated, prowjob, read_until, until};

const DIR: &str = "pr-logs/pull/o_r/7/unit/101";
const LOG: &str = "/log?job=unit&id=101";
const PAGE: &str = "/view/prowjob/unit/101";
const RAW: &str = "raw s3cr3t";

fn censored() -> Value {
    let mut job = decorated();
    job["spec"]["decoration_config"]["censor_secrets"] = true.into();
    job
}

/// A run that censors its secrets, and its pod, which prints a secret.
async fn deck_with_censored_run() -> Deck {
    let deck = Deck::start().await;
    deck.create(prowjob("1", "unit", 1, "pending", &censored()))
        .await;
    std::fs::write(deck.pod("1").await, format!("{RAW}\n")).unwrap();
    deck.page_with("/", "job-1").await;
    deck
}

fn piece(number: u64) -> String {
    format!("{DIR}/build-log.live/{number:08}.txt")
}

async fn put(deck: &Deck, key: &str, text: &str) {
    assert_eq!(deck.put(DIR, key, text).await, 201);
}

async fn complete(deck: &Deck) {
    let status = json!({"state": "success", "completionTime": "2026-01-01T00:02:05Z"});
    deck.patch("1", json!({"status": status})).await;
}

async fn follow(deck: &Deck) -> reqwest::Response {
    let url = deck.url(&format!("{LOG}&follow=true"));
    deck.http.get(url).send().await.unwrap()
}

/// All that is still to come, within the time limit of a test.
async fn rest(answer: reqwest::Response) -> String {
    let rest = tokio::time::timeout(Duration::from_secs(20), answer.text());
    rest.await.expect("the log ends with its run").unwrap()
}

#[tokio::test]
async fn a_censored_run_shows_what_its_sidecar_lets_out_and_never_its_pod() {
    let deck = deck_with_censored_run().await;
    let (status, text) = deck.get(LOG).await;
    assert_eq!(status, 404);
    assert!(text.contains("lets out no live log"), "{text}");
    let (_, page) = deck.get(PAGE).await;
    assert!(
        page.contains("lets out no live log") && !page.contains(RAW),
        "{page}"
    );
    let mut early = follow(&deck).await;
    let events = "/log/events?job=unit&id=101&after=0";
    let mut told = deck.http.get(deck.url(events)).send().await.unwrap();

    put(&deck, &piece(1), "one\ntw").await;
    assert_eq!(read_until(&mut early, "tw").await, "one\ntw");
    let lines = read_until(&mut told, ">one</span>").await;
    assert!(!lines.contains(RAW), "{lines}");
    put(&deck, &piece(2), "o\n").await;
    assert_eq!(read_until(&mut early, "o\n").await, "o\n");
    assert_eq!(deck.get(LOG).await, (200, "one\ntwo\n".into()));
    let (_, page) = deck.get(PAGE).await;
    for text in [">two</span>", "masked, a second or two old", "&#38;after=2"] {
        assert!(page.contains(text), "{text} is not in {page}");
    }
    assert!(
        !page.contains(RAW) && !page.contains("build-log.live"),
        "{page}"
    );

    let mut late = follow(&deck).await;
    assert_eq!(read_until(&mut late, "two\n").await, "one\ntwo\n");
    put(&deck, &format!("{DIR}/build-log.txt"), "one\ntwo\nthree\n").await;
    for number in [1, 2] {
        deck.remove(&piece(number));
    }
    // The rest comes from the stored log: nothing twice, nothing lost.
    for answer in [early, late] {
        assert_eq!(rest(answer).await, "three\n");
    }
    assert_eq!(deck.get(LOG).await, (200, "one\ntwo\nthree\n".into()));
    read_until(&mut told, ">three</span>").await;
    complete(&deck).await;
    read_until(&mut told, "event: done\ndata: ").await;
    let (_, page) = deck.get(PAGE).await;
    assert!(
        page.contains(">three</span>") && !page.contains(RAW),
        "{page}"
    );
    assert!(!page.contains("a second or two old"), "{page}");
}

#[tokio::test]
async fn pieces_that_are_gone_are_read_from_the_stored_log() {
    let deck = deck_with_censored_run().await;
    put(&deck, &piece(1), "one\n").await;
    let mut answer = follow(&deck).await;
    read_until(&mut answer, "one\n").await;
    // The next piece was uploaded, stored with the log and removed before the next poll.
    put(&deck, &format!("{DIR}/build-log.txt"), "one\ntwo\nthree").await;
    deck.remove(&piece(1));
    assert_eq!(rest(answer).await, "two\nthree");
    assert_eq!(rest(follow(&deck).await).await, "one\ntwo\nthree");
}

#[tokio::test]
async fn a_run_whose_log_was_never_stored_keeps_what_was_let_out() {
    let deck = deck_with_censored_run().await;
    put(&deck, &piece(1), "one\n").await;
    let mut answer = follow(&deck).await;
    read_until(&mut answer, "one\n").await;
    complete(&deck).await;
    assert_eq!(rest(answer).await, "", "it ends, though nothing more came");
    assert_eq!(deck.get(LOG).await, (200, "one\n".into()));
}

#[tokio::test]
async fn what_a_finished_pod_printed_is_shown_only_if_nothing_was_to_be_masked() {
    let deck = Deck::start().await;
    for (name, extra, minute) in [
        ("1", json!({}), 1),
        ("2", decorated(), 2),
        ("3", censored(), 3),
    ] {
        deck.create(prowjob(name, "unit", minute, "failure", &extra))
            .await;
        std::fs::write(deck.pod(name).await, format!("{RAW}\n")).unwrap();
    }
    deck.page_with("/", "job-3").await;
    let log = |id: &str| format!("/log?job=unit&id=10{id}");
    for id in ["1", "2"] {
        assert_eq!(deck.get(&log(id)).await, (200, format!("{RAW}\n")));
        let follow = format!("{}&follow=true", log(id));
        assert_eq!(deck.get(&follow).await, (200, format!("{RAW}\n")));
    }
    for follow in ["", "&follow=true"] {
        let (_, text) = deck.get(&format!("{}{follow}", log("3"))).await;
        assert!(!text.contains(RAW), "{text}");
    }
    let (_, page) = deck.get("/view/prowjob/unit/103").await;
    assert!(
        page.contains("There is no log of this run.") && !page.contains(RAW),
        "{page}"
    );
}

#[tokio::test]
async fn a_container_of_several_has_pieces_of_its_own() {
    let deck = Deck::start().await;
    let mut job = censored();
    job["spec"]["pod_spec"]["containers"] = json!([{"name": "lint"}, {"name": "test"}]);
    deck.create(prowjob("1", "unit", 1, "pending", &job)).await;
    deck.page_with("/", "job-1").await;
    put(
        &deck,
        &format!("{DIR}/lint-build-log.live/00000001.txt"),
        "of lint\n",
    )
    .await;
    let log = format!("{LOG}&container=lint");
    assert_eq!(deck.get(&log).await, (200, "of lint\n".into()));
    assert_eq!(deck.get(LOG).await.0, 404);
    for container in ["sidecar", "clonerefs", "../test"] {
        let (status, _) = deck.get(&format!("{LOG}&container={container}")).await;
        assert_eq!(status, 404, "{container}");
    }
    until("the page shows it", async || {
        let (_, page) = deck.get(&format!("{PAGE}?container=lint")).await;
        page.contains(">of lint</span>").then_some(())
    })
    .await;
}

/// An S3 that counts requests.
#[derive(Clone, Default)]
struct CountingS3 {
    objects: Arc<Mutex<HashMap<String, &'static str>>>,
    asked: Arc<AtomicU32>,
}

impl CountingS3 {
    async fn start() -> (Self, String) {
        let s3 = Self::default();
        let router = Router::new().fallback(Self::read).with_state(s3.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, router).await });
        (s3, address)
    }

    async fn read(State(s3): State<Self>, uri: Uri) -> Response {
        s3.asked.fetch_add(1, Ordering::SeqCst);
        match s3.objects.lock().unwrap().get(uri.path()) {
            None => StatusCode::NOT_FOUND.into_response(),
            Some(text) => {
                let modified = "Thu, 01 Jan 2026 00:00:00 GMT";
                ([("last-modified", modified), ("etag", "\"1\"")], *text).into_response()
            }
        }
    }

    fn asked(&self) -> u32 {
        self.asked.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn viewers_of_one_log_share_one_lookout() {
    let (s3, address) = CountingS3::start().await;
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("s3.json");
    let s3_keys = json!({"region": "r", "endpoint": address, "insecure": true, "access_key": "a", "secret_key": "s"});
    std::fs::write(&keys, s3_keys.to_string()).unwrap();
    let deck = Deck::with(Setup {
        deck: json!({"additional_allowed_buckets": ["s3://live"]}),
        credentials: StorageCredentials {
            s3_credentials_file: Some(keys),
            ..StorageCredentials::default()
        },
        ..Setup::default()
    })
    .await;
    let mut job = censored();
    job["spec"]["decoration_config"]["gcs_configuration"]["bucket"] = "s3://live".into();
    deck.create(prowjob("1", "unit", 1, "pending", &job)).await;
    deck.page_with("/", "job-1").await;

    let mut viewers = Vec::new();
    for _ in 0..8 {
        viewers.push(follow(&deck).await);
    }
    let second = Duration::from_secs(1);
    tokio::time::sleep(second).await;
    let before = s3.asked();
    tokio::time::sleep(3 * second).await;
    let looks = s3.asked() - before;
    // One request for the next piece, and one for the whole log.
    assert!(
        (1..=2 * 6).contains(&looks),
        "{looks} requests in three seconds"
    );
    let key = format!("/live/{}", piece(1));
    s3.objects.lock().unwrap().insert(key, "one\n");
    let start = Instant::now();
    for viewer in &mut viewers {
        read_until(viewer, "one\n").await;
    }
    // The sidecar takes another second.
    assert!(start.elapsed() < 2 * second, "{:?}", start.elapsed());
    drop(viewers);
    until("nobody looks any more", async || {
        let before = s3.asked();
        tokio::time::sleep(2 * second).await;
        (s3.asked() == before).then_some(())
    })
    .await;
}
