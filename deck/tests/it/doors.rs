//! Every route of the table: its security headers, and that no response reveals a hidden run.

use std::collections::BTreeSet;

use deck::{Route, RouteVisibility, SecurityPolicy, list_routes};
use http::{HeaderMap, Method};
use jiff::Timestamp;
use serde_json::json;

use crate::harness::{Deck, Setup, decorated, in_an_hour, prowjob};

/// A run with all its names.
#[derive(Clone, Copy)]
struct Named {
    prowjob: &'static str,
    job: &'static str,
    id: &'static str,
}

const PUBLIC: Named = Named {
    prowjob: "1",
    job: "unit",
    id: "101",
};
const HIDDEN: Named = Named {
    prowjob: "2",
    job: "shrouded",
    id: "102",
};
const GONE: Named = Named {
    prowjob: "3",
    job: "vanished",
    id: "103",
};
const UNKNOWN: Named = Named {
    prowjob: "4",
    job: "absent",
    id: "104",
};

impl Named {
    fn folder(self) -> String {
        format!("pr-logs/pull/o_r/7/{}/{}", self.job, self.id)
    }

    /// Each address that this route has for the run or its objects.
    fn addresses(self, route: &Route) -> Vec<String> {
        let Self { prowjob, job, id } = self;
        let folder = self.folder();
        let rest: Vec<String> = match route.visibility {
            RouteVisibility::Everyone | RouteVisibility::Listing => {
                return vec![route.path.to_owned()];
            }
            RouteVisibility::Build => return vec![format!("{}?job={job}&id={id}", route.path)],
            RouteVisibility::ProwJob => return vec![format!("{}?prowjob={prowjob}", route.path)],
            RouteVisibility::Page => vec![
                format!("prowjob/{job}/{id}"),
                format!("storage/{folder}"),
                format!("storage/pr-logs/directory/{job}/{id}"),
            ],
            RouteVisibility::Artifact => self.keys("storage/"),
            RouteVisibility::Storage => self.keys(""),
        };
        let with = |rest: &String| route.path.replace("{*path}", rest).replace("{*key}", rest);
        rest.iter().map(with).collect()
    }

    fn keys(self, before: &str) -> Vec<String> {
        let Self { job, id, .. } = self;
        let folder = self.folder();
        [
            format!("{before}{folder}/build-log.txt"),
            format!("{before}{folder}/none.txt"),
            format!("{before}pr-logs/directory/{job}/{id}.txt"),
            format!("{before}pr-logs/directory/{job}/latest-build.txt"),
        ]
        .into()
    }

    /// The text without the names of the run.
    fn anonymous(self, text: &str) -> String {
        text.replace(self.job, "JOB").replace(self.id, "ID")
    }
}

async fn with_runs() -> Deck {
    let deck = Deck::with(Setup {
        deck: json!({"hidden_repos": ["o/hush"]}),
        job_file: Some(
            "periodics: [{name: vanished, hidden: true, interval: 1h, agent: kubernetes, \
             spec: {containers: [{image: x, command: [x]}]}}]",
        ),
        max_object_size: Some(64),
        ..Setup::default()
    })
    .await;
    let mut hidden = decorated();
    hidden["spec"]["hidden"] = true.into();
    hidden["spec"]["refs"] = json!({"pulls": [{"number": 7, "author": "mallory", "sha": "e"}]});
    // Deck gets them in this order.
    for (run, extra) in [(HIDDEN, hidden), (PUBLIC, decorated())] {
        deck.create(prowjob(run.prowjob, run.job, 1, "success", &extra))
            .await;
    }
    deck.page_with("/", "job-1").await;
    for run in [PUBLIC, HIDDEN, GONE] {
        let folder = run.folder();
        for (key, text) in [
            (format!("{folder}/build-log.txt"), "0123456789".to_owned()),
            (
                format!("{folder}/started.json"),
                r#"{"timestamp": 1, "repos": {"o/r": "main"}}"#.to_owned(),
            ),
            (
                format!("pr-logs/directory/{}/{}.txt", run.job, run.id),
                format!("http://deck/storage/{folder}"),
            ),
            (
                format!("pr-logs/directory/{}/latest-build.txt", run.job),
                run.id.to_owned(),
            ),
        ] {
            deck.store(&key, &text, "text/plain").await;
        }
    }
    deck
}

