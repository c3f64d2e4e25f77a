//! What Deck's own scripts do: they follow, pause and continue.

use std::io::Write as _;
use std::time::Duration;

use serde_json::json;

use super::chromium::Browser;
use super::proxy::Proxy;
use crate::harness::{Deck, decorated, prowjob, until};

const DIR: &str = "pr-logs/pull/o_r/7/unit/101";
const PAGE: &str = "/view/prowjob/unit/101";

/// Lets a test hide the page, and reports how it looks.
const TOOLS: &str = r#"
"use strict";
let isHidden = false;
Object.defineProperty(document, "hidden", { get: () => isHidden });
function hide(hidden) { isHidden = hidden; document.dispatchEvent(new Event("visibilitychange")); }
const tell = (what) => fetch(`/beacon?${what}`);
const soon = (seconds, what) => setTimeout(what, seconds * 1000);
"#;

async fn running(lines: u32) -> (Deck, std::path::PathBuf) {
    let deck = Deck::start().await;
    deck.create(prowjob("1", "unit", 1, "pending", &decorated()))
        .await;
    let log = deck.pod("1").await;
    let text: String = (1..=lines)
        .map(|number| format!("line {number}\n"))
        .collect();
    std::fs::write(&log, text).unwrap();
    deck.page_with("/", "job-1").await;
    (deck, log)
}

