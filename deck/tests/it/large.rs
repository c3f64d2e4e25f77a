//! Logs that are too long for a page: both ends at once, any line, and output that is faster than
//! anybody reads.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use common::storage::StorageCredentials;
use futures::{StreamExt, stream};
use http::{HeaderMap, Method, StatusCode, Uri, header};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::harness::{Deck, Setup, decorated, prowjob, read_until, until};

const DIR: &str = "pr-logs/pull/o_r/7/unit/101";
const PAGE: &str = "/view/prowjob/unit/101";

fn numbered(lines: u64) -> String {
    let mut text = String::new();
    for number in 1..=lines {
        let _ = writeln!(text, "line {number}");
    }
    text
}

fn has_line(page: &str, number: u64) -> bool {
    page.contains(&format!("id=\"L{number}\"")) && page.contains(&format!(">line {number}</span>"))
}

#[tokio::test]
async fn a_huge_log_is_shown_at_both_ends_and_at_any_line() {
    let deck = Deck::start().await;
    deck.create(prowjob("1", "unit", 1, "success", &decorated()))
        .await;
    deck.page_with("/", "job-1").await;
    let log = numbered(1_000_000);
    assert_eq!(
        deck.put(DIR, &format!("{DIR}/build-log.txt"), &log).await,
        201
    );
    let page = deck.page_with(PAGE, "1000000 lines · 11.3 MiB").await;
    assert!(page.len() < 1 << 20, "{}", page.len());
    assert!(has_line(&page, 1) && has_line(&page, 1_000_000));
    assert!(
        page.contains("995000 lines are not shown here"),
        "both ends"
    );
    assert!(page.contains("href=\"?container=test&amp;line=1001#L1001\""));
    assert!(page.contains(&format!("href=\"/storage/{DIR}/build-log.txt\"")));

    for way in [PAGE.to_owned(), format!("/view/storage/{DIR}")] {
        let line = format!("{way}?line=250000");
        let page = deck.page_with(&line, ">line 250000</span>").await;
        for number in [1, 249_950, 250_000, 250_900, 1_000_000] {
            assert!(has_line(&page, number), "{number}");
        }
        assert!(page.contains("&amp;line=250950#L250950"), "and on");
    }
    for line in ["0", "1000001", "99999999999999999999", "-1", "x"] {
        let (status, page) = deck.get(&format!("{PAGE}?line={line}")).await;
        assert_eq!(status, 200, "{line}");
        assert!(page.contains("995000 lines are not shown here"), "{line}");
    }
}

/// An S3 with one object: a part of it comes at once, all of it slowly.
#[derive(Clone)]
struct SlowS3 {
    log: Bytes,
    /// The second half of the whole object waits for a permit.
    second_half: Arc<Semaphore>,
}

impl SlowS3 {
    async fn start(log: String) -> (Self, String) {
        let s3 = Self {
            log: log.into(),
            second_half: Arc::new(Semaphore::new(0)),
        };
        let router = Router::new().fallback(Self::read).with_state(s3.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, router).await });
        (s3, address)
    }

    async fn read(
        State(s3): State<Self>,
        method: Method,
        uri: Uri,
        headers: HeaderMap,
    ) -> Response {
        if !uri.path().ends_with("/build-log.txt") {
            return StatusCode::NOT_FOUND.into_response();
        }
        let size = s3.log.len();
        let base = [
            (
                header::LAST_MODIFIED,
                "Thu, 01 Jan 2026 00:00:00 GMT".to_owned(),
            ),
            (header::ETAG, "\"1\"".to_owned()),
        ];
        let range = headers.get(header::RANGE).map(|it| it.to_str().unwrap());
        if let Some(range) = range {
            let (from, to) = range
                .strip_prefix("bytes=")
                .unwrap()
                .split_once('-')
                .unwrap();
            let part = match (from.parse::<usize>(), to.parse::<usize>()) {
                (Ok(from), Ok(to)) => from..(to + 1).min(size),
                (Ok(from), Err(_)) => from..size,
                (Err(_), Ok(last)) => size - last..size,
                _ => panic!("{range}"),
            };
            let shown = format!("bytes {}-{}/{size}", part.start, part.end - 1);
            let content = [(header::CONTENT_RANGE, shown)];
            let body = s3.log.slice(part);
            return (StatusCode::PARTIAL_CONTENT, base, content, body).into_response();
        }
        let length = [(header::CONTENT_LENGTH, size.to_string())];
        if method == Method::HEAD {
            return (base, length).into_response();
        }
        let half = size / 2;
        let parts = [s3.log.slice(..half), s3.log.slice(half..)];
        let slow = stream::iter(parts).enumerate().then(move |(at, part)| {
            let gate = s3.second_half.clone();
            async move {
                if at == 1 {
                    let _opened = gate.acquire().await.unwrap();
                }
                Ok::<_, std::io::Error>(part)
            }
        });
        (base, length, Body::from_stream(slow)).into_response()
    }
}