/// The requests to each address: a method and one header.
const ASKED: [(&str, &str, &str); 12] = [
    ("GET", "x-none", ""),
    ("HEAD", "x-none", ""),
    ("GET", "if-none-match", "ETAG"),
    ("GET", "range", "bytes=0-3"),
    ("GET", "range", "bytes=999999-"),
    ("GET", "authorization", "Bearer v1.of.nobody"),
    ("GET", "authorization", "Bearer another's"),
    ("POST", "x-none", ""),
    ("PUT", "x-none", ""),
    ("PUT", "origin", "http://evil.example"),
    ("DELETE", "x-none", ""),
    ("OPTIONS", "x-none", ""),
];

struct Answer {
    status: u16,
    headers: HeaderMap,
    /// Empty for events, which do not end.
    body: String,
}

async fn ask(deck: &Deck, path: &str, (method, name, value): (&str, &str, &str)) -> Answer {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let value = match value {
        "ETAG" => {
            let first = deck.http.get(deck.url(path)).send().await.unwrap();
            let etag = first.headers().get("etag");
            etag.map_or("\"none\"".to_owned(), |etag| {
                etag.to_str().unwrap().to_owned()
            })
        }
        value => value.to_owned(),
    };
    let request = deck
        .http
        .request(method, deck.url(path))
        .header(name, value);
    let answer = request.send().await.unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let endless = headers
        .get("content-type")
        .is_some_and(|kind| kind == "text/event-stream");
    let body = if endless {
        String::new()
    } else {
        answer.text().await.unwrap()
    };
    Answer {
        status,
        headers,
        body,
    }
}

fn is_dressed(route: &Route, answer: &Answer, what: &str) {
    let header = |name: &str| answer.headers[name].to_str().unwrap().to_owned();
    assert_eq!(header("x-content-type-options"), "nosniff", "{what}");
    let policy = header("content-security-policy");
    let scripts = policy
        .split("; ")
        .find(|part| part.starts_with("script-src"));
    if route.dress == SecurityPolicy::Page {
        let scripts = scripts.unwrap();
        assert!(
            scripts.ends_with("/static/") && !scripts.contains("'self'"),
            "{what}: {policy}"
        );
    } else {
        assert!(
            policy.starts_with("sandbox; default-src 'none'; "),
            "{what}: {policy}"
        );
        assert_eq!(scripts, None, "{what}");
    }
}

#[tokio::test]
async fn every_route_is_safe_at_every_status_and_shows_no_hidden_run() {
    let deck = with_runs().await;
    let mut seen = BTreeSet::new();
    for route in list_routes() {
        let of_runs = route.visibility.is_of_one_run();
        for asked in ASKED {
            for path in PUBLIC.addresses(&route) {
                let what = format!("{asked:?} {path}");
                let answer = ask(&deck, &path, asked).await;
                is_dressed(&route, &answer, &what);
                seen.insert(answer.status);
                if asked.0 == "GET" && asked.1 == "x-none" && of_runs && !path.contains("none") {
                    assert!(
                        [200, 307, 303].contains(&answer.status),
                        "{what}: {}",
                        answer.status
                    );
                }
                for text in ["shrouded", "mallory", "hush", "vanished"] {
                    assert!(!answer.body.contains(text), "{what}: {}", answer.body);
                }
            }
            for hidden in [HIDDEN, GONE].into_iter().filter(|_| of_runs) {
                let both = hidden
                    .addresses(&route)
                    .into_iter()
                    .zip(UNKNOWN.addresses(&route));
                for (path, unknown_path) in both {
                    let what = format!("{asked:?} {path}");
                    let answer = ask(&deck, &path, asked).await;
                    let unknown = ask(&deck, &unknown_path, asked).await;
                    is_dressed(&route, &answer, &what);
                    seen.insert(answer.status);
                    assert!(answer.status >= 400, "{what}: {}", answer.status);
                    assert_eq!(answer.status, unknown.status, "{what}");
                    assert_eq!(
                        hidden.anonymous(&answer.body),
                        UNKNOWN.anonymous(&unknown.body),
                        "{what}"
                    );
                    let others = |headers: &HeaderMap| {
                        let mut headers = headers.clone();
                        headers.remove("date");
                        headers
                    };
                    assert_eq!(others(&answer.headers), others(&unknown.headers), "{what}");
                }
            }
        }
    }
    seen.extend(uploads(&deck).await);
    for status in [
        200, 206, 304, 307, 400, 401, 403, 404, 405, 412, 413, 416, 501,
    ] {
        assert!(
            seen.contains(&status) || (status == 307 && seen.contains(&303)),
            "{status}: {seen:?}"
        );
    }
}

