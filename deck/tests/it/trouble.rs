//! Logs and files when the cluster or the storage fails.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use common::storage::StorageCredentials;
use http::StatusCode;
use serde_json::json;
use tokio::net::TcpListener;

use crate::harness::{Deck, Setup, decorated, prowjob, read_until, until};

/// A build cluster that gives `answer` to every request for a log, and then ends the log.
#[derive(Clone, Default)]
struct LogApi {
    answer: Arc<Mutex<(u16, String)>>,
    asked: Arc<AtomicU32>,
}

impl LogApi {
    async fn start() -> (Self, String) {
        let api = Self::default();
        let router = Router::new().fallback(Self::log).with_state(api.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (api, address)
    }

    async fn log(State(api): State<Self>) -> Response {
        api.asked.fetch_add(1, Ordering::SeqCst);
        let (status, text) = api.answer.lock().unwrap().clone();
        (StatusCode::from_u16(status).unwrap(), text).into_response()
    }

    fn say(&self, status: u16, text: &str) {
        *self.answer.lock().unwrap() = (status, text.to_owned());
    }

    fn asked(&self) -> u32 {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn deck_on(build: String) -> Deck {
    let setup = Setup {
        build: Some(build),
        ..Setup::default()
    };
    Deck::with(setup).await
}

async fn following(deck: &Deck) -> reqwest::Response {
    deck.page_with("/", "job-1").await;
    let url = deck.url("/log?job=unit&id=101&follow=true");
    deck.http.get(url).send().await.unwrap()
}

async fn complete(deck: &Deck) {
    let status = json!({"state": "success", "completionTime": "2026-01-01T00:02:05Z"});
    deck.patch("1", json!({"status": status})).await;
}

#[tokio::test]
async fn a_rotated_log_goes_on() {
    let (api, address) = LogApi::start().await;
    let deck = deck_on(address).await;
    deck.create(prowjob("1", "unit", 1, "pending", &json!({})))
        .await;
    api.say(200, "one\ntwo\n");
    let mut answer = following(&deck).await;
    let (_, page) = deck.get("/view/prowjob/unit/101").await;
    assert!(!page.contains("images are not used"), "{page}");
    read_until(&mut answer, "two\n").await;
    // The newest file is shorter than what was read, and stays shorter.
    api.say(200, "3\n");
    assert_eq!(read_until(&mut answer, "3\n").await, "3\n");
    api.say(200, "3\nfour\n");
    assert_eq!(read_until(&mut answer, "four\n").await, "four\n");
    complete(&deck).await;
    assert_eq!(answer.text().await.unwrap(), "", "nothing comes twice");
}

#[tokio::test]
async fn an_api_error_does_not_end_a_live_log() {
    let (api, address) = LogApi::start().await;
    let deck = deck_on(address).await;
    deck.create(prowjob("1", "unit", 1, "pending", &json!({})))
        .await;
    api.say(500, "");
    let mut answer = following(&deck).await;
    until("it is tried again", async || {
        (api.asked() > 1).then_some(())
    })
    .await;
    api.say(200, "one\n");
    assert_eq!(read_until(&mut answer, "one\n").await, "one\n");
    let before = api.asked();
    api.say(403, "");
    until("it is tried again", async || {
        (api.asked() > before + 1).then_some(())
    })
    .await;
    api.say(200, "one\ntwo\n");
    assert_eq!(read_until(&mut answer, "two\n").await, "two\n");
    complete(&deck).await;
    assert_eq!(answer.text().await.unwrap(), "");
}

#[tokio::test]
async fn a_queued_job_is_not_polled() {
    let (api, address) = LogApi::start().await;
    let deck = deck_on(address).await;
    deck.create(prowjob("1", "unit", 1, "triggered", &json!({})))
        .await;
    api.say(200, "one\n");
    let mut answer = following(&deck).await;
    for path in ["/log?job=unit&id=101", "/view/prowjob/unit/101"] {
        let (_, text) = deck.get(path).await;
        assert!(text.contains("has not begun"), "{text}");
    }
    // Longer than the pause between two polls.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(api.asked(), 0);
    deck.patch("1", json!({"status": {"state": "pending"}}))
        .await;
    read_until(&mut answer, "one\n").await;
}

#[tokio::test]
async fn a_run_whose_pod_is_lost_ends_with_what_it_stored() {
    let (api, address) = LogApi::start().await;
    let deck = deck_on(address).await;
    deck.create(prowjob("1", "unit", 1, "pending", &decorated()))
        .await;
    api.say(200, "one\ntw");
    let mut answer = following(&deck).await;
    read_until(&mut answer, "tw").await;
    api.say(500, "");
    let dir = "pr-logs/pull/o_r/7/unit/101";
    let key = format!("{dir}/build-log.txt");
    assert_eq!(deck.put(dir, &key, "one\ntwo\nthree\n").await, 201);
    complete(&deck).await;
    assert_eq!(answer.text().await.unwrap(), "o\nthree\n");
}

/// Accepts connections and never answers.
async fn silence() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut taken = Vec::new();
        while let Ok((connection, _)) = listener.accept().await {
            taken.push(connection);
        }
    });
    address.to_string()
}

