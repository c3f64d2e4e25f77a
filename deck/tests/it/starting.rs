//! What a Deck answers that has not listed the jobs yet.

use tokio::net::TcpListener;

use crate::harness::{Deck, Setup};

/// Accepts connections and never answers.
async fn silence() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut taken = Vec::new();
        while let Ok((connection, _)) = listener.accept().await {
            taken.push(connection);
        }
    });
    address
}

#[tokio::test]
async fn before_the_first_listing_nothing_is_said_of_any_job() {
    let deck = Deck::with(Setup {
        infra: Some(silence().await),
        ..Setup::default()
    })
    .await;
    for path in [
        "/",
        "/view/prowjob/unit/101",
        "/view/storage/logs/unit/101",
        "/prowjobs.js",
        "/prowjobs.js?var=allBuilds",
        "/prowjob?prowjob=1",
        "/badge.svg?jobs=unit",
        "/log?job=unit&id=101",
        "/log?job=unit&id=101&follow=true",
        "/log/events?job=unit&id=101",
        "/events",
        "/artifact/storage/logs/unit/101/build-log.txt",
        "/storage/logs/unit/101/build-log.txt",
    ] {
        let answer = deck.http.get(deck.url(path)).send().await.unwrap();
        assert_eq!(answer.status(), 503, "{path}");
        assert_eq!(answer.headers()["retry-after"], "5", "{path}");
        let text = answer.text().await.unwrap();
        assert!(text.contains("still reading the jobs"), "{path}: {text}");
    }
    let (_, page) = deck.get("/").await;
    assert!(
        page.contains("http-equiv=\"refresh\" content=\"5\""),
        "{page}"
    );
    assert_eq!(deck.get("/static/style.css").await.0, 200);
}