/// The statuses of uploads with a token.
async fn uploads(deck: &Deck) -> BTreeSet<u16> {
    let route = list_routes()
        .find(|route| route.methods.contains(&"PUT"))
        .unwrap();
    let folder = PUBLIC.folder();
    let token = common::storage::token::sign_token(crate::harness::KEY, &folder, in_an_hour());
    let expired = Timestamp::from_second(1).unwrap();
    let expired = common::storage::token::sign_token(crate::harness::KEY, &folder, expired);
    let mut seen = BTreeSet::new();
    for (token, name, length, only_if_absent) in [
        (&token, "new.txt", 10, "x-none"),
        (&token, "build-log.txt", 10, "if-none-match"),
        (&token, "long.txt", 100, "x-none"),
        (&expired, "new.txt", 10, "x-none"),
    ] {
        let request = deck
            .http
            .put(deck.url(&format!("/storage/{folder}/{name}")))
            .bearer_auth(token)
            .header(only_if_absent, "*")
            .body("x".repeat(length));
        let answer = request.send().await.unwrap();
        let answer = Answer {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            body: String::new(),
        };
        is_dressed(&route, &answer, name);
        seen.insert(answer.status);
    }
    assert_eq!(seen, BTreeSet::from([201, 403, 412, 413]));
    seen
}

#[tokio::test]
async fn keys_that_belong_to_no_run_are_served_to_nobody() {
    let deck = Deck::start().await;
    for key in [
        "terraform.tfstate",
        "logs/unit/7",
        "logs/unit/not-a-number/build-log.txt",
        "pr-logs/directory/unit/x.txt",
        "deeper/logs/unit/latest-build.txt",
    ] {
        deck.store(key, "a key", "text/plain").await;
        for way in ["/storage/", "/artifact/storage/"] {
            let (status, text) = deck.get(&format!("{way}{key}")).await;
            assert_eq!(status, 404, "{way}{key}");
            assert!(!text.contains("a key"), "{text}");
        }
    }
    deck.store("logs/unit/8/build-log.txt", "of a run", "text/plain")
        .await;
    assert_eq!(deck.get("/storage/logs/unit/8/build-log.txt").await.0, 200);
}

#[tokio::test]
async fn a_loopback_deck_answers_to_no_foreign_name() {
    let deck = Deck::with(Setup {
        allowed_hosts: vec!["deck.internal".to_owned()],
        ..Setup::default()
    })
    .await;
    for (host, expected) in [
        ("localhost", 200),
        ("localhost:8080", 200),
        ("127.0.0.1", 200),
        ("[::1]:8080", 200),
        ("Deck.Internal:80", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("x.deck.internal", 421),
    ] {
        for route in list_routes() {
            let path = PUBLIC.addresses(&route).remove(0);
            // Events do not end, so only their head is read.
            let request = deck.http.get(deck.url(&path)).header("host", host);
            let answer = request.send().await.unwrap();
            let refused = answer.status() == 421;
            assert_eq!(refused, expected == 421, "{host} {path}");
            if refused {
                let text = answer.text().await.unwrap();
                assert!(
                    text.contains("--allowed-host") && !text.contains(host),
                    "{text}"
                );
            }
        }
    }
    assert_eq!(
        deck.raw("GET http://evil.example/ HTTP/1.1\r\nHost: localhost")
            .await,
        421
    );
    assert_eq!(
        deck.raw("GET http://localhost:1/ HTTP/1.1\r\nHost: localhost:1")
            .await,
        200
    );
    assert_eq!(deck.raw("GET / HTTP/1.0").await, 421);
}
