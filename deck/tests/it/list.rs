//! The list, its events, and what scripts read.

use serde_json::{Value, json};

use crate::harness::{Deck, Setup, prowjob, read_until};

/// The jobs of a page, in order.
fn jobs(page: &str) -> Vec<&str> {
    page.split("<tr id=\"job-")
        .skip(1)
        .map(|row| row.split('"').next().unwrap())
        .collect()
}

async fn with_four() -> Deck {
    let deck = Deck::start().await;
    let bob = json!({"spec": {"refs": {"repo": "s", "pulls": [{"number": 8, "author": "bob", "sha": "d"}]}}});
    let post = json!({"spec": {"type": "postsubmit", "refs": {"pulls": []}}});
    for object in [
        prowjob("1", "unit", 1, "success", &json!({})),
        prowjob(
            "2",
            "lint",
            2,
            "failure",
            &json!({"status": {"description": "<b>out of disk</b>"}}),
        ),
        prowjob("3", "unit", 3, "pending", &bob),
        prowjob("4", "post", 4, "success", &post),
    ] {
        deck.create(object).await;
    }
    deck.page_with("/", "job-4").await;
    deck
}

#[tokio::test]
async fn an_empty_deck_says_what_to_do() {
    let deck = Deck::start().await;
    let (status, page) = deck.get("/").await;
    assert_eq!(status, 200);
    assert!(
        page.contains("No jobs yet") && page.contains("prow-jobs.yaml"),
        "{page}"
    );
}

#[tokio::test]
async fn the_list_is_filtered_by_its_address() {
    let deck = with_four().await;
    for (query, expected) in [
        ("", "4 3 2 1"),
        ("?state=success", "4 1"),
        ("?repo=o/r", "4 2 1"),
        ("?job=unit", "3 1"),
        ("?job=*n*t", "3 2 1"),
        ("?author=bob", "3"),
        ("?type=postsubmit", "4"),
        ("?pull=7&state=failure", "2"),
        ("?author=nobody", ""),
    ] {
        let (status, page) = deck.get(&format!("/{query}")).await;
        assert_eq!(
            (status, jobs(&page).join(" ").as_str()),
            (200, expected),
            "{query}"
        );
    }
    let (status, page) = deck.get("/?state=green").await;
    assert!(
        status == 400 && page.contains("There is no state “green”"),
        "{page}"
    );
}

#[tokio::test]
async fn a_line_tells_and_links_what_matters() {
    let deck = with_four().await;
    let (_, page) = deck.get("/?job=lint").await;
    for text in [
        "✕</span> Failure",
        "https://github.com/o/r/pull/7",
        "ccccccc",
        "Mend &#60;it&#62;",
        "&#60;b&#62;out of disk",
        "datetime=\"2026-01-01T00:02:00Z\"",
        "/view/prowjob/lint/102",
        "<caption>Jobs 1–1 of 1, newest first</caption>",
    ] {
        assert!(page.contains(text), "{text} is not in {page}");
    }
}

