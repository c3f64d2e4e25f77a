//! Hidden jobs: all routes hide them alike.

use deck::Viewer;
use serde_json::json;

use crate::harness::{Deck, Setup, decorated, prowjob, read_until, until};

const DIR: &str = "pr-logs/pull/o_r/7/secret/102";

async fn with_hidden(setup: Setup) -> Deck {
    let deck = Deck::with(setup).await;
    let mut hidden = decorated();
    hidden["spec"]["hidden"] = true.into();
    hidden["spec"]["refs"] = json!({"pulls": [{"number": 7, "author": "mallory", "sha": "e"}]});
    deck.create(prowjob("1", "unit", 1, "success", &json!({})))
        .await;
    deck.create(prowjob("2", "secret", 2, "failure", &hidden))
        .await;
    deck.create(prowjob(
        "3",
        "unit",
        3,
        "success",
        &json!({"spec": {"refs": {"repo": "hush"}}}),
    ))
    .await;
    deck.create(prowjob(
        "4",
        "last",
        4,
        "success",
        &json!({"spec": {"refs": {"org": "x", "repo": "y"}}}),
    ))
    .await;
    // Deck notes at the upload that a run is hidden, so it has to know the run by then.
    until("the run is known", async || {
        let (_, page) = deck.get("/").await;
        (page.contains("job-2") || page.contains("job-4")).then_some(())
    })
    .await;
    let folder = format!("http://deck/storage/{DIR}");
    for (key, text) in [
        (format!("{DIR}/build-log.txt"), "hidden line\n"),
        (
            format!("{DIR}/started.json"),
            r#"{"repos": {"o/r": "main"}}"#,
        ),
        ("pr-logs/directory/secret/102.txt".to_owned(), &folder),
    ] {
        assert_eq!(deck.put(DIR, &key, text).await, 201, "{key}");
    }
    deck
}

const WAYS: [&str; 9] = [
    "/storage/pr-logs/directory/secret/102.txt",
    "/log?job=secret&id=102",
    "/log?job=secret&id=102&follow=true",
    "/log/events?job=secret&id=102",
    "/prowjob?prowjob=2",
    "/view/prowjob/secret/102",
    "/view/storage/pr-logs/pull/o_r/7/secret/102",
    "/storage/pr-logs/pull/o_r/7/secret/102/build-log.txt",
    "/artifact/storage/pr-logs/pull/o_r/7/secret/102/build-log.txt",
];

#[tokio::test]
async fn a_hidden_job_is_nowhere() {
    let deck = with_hidden(Setup {
        deck: json!({"hidden_repos": ["o/hush"]}),
        ..Setup::default()
    })
    .await;
    let page = deck.page_with("/", "job-4").await;
    for text in ["secret", "hush", "mallory", "job-2", "job-3"] {
        assert!(!page.contains(text), "{text} is in {page}");
    }
    for way in WAYS {
        assert_eq!(deck.get(way).await.0, 404, "{way}");
    }
    let (_, script) = deck.get("/prowjobs.js").await;
    assert!(
        !script.contains("secret") && !script.contains("hush"),
        "{script}"
    );
    let (_, badge) = deck.get("/badge.svg?jobs=secret").await;
    assert!(badge.contains("no results"), "{badge}");

    let events = page
        .split("data-events=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let mut answer = deck.http.get(deck.url(events)).send().await.unwrap();
    deck.patch("2", json!({"status": {"description": "hidden news"}}))
        .await;
    deck.patch("4", json!({"status": {"description": "open news"}}))
        .await;
    let told = read_until(&mut answer, "\n\n").await;
    assert!(
        told.contains("open news"),
        "the hidden job is not told first: {told}"
    );
}

#[tokio::test]
async fn it_stays_hidden_when_its_prowjob_is_gone() {
    let deck = with_hidden(Setup::default()).await;
    deck.page_with("/", "job-4").await;
    deck.delete("2").await;
    deck.create(prowjob("5", "marker", 5, "success", &json!({})))
        .await;
    deck.page_with("/", "job-5").await;
    for way in WAYS {
        assert_eq!(deck.get(way).await.0, 404, "{way}");
    }
}

#[tokio::test]
async fn a_deck_may_be_told_to_show_it() {
    let deck = with_hidden(Setup {
        viewer: Viewer::HiddenOnly,
        ..Setup::default()
    })
    .await;
    let page = deck.page_with("/", "job-2").await;
    assert!(!page.contains("job-1\""), "{page}");
    for way in WAYS.into_iter().filter(|way| !way.contains("/log/events")) {
        let (status, text) = deck.get(way).await;
        assert_eq!(status, 200, "{way}: {text}");
    }
    assert_eq!(deck.get("/view/prowjob/unit/101").await.0, 404);
}