async fn deck_on_s3(address: &str, folder: &Path) -> Deck {
    let keys = folder.join("s3.json");
    let s3_keys = json!({"region": "r", "endpoint": address, "insecure": true, "access_key": "a", "secret_key": "s"});
    std::fs::write(&keys, s3_keys.to_string()).unwrap();
    Deck::with(Setup {
        deck: json!({"additional_allowed_buckets": ["s3://slow"]}),
        credentials: StorageCredentials {
            s3_credentials_file: Some(keys),
            ..StorageCredentials::default()
        },
        ..Setup::default()
    })
    .await
}

#[tokio::test]
async fn both_ends_do_not_wait_until_all_lines_are_counted() {
    let (s3, address) = SlowS3::start(numbered(200_000)).await;
    let folder = tempfile::tempdir().unwrap();
    let deck = deck_on_s3(&address, folder.path()).await;
    let mut job = decorated();
    job["spec"]["decoration_config"]["gcs_configuration"]["bucket"] = "s3://slow".into();
    deck.create(prowjob("1", "unit", 1, "success", &job)).await;
    deck.page_with("/", "job-1").await;
    let page = deck.page_with(PAGE, "data-counting").await;
    assert!(page.contains("being counted"), "{page}");
    assert!(has_line(&page, 1) && page.contains(">line 200000</span>"));
    assert!(
        !page.contains("id=\"L200000\""),
        "nobody knows its number yet"
    );
    assert!(page.contains("Raw log"), "{page}");

    s3.second_half.add_permits(1);
    until("its lines are counted", async || {
        let (_, page) = deck.get(PAGE).await;
        (has_line(&page, 200_000) && !page.contains("data-counting")).then_some(())
    })
    .await;
    let line = format!("{PAGE}?line=100000");
    let page = deck.page_with(&line, ">line 100000</span>").await;
    assert!(has_line(&page, 100_000) && has_line(&page, 200_000));
}

#[tokio::test]
async fn of_a_flood_a_page_gets_the_end() {
    let deck = Deck::start().await;
    deck.create(prowjob("1", "unit", 1, "pending", &json!({})))
        .await;
    let log = deck.pod("1").await;
    std::fs::write(&log, numbered(1_500_000)).unwrap();
    deck.page_with("/", "job-1").await;
    let page = deck.page_with(PAGE, ">line 1</span>").await;
    assert!(has_line(&page, 1) && page.contains("Raw log"));

    let events = deck.url("/log/events?job=unit&id=101&after=10");
    let mut answer = deck.http.get(events).send().await.unwrap();
    let told = read_until(&mut answer, "id=\"L1500000\"").await;
    assert!(told.contains("lines are not shown here"));
    let lines = told.matches("class=\"ln\"").count();
    assert!(
        lines <= 2_000 * told.matches("event: lines").count(),
        "{lines}"
    );
    assert!(told.len() < 10 << 20, "{}", told.len());
    read_until(&mut answer, "event: meta\ndata: 1500000 lines · 17.5 MiB").await;
}

#[tokio::test]
async fn whatever_a_log_is_made_of_its_page_is_small() {
    let deck = Deck::start().await;
    deck.create(prowjob("1", "unit", 1, "failure", &decorated()))
        .await;
    deck.page_with("/", "job-1").await;
    for log in [
        "\u{1b}[9999Cx\n".repeat(4_000),
        "\n".repeat(300_000),
        "\u{1b}[7mx\u{1b}[m".repeat(50_000),
    ] {
        let key = format!("{DIR}/build-log.txt");
        assert_eq!(deck.put(DIR, &key, &log).await, 201);
        let (status, page) = deck.get(PAGE).await;
        assert_eq!(status, 200);
        assert!(page.len() < 3 << 20, "{}", page.len());
        assert!(page.matches("class=\"ln\"").count() <= 5_000);
    }
}

#[tokio::test]
async fn a_page_hears_how_the_run_stands_from_the_first() {
    let deck = Deck::start().await;
    deck.create(prowjob("1", "unit", 1, "pending", &json!({})))
        .await;
    deck.page_with("/", "job-1").await;
    // The page may have been loaded long ago.
    let events = deck.url("/log/events?job=unit&id=101&after=0");
    let mut answer = deck.http.get(events).send().await.unwrap();
    read_until(&mut answer, "event: facts").await;
}