#[tokio::test]
async fn changes_reach_an_open_page() {
    let deck = with_four().await;
    let (_, page) = deck.get("/?author=bob").await;
    let events = page
        .split("data-events=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    // The page is older than its subscription: changes in between are sent as well.
    deck.patch(
        "3",
        json!({"status": {"state": "success", "completionTime": "2026-01-01T02:00:00Z"}}),
    )
    .await;
    let mut answer = deck
        .http
        .get(deck.url(&events.replace("&#38;", "&")))
        .send()
        .await
        .unwrap();
    let told = read_until(&mut answer, "\n\n").await;
    assert!(
        told.contains("event: job") && told.contains(r#""from":"pending","to":"success""#),
        "{told}"
    );

    deck.create(prowjob("5", "other", 5, "pending", &json!({})))
        .await;
    deck.delete("3").await;
    let told = read_until(&mut answer, "\n\n").await;
    assert!(
        told.contains(r#""name":"3""#) && told.contains(r#""to":null"#),
        "alice's job is not bob's news: {told}"
    );
}

#[tokio::test]
async fn a_page_of_another_process_is_told_to_load_again() {
    let deck = with_four().await;
    let mut answer = deck
        .http
        .get(deck.url("/events?since=elsewhere-3"))
        .send()
        .await
        .unwrap();
    read_until(&mut answer, "event: reset\ndata: ").await;
}

#[tokio::test]
async fn an_unreadable_object_does_not_end_the_watch() {
    let deck = Deck::with(Setup {
        any_object: true,
        ..Setup::default()
    })
    .await;
    deck.create(prowjob("1", "unit", 1, "success", &json!({})))
        .await;
    deck.create(prowjob(
        "2",
        "unit",
        2,
        "success",
        &json!({"spec": {"refs": {"pulls": [{"number": "seven"}]}}}),
    ))
    .await;
    deck.create(prowjob("3", "unit", 3, "melted", &json!({})))
        .await;
    deck.create(prowjob("4", "unit", 4, "success", &json!({})))
        .await;
    let page = deck.page_with("/", "job-4").await;
    assert_eq!(jobs(&page).join(" "), "4 1");
}

#[tokio::test]
async fn scripts_read_the_objects() {
    let deck = with_four().await;
    let (_, json) = deck.get("/prowjobs.js").await;
    let all: Value = serde_json::from_str(&json).unwrap();
    let names: Vec<_> = all["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|job| job["metadata"]["name"].as_str())
        .collect();
    assert_eq!(names, [Some("4"), Some("3"), Some("2"), Some("1")]);
    assert_eq!(
        all["items"][3]["spec"]["refs"]["pulls"][0]["author"],
        "alice"
    );

    let (_, script) = deck
        .get("/prowjobs.js?var=allBuilds&omit=annotations,labels,decoration_config,pod_spec")
        .await;
    assert!(
        script.starts_with("var allBuilds = {\"items\":[{") && script.ends_with("}]};"),
        "{script}"
    );
    assert_eq!(deck.get("/prowjobs.js?var=alert(1)//").await.0, 400);

    let (_, json) = deck.get("/prowjobs.js?org=o&repo=s&owner=bob").await;
    let some: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(some["items"].as_array().unwrap().len(), 1);

    let (status, yaml) = deck.get("/prowjob?prowjob=2").await;
    assert!(status == 200 && yaml.contains("job: lint"), "{yaml}");
    assert_eq!(deck.get("/prowjob?prowjob=nope").await.0, 404);
}

#[tokio::test]
async fn repositories_are_looked_for_as_prow_does() {
    let deck = with_four().await;
    let extra = json!({"spec": {"type": "periodic", "refs": null, "extra_refs": [
        {"org": "a", "repo": "x"}, {"org": "b", "repo": "y"}]}});
    let both = json!({"spec": {"extra_refs": [{"org": "a", "repo": "x"}]}});
    deck.create(prowjob("5", "nightly", 5, "success", &extra))
        .await;
    deck.create(prowjob("6", "both", 6, "success", &both)).await;
    deck.page_with("/", "job-6").await;
    for (query, expected) in [
        ("org=a&repo=x", vec!["5"]),
        // Each filter is applied on its own.
        ("org=a&repo=y", vec!["5"]),
        ("repo=x", vec!["5"]),
        ("org=o&repo=s", vec!["3"]),
        ("org=o", vec!["6", "4", "3", "2", "1"]),
        ("org=O", vec![]),
    ] {
        let (_, json) = deck.get(&format!("/prowjobs.js?{query}")).await;
        let all: Value = serde_json::from_str(&json).unwrap();
        let items = all["items"].as_array().unwrap().iter();
        let names: Vec<_> = items
            .map(|job| job["metadata"]["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, expected, "{query}");
    }
}

#[tokio::test]
async fn titles_are_those_that_are_looked_for() {
    let deck = with_four().await;
    for (path, title) in [
        ("/", "<title>Prow Status</title>"),
        ("/view/prowjob/lint/102", "lint #102 · Prow</title>"),
    ] {
        let (_, page) = deck.get(path).await;
        assert!(page.contains(title), "{page}");
    }
}

#[tokio::test]
async fn badges_show_the_newest_runs() {
    let deck = with_four().await;
    for (jobs, expected) in [
        ("lint", "build: failing lint"),
        ("un*", "build: passing"),
        ("[k-m]int", "build: failing lint"),
        ("[^u]*t", "build: failing lint"),
        ("[", "build: no results"),
        ("x", "build: no results"),
    ] {
        let (status, svg) = deck.get(&format!("/badge.svg?jobs={jobs}")).await;
        assert!(status == 200 && svg.contains(expected), "{svg}");
    }
    let stars = format!("/badge.svg?jobs={}", "*".repeat(60_000));
    let names = format!("/badge.svg?jobs={}", "a,".repeat(101));
    for path in ["/badge.svg", &stars, &names] {
        assert_eq!(
            deck.get(path).await.0,
            400,
            "{}",
            &path[..20.min(path.len())]
        );
    }
    let (status, page) = deck.get(&format!("/?job={}", "*".repeat(60_000))).await;
    assert!(
        status == 400 && page.contains("at most 256 bytes"),
        "{page}"
    );
}

#[tokio::test]
async fn every_answer_is_safe_to_show() {
    let deck = with_four().await;
    for (path, expected) in [
        ("/", 200),
        ("/nowhere", 404),
        ("/static/style.css", 200),
        ("/static/x", 404),
        ("/tide", 501),
    ] {
        let answer = deck.http.get(deck.url(path)).send().await.unwrap();
        assert_eq!(answer.status(), expected, "{path}");
        assert_eq!(
            answer.headers()["x-content-type-options"],
            "nosniff",
            "{path}"
        );
        let policy = answer.headers()["content-security-policy"]
            .to_str()
            .unwrap();
        assert!(policy.contains("default-src 'none'"), "{path}: {policy}");
        let text = answer.text().await.unwrap();
        assert!(
            !text.contains(" style=\"") && !text.contains("<script>"),
            "nothing inline in {path}"
        );
    }
    let style = deck
        .http
        .get(deck.url("/static/style.css"))
        .send()
        .await
        .unwrap();
    let etag = style.headers()["etag"].clone();
    let again = deck
        .http
        .get(deck.url("/static/style.css"))
        .header("if-none-match", etag)
        .send()
        .await
        .unwrap();
    assert_eq!(again.status(), 304);
}