#[tokio::test]
async fn what_cannot_be_had_is_answered_within_two_seconds() {
    let silent = silence().await;
    let folder = tempfile::tempdir().unwrap();
    let s3 = folder.path().join("s3.json");
    let keys = json!({"region": "r", "endpoint": silent, "insecure": true, "access_key": "a", "secret_key": "s"});
    std::fs::write(&s3, keys.to_string()).unwrap();
    let deck = Deck::with(Setup {
        deck: json!({"additional_allowed_buckets": ["s3://hung"]}),
        build: Some(format!("http://{silent}")),
        credentials: StorageCredentials {
            s3_credentials_file: Some(s3),
            ..StorageCredentials::default()
        },
        ..Setup::default()
    })
    .await;
    let stored = json!({"spec": {"decoration_config": {
        "gcs_configuration": {"bucket": "s3://hung", "path_strategy": "explicit"},
    }}});
    let mut censored = stored.clone();
    censored["spec"]["decoration_config"]["censor_secrets"] = true.into();
    for (name, state, extra) in [
        ("1", "failure", &stored),
        ("2", "pending", &censored),
        ("3", "pending", &json!({})),
        ("4", "failure", &json!({})),
    ] {
        deck.create(prowjob(name, "unit", 1, state, extra)).await;
    }
    deck.page_with("/", "job-4").await;
    let mut asked = Vec::new();
    for id in ["101", "102", "103", "104"] {
        asked.push((format!("/log?job=unit&id={id}"), 404, "cannot be read now"));
        asked.push((
            format!("/view/prowjob/unit/{id}"),
            200,
            "cannot be read now",
        ));
    }
    let dir = "s3/hung/pr-logs/pull/o_r/7/unit";
    let no_answer = "gives no answer now";
    for (path, status, text) in [
        (format!("/view/{dir}/999"), 503, no_answer),
        (
            "/view/s3/hung/pr-logs/directory/unit/999".to_owned(),
            503,
            no_answer,
        ),
        (
            format!("/artifact/{dir}/101/artifacts/a.txt"),
            502,
            "cannot be read now",
        ),
        (
            format!("/artifact/{dir}/101/prowjob.json"),
            502,
            "cannot be read now",
        ),
        (
            format!("/artifact/{dir}/999/build-log.txt"),
            502,
            "cannot be read now",
        ),
    ] {
        asked.push((path, status, text));
    }
    for (path, status, says) in asked {
        let start = Instant::now();
        let (got, text) = deck.get(&path).await;
        let took = start.elapsed();
        assert!(took < Duration::from_secs(2), "{path}: {took:?}");
        assert_eq!(got, status, "{path}: {text}");
        assert!(text.contains(says), "{path}: {text}");
    }
}
