//! Who may see a run whose `ProwJob` is gone, or that is stored at an unusual location.

use std::collections::BTreeMap;

use serde_json::{Value, json};

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

/// The status of the run's log at each of its addresses, which has to be the same.
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

/// What is left of a run whose `ProwJob` is gone, and the expected status.
struct GoneRun {
    what: &'static str,
    dir: &'static str,
    prowjob: Option<String>,
    started: Option<String>,
    status: u16,
}

impl GoneRun {
    fn new(what: &'static str, dir: &'static str, status: u16) -> Self {
        Self {
            what,
            dir,
            prowjob: None,
            started: None,
            status,
        }
    }

    /// Adds a `prowjob.json` with this spec.
    fn with_spec(self, mut spec: Value) -> Self {
        spec["type"] = "periodic".into();
        spec["job"] = "x".into();
        let object = json!({"apiVersion": "prow.k8s.io/v1", "kind": "ProwJob",
            "metadata": {"name": "x"}, "spec": spec, "status": {"state": "success"}});
        self.with_prowjob(object.to_string())
    }

    fn with_prowjob(self, text: String) -> Self {
        let prowjob = Some(text);
        Self { prowjob, ..self }
    }

    /// Adds a `started.json` with these repositories.
    fn with_repos(self, repos: &[&str]) -> Self {
        let repos: BTreeMap<_, _> = repos.iter().map(|repo| (*repo, "")).collect();
        let started = Some(json!({"timestamp": 1, "repos": repos}).to_string());
        Self { started, ..self }
    }

    async fn store(&self, deck: &Deck, folder: &str) {
        let result = r#"{"passed": true, "result": "SUCCESS"}"#.to_owned();
        let files = [
            ("prowjob.json", self.prowjob.clone()),
            ("started.json", self.started.clone()),
            ("finished.json", Some(result)),
            ("build-log.txt", Some("its own words\n".to_owned())),
        ];
        for (name, text) in files {
            let Some(text) = text else { continue };
            let kind = if name.ends_with("json") {
                "application/json"
            } else {
                "text/plain"
            };
            deck.store(&format!("{folder}/{name}"), &text, kind).await;
        }
    }
}

fn said_by_the_configuration() -> Vec<GoneRun> {
    vec![
        GoneRun::new("nobody speaks", "logs/gone", 404),
        GoneRun::new("a configured job", "logs/open", 200),
        GoneRun::new("hidden", "logs/shut", 404),
        GoneRun::new("hidden, whatever it wrote", "logs/shut", 404)
            .with_spec(json!({}))
            .with_repos(&["o/r"]),
        GoneRun::new("one of two of the name is", "logs/both", 404).with_spec(json!({})),
        GoneRun::new("a hidden org's", "pr-logs/pull/hidden-org_r/7/of-org", 404),
        GoneRun::new("a tenant's", "logs/theirs", 404).with_spec(json!({})),
    ]
}

fn said_by_its_prowjob() -> Vec<GoneRun> {
    let of_two_repos = json!({"extra_refs":
        [{"org": "o", "repo": "x"}, {"org": "o", "repo": "hush"}]});
    let of_a_tenant = json!({"prowjob_defaults": {"tenant_id": "t"}});
    let large = format!("{{\"x\": \"{}\"}}", "x".repeat(3 << 20));
    vec![
        GoneRun::new("its prowjob.json shows it", "logs/gone", 200).with_spec(json!({})),
        GoneRun::new("and hides it", "logs/open", 404).with_spec(json!({"hidden": true})),
        GoneRun::new("by a repository", "logs/gone", 404).with_spec(of_two_repos),
        GoneRun::new("by a tenant", "logs/gone", 404).with_spec(of_a_tenant),
        GoneRun::new("it is too large", "logs/open", 404).with_prowjob(large),
        GoneRun::new("it is no JSON", "logs/open", 404).with_prowjob("{".to_owned()),
    ]
}

fn said_by_its_repositories() -> Vec<GoneRun> {
    let gerrit = "https://gerrit.example.com/a/b";
    let of_gerrit = "pr-logs/pull/gerrit.example.com_a_b/7/gone";
    vec![
        GoneRun::new("started.json shows it", "logs/gone", 200).with_repos(&["o/r", "o/s"]),
        GoneRun::new("each counts", "logs/gone", 404).with_repos(&["o/a", "o/hush"]),
        GoneRun::new("also after a prowjob.json", "logs/gone", 404)
            .with_spec(json!({}))
            .with_repos(&["o/hush"]),
        GoneRun::new("it names none", "logs/gone", 404).with_repos(&[]),
        GoneRun::new("its path shows it", "pr-logs/pull/o_r/7/gone", 200),
        GoneRun::new("and hides it", "pr-logs/pull/o_hush/7/gone", 404).with_spec(json!({})),
        GoneRun::new("no repository in the path", "pr-logs/pull/7/gone", 404),
        GoneRun::new("of a batch", "pr-logs/pull/batch/gone", 404),
        GoneRun::new("of a hidden Gerrit", of_gerrit, 404),
        GoneRun::new("by its repositories", "logs/gone", 404).with_repos(&[gerrit]),
    ]
}

#[tokio::test]
async fn each_word_may_hide_a_run_and_silence_does() {
    let deck = start().await;
    let runs = [
        said_by_the_configuration(),
        said_by_its_prowjob(),
        said_by_its_repositories(),
    ];
    for (number, run) in runs.into_iter().flatten().enumerate() {
        let folder = format!("{}/{}", run.dir, 101 + number);
        run.store(&deck, &folder).await;
        let found = status(&deck, &folder).await;
        assert_eq!(found, run.status, "{}: {folder}", run.what);
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
        // A run that was hidden when it was uploaded stays hidden.
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
