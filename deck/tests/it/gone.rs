//! Who may see a run whose `ProwJob` is gone, or that is kept in an odd place.

use serde_json::json;

use crate::harness::{Deck, Setup, decorated, prowjob};

const JOBS: &str = "
periodics:
- {name: open, interval: 1h, agent: kubernetes, spec: {containers: [{image: x, command: [x]}]}}
- {name: shut, hidden: true, interval: 1h, agent: kubernetes, spec: {containers: [{image: x, command: [x]}]}}
- {name: both, interval: 1h, agent: kubernetes, spec: {containers: [{image: x, command: [x]}]}}
- {name: theirs, interval: 1h, agent: kubernetes, prowjob_defaults: {tenant_id: t}, spec: {containers: [{image: x, command: [x]}]}}
presubmits:
  o/hush:
  - {name: both, agent: kubernetes, spec: {containers: [{image: x, command: [x]}]}}
  hidden-org/r:
  - {name: of-org, agent: kubernetes, spec: {containers: [{image: x, command: [x]}]}}
";

async fn start() -> Deck {
    Deck::with(Setup {
        deck: json!({"hidden_repos": ["o/hush", "hidden-org", "https://gerrit.example.com"]}),
        job_file: Some(JOBS),
        ..Setup::default()
    })
    .await
}

/// The status of the run's log at each way to it, all the same.
async fn status(deck: &Deck, folder: &str) -> u16 {
    let mut all = Vec::new();
    for way in [
        format!("/storage/{folder}/build-log.txt"),
        format!("/artifact/storage/{folder}/build-log.txt"),
        format!("/view/storage/{folder}"),
    ] {
        let (status, text) = deck.get(&way).await;
        assert_eq!(
            text.contains("its own words"),
            status == 200,
            "{way}: {text}"
        );
        all.push(status);
    }
    all.dedup();
    assert_eq!(all.len(), 1, "{folder}: {all:?}");
    all[0]
}

