//! What a run's token may write, and which locations a job may name.

use serde_json::json;

use crate::harness::{Deck, decorated, prowjob, until};

const RUN: &str = "pr-logs/pull/o_r/7/unit/101";

#[tokio::test]
async fn a_result_stands_once_its_run_is_complete() {
    let deck = Deck::start().await;
    let key = format!("{RUN}/finished.json");
    deck.create(prowjob("1", "unit", 1, "pending", &decorated()))
        .await;
    deck.page_with("/", "unit").await;
    assert_eq!(deck.put(RUN, &key, "{}").await, 201);
    assert_eq!(deck.put(RUN, &key, r#"{"passed": false}"#).await, 201);
    let end = json!({"status": {"state": "failure", "completionTime": "2026-01-01T01:00:00Z"}});
    deck.patch("1", end).await;
    let late = || deck.put(RUN, &key, r#"{"passed": true}"#);
    until("the run is complete", async || {
        (late().await == 409).then_some(())
    })
    .await;
    // Other files that its pod uploads later are stored.
    let log = format!("{RUN}/build-log.txt");
    assert_eq!(deck.put(RUN, &log, "the end").await, 201);
    deck.delete("1").await;
    until("the job is gone", async || {
        let (status, _) = deck.get("/prowjob?prowjob=1").await;
        (status == 404).then_some(())
    })
    .await;
    assert_eq!(late().await, 409);
    // A run whose pod uploads late, after its job is gone.
    let other = "pr-logs/pull/o_r/7/unit/102";
    let key = format!("{other}/finished.json");
    assert_eq!(deck.put(other, &key, "{}").await, 201);
}

#[tokio::test]
async fn the_latest_build_only_rises() {
    let deck = Deck::start().await;
    let latest = "pr-logs/directory/unit/latest-build.txt";
    for (build, says, status) in [
        ("7", "7", 201),
        ("9", "9", 201),
        ("8", "8", 201),
        ("8", "10", 403),
    ] {
        let run = format!("pr-logs/pull/o_r/7/unit/{build}");
        assert_eq!(deck.put(&run, latest, says).await, status, "{says}");
    }
    let stored = deck.folder.path().join("storage").join(latest);
    assert_eq!(std::fs::read_to_string(stored).unwrap(), "9");
}

#[tokio::test]
async fn a_job_opens_no_folder_of_decks_machine() {
    let deck = Deck::start().await;
    let outside = deck.folder.path().join("outside");
    std::fs::create_dir_all(outside.join("logs/evil/101")).unwrap();
    std::fs::write(outside.join("secret.txt"), "top secret").unwrap();
    std::fs::write(outside.join("logs/evil/101/build-log.txt"), "top secret").unwrap();
    let outside = outside.display();
    let new = deck.folder.path().join("new");
    for (name, bucket) in [
        ("1", format!("file://{outside}")),
        ("2", format!("file://{outside}/logs/evil/101/../../..")),
        ("3", format!("file://{}", new.display())),
    ] {
        let mut job = decorated();
        job["spec"]["decoration_config"]["gcs_configuration"]["bucket"] = bucket.into();
        job["spec"]["type"] = "periodic".into();
        deck.create(prowjob(name, "evil", 1, "success", &job)).await;
        let page = deck.page_with("/", "evil").await;
        assert!(!page.contains("top secret"));
    }
    for path in [
        format!("/artifact/file{outside}/secret.txt"),
        format!("/artifact/file{outside}/logs/evil/101/build-log.txt"),
        format!("/artifact/file{outside}/logs/evil/101/..%2F..%2F..%2Fsecret.txt"),
        format!("/artifact/file{outside}/logs/evil/101/..%2F..%2F../secret.txt"),
        format!("/view/file{outside}/logs/evil/101"),
        "/view/prowjob/evil/101".to_owned(),
        "/view/prowjob/evil/102".to_owned(),
        "/view/prowjob/evil/103".to_owned(),
        "/log?job=evil&id=101".to_owned(),
    ] {
        let (_, body) = deck.get(&path).await;
        assert!(!body.contains("top secret"), "{path}: {body}");
    }
    assert!(!new.exists(), "a reader makes no folder");
}
