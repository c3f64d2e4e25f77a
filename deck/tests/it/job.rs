//! A run's page and its log, while it runs and afterwards.

use std::io::Write;
use std::path::Path;

use common::storage::{ObjectAttributes, ObjectStorage, StorageCredentials};
use serde_json::json;

use crate::harness::{Deck, decorated, prowjob, read_until};

const DIR: &str = "pr-logs/pull/o_r/7/unit/101";

fn append(path: &Path, text: &str) {
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

async fn complete(deck: &Deck, name: &str) {
    let status = json!({"state": "success", "description": "Job succeeded.", "completionTime": "2026-01-01T00:02:05Z"});
    deck.patch(name, json!({"status": status})).await;
}

#[tokio::test]
async fn a_log_is_followed_to_its_end() {
    let deck = Deck::start().await;
    deck.create(prowjob("1", "unit", 1, "pending", &json!({})))
        .await;
    deck.page_with("/", "job-1").await;
    let url = deck.url("/log?job=unit&id=101&follow=true");
    // Nobody has created the pod yet: a follower waits for it.
    let early = tokio::spawn(deck.http.get(url).send());
    let log = deck.pod("1").await;
    append(&log, "one\n");
    let mut answer = early.await.unwrap().unwrap();
    assert_eq!(
        answer.headers()["content-type"],
        "text/plain; charset=utf-8"
    );
    read_until(&mut answer, "one\n").await;
    assert_eq!(
        deck.get("/log?job=unit&id=101").await,
        (200, "one\n".into())
    );

    append(&log, "two\n");
    read_until(&mut answer, "two\n").await;
    append(&log, "three\n");
    deck.end_pod("1").await;
    complete(&deck, "1").await;
    assert_eq!(read_until(&mut answer, "three\n").await, "three\n");
    assert_eq!(
        answer.chunk().await.unwrap(),
        None,
        "the answer ends with the run"
    );
}

#[tokio::test]
async fn an_open_page_gets_lines_and_facts() {
    let deck = Deck::start().await;
    deck.create(prowjob("1", "unit", 1, "pending", &json!({})))
        .await;
    let log = deck.pod("1").await;
    append(&log, "one\n\u{1b}[32mtw");
    let page = deck
        .page_with("/view/prowjob/unit/101", ">one</span>")
        .await;
    assert!(page.contains("Running"), "{page}");
    let events = page
        .split("section class=\"log\" data-events=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let events = events.replace("&#38;", "&");
    assert!(events.ends_with("&after=1"), "{events}");

    let mut answer = deck.http.get(deck.url(&events)).send().await.unwrap();
    append(&log, "o</span>\u{1b}[0m\n");
    let told = read_until(&mut answer, "event: meta\ndata: 2 lines").await;
    assert!(
        told.contains("id=\"L2\"") && told.contains("<span class=\"f2\">two&lt;/span&gt;</span>"),
        "{told}"
    );
    assert!(
        !told.contains("id=\"L1\""),
        "the page has it already: {told}"
    );
    deck.end_pod("1").await;
    complete(&deck, "1").await;
    let told = read_until(&mut answer, "event: done\ndata: ").await;
    assert!(
        told.contains("event: facts") && told.contains("Success"),
        "{told}"
    );
}

#[tokio::test]
async fn a_finished_run_is_shown_from_storage() {
    let deck = Deck::start().await;
    deck.create(prowjob("1", "unit", 1, "success", &decorated()))
        .await;
    deck.page_with("/", "job-1").await;
    assert_eq!(
        deck.get("/log?job=unit&id=101").await,
        (404, "There is no log of this run.\n".into())
    );
    for (name, text) in [
        ("build-log.txt", "stored <line>\n"),
        ("artifacts/report.xml", "<x/>"),
    ] {
        assert_eq!(deck.put(DIR, &format!("{DIR}/{name}"), text).await, 201);
    }
    assert_eq!(
        deck.get("/log?job=unit&id=101").await,
        (200, "stored <line>\n".into())
    );
    for path in [
        "/view/prowjob/unit/101".to_owned(),
        format!("/view/storage/{DIR}"),
    ] {
        let (status, page) = deck.get(&path).await;
        assert_eq!(status, 200, "{path}");
        for text in [
            "stored &lt;line&gt;",
            "1 line · 14 B",
            "artifacts/report.xml",
            "https://github.com/o/r/pull/7",
        ] {
            assert!(page.contains(text), "{text} is not in {page}");
        }
        assert!(
            page.contains(&format!("href=\"/storage/{DIR}/build-log.txt\"")),
            "{page}"
        );
    }
}

#[tokio::test]
async fn a_run_outlives_its_prowjob() {
    let deck = Deck::start().await;
    let started =
        json!({"timestamp": 1_767_225_660, "pull": "7", "repos": {"o/r": "main:bbb,7:ccc"}})
            .to_string();
    let finished =
        json!({"timestamp": 1_767_225_725, "passed": false, "result": "FAILURE"}).to_string();
    for (name, text) in [
        ("started.json", started.as_str()),
        ("finished.json", &finished),
        ("build-log.txt", "old\n"),
    ] {
        assert_eq!(deck.put(DIR, &format!("{DIR}/{name}"), text).await, 201);
    }
    assert_eq!(
        deck.put(
            DIR,
            "pr-logs/directory/unit/101.txt",
            &format!("http://deck/storage/{DIR}")
        )
        .await,
        201
    );
    let (status, page) = deck.get(&format!("/view/storage/{DIR}")).await;
    assert_eq!(status, 200, "{page}");
    for text in [
        "Failure",
        ">old</span>",
        "1 min 05 s",
        "https://github.com/o/r/pull/7/commits/ccc",
    ] {
        assert!(page.contains(text), "{text} is not in {page}");
    }
    assert_eq!(
        deck.get("/view/storage/pr-logs/pull/o_r/7/unit/999")
            .await
            .0,
        404
    );
    assert_eq!(deck.get("/view/gs/some-bucket/logs/unit/101").await.0, 404);
}

#[tokio::test]
async fn a_failed_run_says_why() {
    let deck = Deck::start().await;
    deck.create(prowjob("1", "unit", 1, "failure", &decorated()))
        .await;
    deck.page_with("/", "job-1").await;
    let digest = json!({
        "kind": "tests", "summary": "1 of 2 tests failed: <b>Test", "failed_tests": 21,
        "tests": [{"name": "<b>Test", "message": "got <1>", "frame": "a.go:3"}],
        "container": "test",
        "lines": [
            {"number": 2, "text": "--- FAIL: <b>Test", "rank": 0, "error": true},
            {"number": 9, "text": "exit status 1", "rank": 1, "error": true},
        ],
    });
    let log = "one\n--- FAIL: <b>Test\n";
    for (name, text) in [
        ("failure.json", digest.to_string()),
        ("build-log.txt", log.into()),
    ] {
        assert_eq!(deck.put(DIR, &format!("{DIR}/{name}"), &text).await, 201);
    }
    let (_, page) = deck.get("/view/prowjob/unit/101").await;
    for text in [
        "Why it failed",
        "1 of 2 tests failed: &#60;b&#62;Test",
        "got &#60;1&#62;",
        "and 20 more",
        "<a href=\"#L2\" aria-label=\"Line 2 in the log\">2</a>",
        "id=\"L2\"",
    ] {
        assert!(page.contains(text), "{text} is not in {page}");
    }
    assert!(!page.contains("<b>Test"), "{page}");
}

#[tokio::test]
async fn what_was_not_stored_is_told() {
    let deck = Deck::start().await;
    for (name, state, minute) in [("1", "success", 1), ("2", "pending", 2)] {
        deck.create(prowjob(name, "unit", minute, state, &decorated()))
            .await;
    }
    deck.page_with("/", "job-2").await;
    let said = "Not everything was stored";
    let (_, before) = deck.get("/view/prowjob/unit/101").await;
    assert!(!before.contains(said), "{before}");
    let finished = json!({"timestamp": 1, "passed": true, "metadata": {
        "censored": true, "not-stored": "1 file was not stored: build-log.txt: <b>too\rlarge",
    }});
    for dir in [
        DIR,
        "pr-logs/pull/o_r/7/unit/102",
        "pr-logs/pull/o_r/7/unit/103",
    ] {
        let key = format!("{dir}/finished.json");
        assert_eq!(deck.put(dir, &key, &finished.to_string()).await, 201);
    }
    let gone = "/view/storage/pr-logs/pull/o_r/7/unit/103";
    for path in ["/view/prowjob/unit/101", gone] {
        let (_, page) = deck.get(path).await;
        assert!(page.contains(said), "{page}");
        let told = "1 file was not stored: build-log.txt: &#60;b&#62;too large.";
        assert!(page.contains(told), "{page}");
    }
    let (_, page) = deck.get("/view/prowjob/unit/102").await;
    assert!(!page.contains(said), "its pod may yet store it: {page}");
}

#[tokio::test]
async fn an_alias_leads_to_the_run() {
    let deck = Deck::with(crate::harness::Setup {
        deck: json!({"additional_allowed_buckets": ["http://deck/storage"]}),
        ..Default::default()
    })
    .await;
    deck.put(
        DIR,
        "pr-logs/directory/unit/101.txt",
        &format!("http://deck/storage/{DIR}"),
    )
    .await;
    let answer = deck
        .http
        .get(deck.url("/view/storage/pr-logs/directory/unit/101"))
        .send()
        .await
        .unwrap();
    assert_eq!(
        (
            answer.status().as_u16(),
            answer.headers()["location"].as_bytes()
        ),
        (303, format!("/view/storage/{DIR}").as_bytes())
    );
}

#[tokio::test]
async fn an_alias_leads_into_the_bucket_that_it_names() {
    let folder = tempfile::tempdir().unwrap();
    let url = |name: &str| format!("file://{}/{name}", folder.path().display());
    let deck = Deck::with(crate::harness::Setup {
        deck: json!({"additional_allowed_buckets": [url("one"), url("two")]}),
        ..Default::default()
    })
    .await;
    let store = async |bucket: &str, key: &str, text: &str| {
        let storage =
            ObjectStorage::open_bucket(&url(bucket), &StorageCredentials::default()).unwrap();
        let text = text.to_owned();
        storage
            .put_object(key, text, &ObjectAttributes::default())
            .await
            .unwrap();
    };
    let started = json!({"repos": {"o/r": "main"}}).to_string();
    store("two", &format!("{DIR}/started.json"), &started).await;
    let alias = "pr-logs/directory/unit/101";
    store(
        "one",
        &format!("{alias}.txt"),
        &format!("{}/{DIR}", url("two")),
    )
    .await;
    let view = |bucket: &str| format!("/view/file{}/{bucket}", folder.path().display());
    let path = format!("{}/{alias}", view("one"));
    let answer = deck.http.get(deck.url(&path)).send().await.unwrap();
    let to = answer
        .headers()
        .get("location")
        .map(|to| to.to_str().unwrap());
    assert_eq!(to, Some(format!("{}/{DIR}", view("two")).as_str()));
    // A bucket that this Deck may not open stays closed.
    store(
        "one",
        &format!("{alias}.txt"),
        &format!("file:///etc/{DIR}"),
    )
    .await;
    assert_eq!(deck.get(&path).await.0, 404);
}

#[tokio::test]
async fn a_huge_log_makes_a_small_page() {
    let deck = Deck::start().await;
    deck.create(prowjob("1", "unit", 1, "success", &decorated()))
        .await;
    deck.page_with("/", "job-1").await;
    let log: String = (1..=300_000)
        .map(|number| format!("line {number}\n"))
        .collect();
    deck.put(DIR, &format!("{DIR}/build-log.txt"), &log).await;
    let page = deck
        .page_with("/view/prowjob/unit/101", "id=\"L300000\"")
        .await;
    assert!(page.len() < 1 << 20, "{}", page.len());
    assert!(page.contains("id=\"L300000\"") && page.contains("lines are not shown here"));
}

#[tokio::test]
async fn each_of_several_containers_has_its_log() {
    let deck = Deck::start().await;
    let mut job = decorated();
    job["spec"]["pod_spec"]["containers"] = json!([{"name": "lint"}, {"name": "test"}]);
    deck.create(prowjob("1", "unit", 1, "failure", &job)).await;
    deck.page_with("/", "job-1").await;
    deck.put(DIR, &format!("{DIR}/build-log.txt"), "git clone\n")
        .await;
    let log = |container: &str| format!("/log?job=unit&id=101&container={container}");
    assert_eq!(
        deck.get(&log("test")).await,
        (200, "git clone\n".into()),
        "of a clone that failed there is but one"
    );
    for container in ["lint", "test"] {
        let key = format!("{DIR}/{container}-build-log.txt");
        deck.put(DIR, &key, &format!("of {container}\n")).await;
        let (status, text) = deck.get(&log(container)).await;
        assert_eq!((status, text), (200, format!("of {container}\n")));
        let path = format!("/view/prowjob/unit/101?container={container}");
        let (_, page) = deck.get(&path).await;
        assert!(page.contains(&format!(">of {container}</span>")), "{page}");
        assert!(page.contains(&format!("href=\"/storage/{key}\"")), "{page}");
    }
}

#[tokio::test]
async fn where_images_are_not_used_the_page_says_so() {
    let deck = Deck::start().await;
    for (name, minute, state) in [("1", 1, "pending"), ("2", 2, "triggered")] {
        deck.create(prowjob(name, "unit", minute, state, &json!({})))
            .await;
    }
    deck.page_with("/", "job-2").await;
    for (id, expected) in [("101", true), ("102", false)] {
        let (_, page) = deck.get(&format!("/view/prowjob/unit/{id}")).await;
        assert_eq!(page.contains("images are not used"), expected, "{page}");
    }
}

#[tokio::test]
async fn a_build_cluster_that_nobody_knows_is_named() {
    let deck = Deck::start().await;
    let cluster = json!({"spec": {"cluster": "nosuch"}});
    for (name, minute, state) in [("1", 1, "error"), ("2", 2, "pending")] {
        deck.create(prowjob(name, "unit", minute, state, &cluster))
            .await;
    }
    deck.page_with("/", "job-2").await;
    let why = "no context of the kubeconfig is named nosuch";
    for id in ["101", "102"] {
        let (_, page) = deck.get(&format!("/view/prowjob/unit/{id}")).await;
        for text in [why, "add a context of this name to the kubeconfig"] {
            assert!(page.contains(text), "{page}");
        }
        assert!(!page.contains("cannot be read now"), "{page}");
        let (status, text) = deck.get(&format!("/log?job=unit&id={id}")).await;
        assert_eq!(status, 404);
        assert!(text.contains(why), "{text}");
    }
}

#[tokio::test]
async fn of_one_endless_line_the_end_is_shown() {
    let deck = Deck::start().await;
    deck.create(prowjob("1", "unit", 1, "failure", &decorated()))
        .await;
    deck.page_with("/", "job-1").await;
    let log = format!("start\n{}the reason", "x".repeat(2 << 20));
    deck.put(DIR, &format!("{DIR}/build-log.txt"), &log).await;
    let page = deck
        .page_with("/view/prowjob/unit/101", "Only the end of line 2")
        .await;
    assert!(page.len() < 1 << 20, "{}", page.len());
    assert!(page.contains("the reason</span>"), "the end of the line");
    assert!(page.contains("Only the end of line 2 is shown here"));
}
