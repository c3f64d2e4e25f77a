//! Secrets in objects are served nowhere.

use serde_json::{Value, json};

use crate::harness::{Deck, decorated, prowjob, until};

const DIR: &str = "pr-logs/pull/o_r/7/unit/101";
/// In a variable, in a URL, in an argument, in a termination message.
const SECRETS: [&str; 4] = [
    "pat-0123456789",
    "url-0123456789",
    "arg-0123456789",
    "end-0123456789",
];
const HARMLESS: &str = "harmless-word";

fn job() -> Value {
    let [pat, url, argument, _] = SECRETS;
    let mut job = decorated();
    job["metadata"]["annotations"]["note"] = format!("{HARMLESS} {pat}").into();
    job["spec"]["refs"]["clone_uri"] = format!("https://me:{url}@github.com/o/r").into();
    job["spec"]["pod_spec"]["containers"] = json!([{
        "name": "test",
        "image": "x",
        "args": [format!("--token={argument}"), HARMLESS],
        "env": [
            {"name": "GH_PAT", "value": pat},
            {"name": "GREETING", "value": HARMLESS},
            {"name": "PATH_TO_IT", "value": format!("/x/{pat}")},
        ],
    }]);
    job["status"]["description"] = format!("{HARMLESS}: {pat} {url} {argument}").into();
    prowjob("1", "unit", 1, "failure", &job)
}

fn pod(job: &Value) -> Value {
    let ended = json!({"exitCode": 1, "message": SECRETS[3], "reason": HARMLESS});
    json!({"pod": {
        "kind": "Pod",
        "spec": job["spec"]["pod_spec"],
        "status": {"containerStatuses": [{"name": "test", "state": {"terminated": ended}}]},
    }, "unknown": [1, {"a": HARMLESS}]})
}

async fn get(deck: &Deck, path: &str, range: Option<&str>) -> (u16, String) {
    let mut request = deck.http.get(deck.url(path));
    if let Some(range) = range {
        request = request.header("range", range);
    }
    let answer = request.send().await.unwrap();
    let told = format!("{:?}", answer.headers());
    let status = answer.status().as_u16();
    (
        status,
        format!("{told}\n\n{}", answer.text().await.unwrap()),
    )
}

#[tokio::test]
async fn what_is_secret_in_an_object_is_served_nowhere() {
    let deck = Deck::start().await;
    let job = job();
    deck.create(job.clone()).await;
    deck.page_with("/", "job-1").await;
    for (name, object) in [("prowjob.json", &job), ("podinfo.json", &pod(&job))] {
        assert_eq!(
            deck.put(DIR, &format!("{DIR}/{name}"), &object.to_string())
                .await,
            201
        );
    }
    let files = [format!("{DIR}/prowjob.json"), format!("{DIR}/podinfo.json")];
    let files = files.iter().flat_map(|key| {
        [
            format!("/storage/{key}"),
            format!("/artifact/storage/{key}"),
        ]
    });
    let files: Vec<String> = files.collect();
    for gone in [false, true] {
        let mut paths = vec![format!("/view/storage/{DIR}")];
        if !gone {
            let live = [
                "/prowjob?prowjob=1",
                "/prowjobs.js?var=x",
                "/view/prowjob/unit/101",
            ];
            paths.extend(live.map(str::to_owned));
        }
        for path in paths.iter().chain(&files) {
            for range in [
                None,
                Some("bytes=0-99999"),
                Some("bytes=-600"),
                Some("bytes=100-300"),
            ] {
                let (status, text) = get(&deck, path, range).await;
                assert_eq!(status, 200, "{path}: {text}");
                assert!(text.contains(HARMLESS), "{path}: {text}");
                for secret in SECRETS {
                    assert!(!text.contains(secret), "{path}: {text}");
                }
            }
        }
        let (_, text) = deck.get(&files[2]).await;
        let object: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(object["unknown"], json!([1, {"a": HARMLESS}]));
        if !gone {
            deck.delete("1").await;
            until("it is gone", async || {
                let (status, _) = deck.get("/prowjob?prowjob=1").await;
                (status == 404).then_some(())
            })
            .await;
        }
    }
}

#[tokio::test]
async fn an_object_that_cannot_be_looked_through_is_not_shown() {
    let deck = Deck::start().await;
    let key = format!("{DIR}/podinfo.json");
    for text in [
        format!("GH_PAT={}", SECRETS[0]),
        format!("{{\"a\": \"{}\"", SECRETS[0]),
    ] {
        assert_eq!(deck.put(DIR, &key, &text).await, 201);
        let (status, told) = deck.get(&format!("/storage/{key}")).await;
        assert_eq!(status, 403);
        assert!(!told.contains(SECRETS[0]), "{told}");
    }
}

#[tokio::test]
async fn a_copy_that_was_served_with_its_secrets_is_not_confirmed() {
    let deck = Deck::start().await;
    let key = format!("{DIR}/prowjob.json");
    assert_eq!(deck.put(DIR, &key, &job().to_string()).await, 201);
    let url = deck.url(&format!("/storage/{key}"));
    let answer = deck.http.get(&url).send().await.unwrap();
    let tag = answer.headers()["etag"].to_str().unwrap().to_owned();
    let confirmed = async |tag: &str| {
        let request = deck.http.get(&url).header("if-none-match", tag);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(confirmed(&tag).await, 304);
    assert_eq!(confirmed(&tag.replace("redacted-", "")).await, 200);
}