fn append(log: &std::path::Path, text: &str) {
    let mut file = std::fs::OpenOptions::new().append(true).open(log).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// The first report with this name, without the name.
fn told(proxy: &Proxy, what: &str) -> Option<String> {
    let beginning = format!("/beacon?{what}=");
    let seen = proxy.seen();
    let mut paths = seen
        .iter()
        .filter_map(|(path, _)| path.strip_prefix(&beginning));
    paths.next().map(str::to_owned)
}

#[tokio::test]
async fn a_hidden_tab_has_no_stream_and_goes_on_where_it_was() {
    for (page, stream) in [("/", "/events"), (PAGE, "/log/events")] {
        let (deck, log) = running(5).await;
        let proxy = Proxy::start(&deck.base).await;
        let script = format!(
            "{TOOLS} soon(2, () => {{ hide(true); soon(1, () => tell('hidden=1')); }});
             soon(5, () => {{ hide(false); soon(2, () => tell(
                 'rows=' + document.querySelectorAll('#lines .ln').length)); }});"
        );
        proxy.add_script(&script, Duration::from_secs(9));
        let (url, browser) = (proxy.url(page), Browser::new());
        let shown = browser.show_live(&url);
        let watched = async {
            until("it listens", async || {
                (proxy.open(stream) == 1).then_some(())
            })
            .await;
            until("it is hidden", async || told(&proxy, "hidden")).await;
            assert_eq!(proxy.open(stream), 0, "a hidden tab holds no connection");
            append(&log, "more\n");
            until("it listens again", async || {
                (proxy.open(stream) == 1).then_some(())
            })
            .await;
            until("it has told", async || told(&proxy, "rows")).await
        };
        let (_, rows) = tokio::join!(shown, watched);
        if page == PAGE {
            assert_eq!(rows, "6", "nothing twice, nothing lost: {:?}", proxy.seen());
            assert!(proxy.has_seen("/log/events?job=unit&id=101&container=test&after=5"));
        }
    }
}

#[tokio::test]
async fn a_followed_log_follows_and_says_how_it_ended() {
    let (deck, log) = running(400).await;
    let proxy = Proxy::start(&deck.base).await;
    let script = format!(
        "{TOOLS}
         const end = () => document.getElementById('end').getBoundingClientRect();
         const isSeen = () => end().top >= 0 && end().top <= innerHeight + 1;
         soon(2, () => tell('first=' + isSeen()));
         const look = setInterval(() => {{
             const text = document.getElementById('log-meta').textContent;
             if (!text.startsWith('600 lines')) return;
             clearInterval(look);
             tell('second=' + isSeen() + encodeURIComponent(' ' + text));
         }}, 200);
         const why = setInterval(() => {{
             if (!document.querySelector('#outcome .failure')) return;
             clearInterval(why);
             const files = document.getElementById('artifacts').textContent;
             tell('why=' + files.includes('report.xml'));
         }}, 200);"
    );
    proxy.add_script(&script, Duration::from_secs(20));
    let (url, browser) = (proxy.url(PAGE), Browser::new());
    let shown = browser.show_live(&url);
    let watched = async {
        let first = until("it is loaded", async || told(&proxy, "first")).await;
        assert_eq!(first, "true", "the end is in sight");
        let more: String = (401..=600)
            .map(|number| format!("line {number}\n"))
            .collect();
        append(&log, &more);
        let second = until("lines have come", async || told(&proxy, "second")).await;
        assert_eq!(second, "true%20600%20lines%20%C2%B7%205.2%20KiB");
        let digest = json!({"kind": "log", "summary": "it broke", "container": "test"});
        for (name, text) in [
            ("artifacts/report.xml", "<x/>".to_owned()),
            ("failure.json", digest.to_string()),
        ] {
            assert_eq!(deck.put(DIR, &format!("{DIR}/{name}"), &text).await, 201);
        }
        deck.end_pod("1").await;
        let status = json!({"state": "failure", "completionTime": "2026-01-01T00:02:05Z"});
        deck.patch("1", json!({"status": status})).await;
        let why = until("it says why", async || told(&proxy, "why")).await;
        assert_eq!(why, "true", "and has the files, without a reload");
    };
    tokio::join!(shown, watched);
    let loads = proxy.seen().iter().filter(|(path, _)| path == PAGE).count();
    assert!(loads >= 2, "the script has asked for the page again");
}

#[tokio::test]
async fn a_line_that_the_page_does_not_have_is_led_to() {
    let deck = Deck::start().await;
    deck.create(prowjob("1", "unit", 1, "success", &decorated()))
        .await;
    deck.page_with("/", "job-1").await;
    let log: String = (1..=100_000)
        .map(|number| format!("line {number}\n"))
        .collect();
    let key = format!("{DIR}/build-log.txt");
    assert_eq!(deck.put(DIR, &key, &log).await, 201);
    let proxy = Proxy::start(&deck.base).await;
    let script = format!(
        "{TOOLS} soon(3, () => {{
             const line = document.querySelector('.ln.target');
             const box = line?.getBoundingClientRect();
             tell('at=' + line?.id + (box.top >= 0 && box.top < innerHeight));
         }});"
    );
    proxy.add_script(&script, Duration::from_secs(5));
    let url = proxy.url(&format!("{PAGE}#L50000"));
    Browser::new().show_live(&url).await;
    let at = until("it has told", async || told(&proxy, "at")).await;
    assert_eq!(at, "L50000true", "{:?}", proxy.seen());
}

#[tokio::test]
async fn a_page_is_tried_again_until_deck_is_back() {
    let (deck, _) = running(5).await;
    let proxy = Proxy::start(&deck.base).await;
    let script = format!(
        "{TOOLS} const live = () => document.getElementById('live').textContent;
         soon(2, () => tell('before=' + encodeURIComponent(live())));
         soon(5, () => tell('while=' + encodeURIComponent(live())));
         soon(14, () => tell('after=' + encodeURIComponent(live())));"
    );
    for page in ["/", PAGE] {
        proxy.forget();
        proxy.add_script(&script, Duration::from_secs(16));
        let (url, browser) = (proxy.url(page), Browser::new());
        let shown = browser.show_live(&url);
        let watched = async {
            let before = until("it is live", async || told(&proxy, "before")).await;
            assert_eq!(before, "Live", "{page}");
            proxy.fail(true);
            let during = until("it has lost", async || told(&proxy, "while")).await;
            assert!(during.starts_with("Not%20connected"), "{page}: {during}");
            proxy.fail(false);
            let after = until("it is back", async || told(&proxy, "after")).await;
            assert_eq!(after, "Live", "{page}");
        };
        tokio::join!(shown, watched);
    }
}