#[tokio::test]
async fn each_word_may_hide_a_run_and_silence_does() {
    let deck = start().await;
    let finished = r#"{"passed": true, "result": "SUCCESS"}"#;
    let own = |spec: serde_json::Value| {
        let mut spec = spec;
        spec["type"] = "periodic".into();
        spec["job"] = "x".into();
        json!({"apiVersion": "prow.k8s.io/v1", "kind": "ProwJob", "metadata": {"name": "x"},
            "spec": spec, "status": {"state": "success"}})
        .to_string()
    };
    let open = own(json!({}));
    let large = format!("{{\"x\": \"{}\"}}", "x".repeat(3 << 20));
    let started = |repos: &str| format!(r#"{{"timestamp": 1, "repos": {{{repos}}}}}"#);
    let mut build = 100;
    for (what, dir, prowjob, started, expected) in [
        ("nobody speaks", "logs/gone", None, None, 404),
        ("a configured job", "logs/open", None, None, 200),
        ("hidden", "logs/shut", None, None, 404),
        (
            "hidden, whatever it wrote",
            "logs/shut",
            Some(open.clone()),
            Some(started(r#""o/r": """#)),
            404,
        ),
        (
            "one of two of the name is",
            "logs/both",
            Some(open.clone()),
            None,
            404,
        ),
        (
            "of a hidden organisation",
            "pr-logs/pull/hidden-org_r/7/of-org",
            None,
            None,
            404,
        ),
        ("a tenant's", "logs/theirs", Some(open.clone()), None, 404),
        (
            "its prowjob.json shows it",
            "logs/gone",
            Some(open.clone()),
            None,
            200,
        ),
        (
            "and hides it",
            "logs/open",
            Some(own(json!({"hidden": true}))),
            None,
            404,
        ),
        (
            "by a repository",
            "logs/gone",
            Some(own(
                json!({"extra_refs": [{"org": "o", "repo": "x"}, {"org": "o", "repo": "hush"}]}),
            )),
            None,
            404,
        ),
        (
            "by a tenant",
            "logs/gone",
            Some(own(json!({"prowjob_defaults": {"tenant_id": "t"}}))),
            None,
            404,
        ),
        ("it is too large", "logs/open", Some(large), None, 404),
        (
            "it is no JSON",
            "logs/open",
            Some("{".to_owned()),
            None,
            404,
        ),
        (
            "started.json shows it",
            "logs/gone",
            None,
            Some(started(r#""o/r": "", "o/s": """#)),
            200,
        ),
        (
            "each repository counts",
            "logs/gone",
            None,
            Some(started(r#""o/a": "", "o/hush": """#)),
            404,
        ),
        (
            "also after a prowjob.json",
            "logs/gone",
            Some(open.clone()),
            Some(started(r#""o/hush": """#)),
            404,
        ),
        ("it names none", "logs/gone", None, Some(started("")), 404),
        (
            "its path shows it",
            "pr-logs/pull/o_r/7/gone",
            None,
            None,
            200,
        ),
        (
            "and hides it",
            "pr-logs/pull/o_hush/7/gone",
            Some(open.clone()),
            None,
            404,
        ),
        (
            "no repository in the path",
            "pr-logs/pull/7/gone",
            None,
            None,
            404,
        ),
        ("of a batch", "pr-logs/pull/batch/gone", None, None, 404),
        (
            "of a hidden Gerrit",
            "pr-logs/pull/gerrit.example.com_a_b/7/gone",
            None,
            None,
            404,
        ),
        (
            "by its repositories",
            "logs/gone",
            None,
            Some(started(r#""https://gerrit.example.com/a/b": """#)),
            404,
        ),
    ] {
        build += 1;
        let folder = format!("{dir}/{build}");
        let files = [("prowjob.json", prowjob), ("started.json", started)];
        for (name, text) in files
            .into_iter()
            .filter_map(|(name, text)| Some((name, text?)))
        {
            deck.store(&format!("{folder}/{name}"), &text, "application/json")
                .await;
        }
        deck.store(
            &format!("{folder}/finished.json"),
            finished,
            "application/json",
        )
        .await;
        deck.store(
            &format!("{folder}/build-log.txt"),
            "its own words\n",
            "text/plain",
        )
        .await;
        assert_eq!(status(&deck, &folder).await, expected, "{what}: {folder}");
    }
}

#[tokio::test]
async fn a_hidden_job_is_hidden_under_any_prefix() {
    let deck = Deck::start().await;
    let started = r#"{"repos": {"o/r": ""}}"#;
    for (number, (prefix, folder)) in [
        ("", "logs/secret"),
        ("tenant", "tenant/logs/secret"),
        ("tenant/logs", "tenant/logs/logs/secret"),
        ("logs/unit", "logs/unit/logs/secret"),
        ("pr-logs/pull/o_r", "pr-logs/pull/o_r/logs/secret"),
        ("pr-logs/directory/x", "pr-logs/directory/x/logs/secret"),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("{}", 40 + number);
        let folder = format!("{folder}/10{name}");
        let mut extra = decorated();
        extra["spec"]["type"] = "postsubmit".into();
        extra["spec"]["hidden"] = true.into();
        extra["spec"]["decoration_config"]["gcs_configuration"]["path_prefix"] = prefix.into();
        deck.create(prowjob(&name, "secret", 1, "success", &extra))
            .await;
        let marker = format!("{}", 70 + number);
        deck.create(prowjob(&marker, "unit", 2, "success", &json!({})))
            .await;
        deck.page_with("/", &format!("job-{marker}")).await;
        for (key, text) in [
            (format!("{folder}/build-log.txt"), "its own words\n"),
            (format!("{folder}/started.json"), started),
        ] {
            assert_eq!(deck.put(&folder, &key, text).await, 201, "{key}");
        }
        assert_eq!(status(&deck, &folder).await, 404, "{folder}");
        // What was hidden when it was uploaded stays so.
        deck.delete(&name).await;
        let marker = format!("{}", 80 + number);
        deck.create(prowjob(&marker, "unit", 3, "success", &json!({})))
            .await;
        deck.page_with("/", &format!("job-{marker}")).await;
        assert_eq!(status(&deck, &folder).await, 404, "{folder}");
    }
}

#[tokio::test]
async fn a_folder_inside_anothers_may_hide_itself() {
    let deck = start().await;
    let inner = "logs/open/1/artifacts/logs/shut/2";
    deck.store(
        "logs/open/1/artifacts/logs/test/2/x.txt",
        "its own words",
        "text/plain",
    )
    .await;
    deck.store(&format!("{inner}/x.txt"), "its own words", "text/plain")
        .await;
    let (status, _) = deck
        .get("/storage/logs/open/1/artifacts/logs/test/2/x.txt")
        .await;
    assert_eq!(status, 200, "an artifact's name says nothing");
    assert_eq!(deck.get(&format!("/storage/{inner}/x.txt")).await.0, 404);
}
