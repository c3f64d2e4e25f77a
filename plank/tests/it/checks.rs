//! Check runs and the failure digest: what a contributor sees when a job has failed.

use std::path::PathBuf;

use common::{github, prowjob::ProwJobState, service};
use local::github::{AppPermissions, PermissionLevel};
use plank::crier::CrierContext;
use serde_json::{Value, json};

use crate::{
    cluster::{build_id, ended},
    world::{World, start},
};

const REPORTER: &str = "github-check-reporter";

impl World {
    pub(crate) fn with_checks(&self) -> CrierContext {
        let bucket = format!("file://{}", self.bucket_dir().display());
        self.context(json!({
            "github_reporter": {"checks": true},
            "plank": {"default_decoration_config_entries": [
                {"config": {"gcs_configuration": {"bucket": bucket, "path_strategy": "explicit"}}},
            ]},
        }))
    }

    pub(crate) fn bucket_dir(&self) -> PathBuf {
        self.cluster.dir.path().join("bucket")
    }

    /// A client that authenticates as an App.
    pub(crate) async fn app(&self) -> github::GithubClient {
        let app = self.github.add_app("prow", "", "secret").await.unwrap();
        let scopes = ["checks", "contents", "issues", "pull_requests", "statuses"];
        let permissions = AppPermissions::from(scopes.map(|scope| (scope, PermissionLevel::Write)));
        self.github
            .install_app("prow", "acme", permissions)
            .await
            .unwrap();
        let key = self.cluster.dir.path().join("app.pem");
        std::fs::write(&key, &app.private_key_pem).unwrap();
        let args = [
            format!("--github-endpoint={}", self.github.url()),
            format!("--github-app-id={}", app.app_id),
            format!("--github-app-private-key-path={}", key.display()),
        ];
        let options = service::flags::parse_flags("crier", args.map(Into::into)).unwrap();
        github::GithubClient::new(&options, "crier").unwrap()
    }

    /// Fails a job that stored these files; returns its folder.
    async fn fail_with(&self, name: &str, files: &[(&str, String)]) -> PathBuf {
        self.end_with(name, files, ended("Failed", 1)).await
    }

    async fn end_with(&self, name: &str, files: &[(&str, String)], end: Value) -> PathBuf {
        self.end_job_with(name, json!({}), files, end).await
    }

    /// Ends a job of this spec that stored these files; returns its folder.
    async fn end_job_with(
        &self,
        name: &str,
        spec: Value,
        files: &[(&str, String)],
        end: Value,
    ) -> PathBuf {
        self.trigger(name, spec).await;
        let job = self
            .cluster
            .job(name, "a build id", |job| !build_id(job).is_empty())
            .await;
        let folder = format!("pr-logs/pull/acme_widgets/1/{name}/{}", build_id(&job));
        let folder = self.bucket_dir().join(folder);
        for (file, text) in files {
            let file = folder.join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        self.cluster.pod(name).await;
        self.cluster.set_pod(name, end).await;
        folder
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let url = format!("{}{path}", self.github.url());
        let client = reqwest::Client::new();
        let answer = client
            .get(url)
            .header("user-agent", "t")
            .send()
            .await
            .unwrap();
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    }
}

fn finished(censored: bool) -> (&'static str, String) {
    with_metadata(&json!({"censored": censored}))
}

fn with_metadata(metadata: &Value) -> (&'static str, String) {
    let json = json!({"timestamp": 1, "passed": false, "result": "FAILURE", "metadata": metadata});
    ("finished.json", json.to_string())
}

fn log() -> (&'static str, String) {
    let errors = (1..=60).map(|n| format!("sum.go:{n}:1: undefined: x{n}\n"));
    let log = "nosuch.go:1:1: undefined: y\n".to_owned() + &errors.collect::<String>();
    ("build-log.txt", log)
}

fn junit() -> (&'static str, String) {
    let text = r#"<t><testcase name="TestFoo"><failure message="got 1, @maria"/></testcase><testcase name="TestBar"/></t>"#;
    ("artifacts/junit.xml", text.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_explained_on_the_commit_and_in_the_comment() {
    let world = World::new().await;
    let mut ctx = world.with_checks();
    ctx.github = world.app().await;
    start(ctx);
    let folder = world
        .fail_with("unit", &[finished(true), log(), junit()])
        .await;
    world.marked("unit", REPORTER, ProwJobState::Failure).await;
    let path = format!("/repos/acme/widgets/commits/{}/check-runs", world.sha);
    let runs = world.get(&path).await;
    assert_eq!(runs["total_count"], 1, "{runs}");
    let run = &runs["check_runs"][0];
    assert_eq!(
        (&run["name"], &run["external_id"], &run["conclusion"]),
        (&json!("unit"), &json!("unit"), &json!("failure"))
    );
    let output = &run["output"];
    assert_eq!(output["title"], "1 of 2 tests failed: TestFoo");
    assert_eq!(output["annotations_count"], 60, "and none of nosuch.go");
    let text = output["text"].as_str().unwrap();
    assert!(text.contains("61: sum.go:60:1: undefined: x60"), "{text}");

    let stored = std::fs::read(folder.join("failure.json")).unwrap();
    let stored: Value = serde_json::from_slice(&stored).unwrap();
    assert_eq!(stored["summary"], "1 of 2 tests failed: TestFoo");

    world
        .marked("unit", "github-reporter", ProwJobState::Failure)
        .await;
    let comments = world.comments().await;
    let body = &comments[0].body;
    assert!(body.contains("- `TestFoo`: `got 1, @maria`"), "{body}");
    world.fail_with("lint", &[finished(true), log()]).await;
    world
        .marked("lint", "github-reporter", ProwJobState::Failure)
        .await;
    let comments = world.comments().await;
    let body = &comments[0].body;
    let both = body.contains("<code>unit</code>") && body.contains("<code>lint</code>");
    assert!(both, "the first job's digest stays: {body}");
}

/// The check runs and the comment, once both report the job's failure.
async fn told_of_unit(world: &World) -> [String; 2] {
    for reporter in [REPORTER, "github-reporter"] {
        world.marked("unit", reporter, ProwJobState::Failure).await;
    }
    let path = format!("/repos/acme/widgets/commits/{}/check-runs", world.sha);
    let runs = world.get(&path).await.to_string();
    [runs, world.comments().await[0].body.clone()]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_without_a_secret_is_quoted_without_a_mark() {
    let world = World::new().await;
    let mut ctx = world.with_checks();
    ctx.github = world.app().await;
    start(ctx);
    world
        .fail_with("unit", &[finished(false), log(), junit()])
        .await;
    for told in told_of_unit(&world).await {
        assert!(told.contains("undefined: x60"), "{told}");
        assert!(told.contains("got 1"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_mark_nothing_of_the_log_is_quoted() {
    let world = World::new().await;
    let mut ctx = world.with_checks();
    ctx.github = world.app().await;
    start(ctx);
    let with_secret = json!({"pod_spec": {"containers": [{
        "name": "test", "image": "img", "command": ["true"],
        "envFrom": [{"secretRef": {"name": "deploy-key"}}],
    }]}});
    let files = [finished(false), log(), junit()];
    world
        .end_job_with("unit", with_secret, &files, ended("Failed", 1))
        .await;
    for told in told_of_unit(&world).await {
        assert!(told.contains("TestFoo"), "{told}");
        assert!(
            !told.contains("undefined") && !told.contains("got 1"),
            "{told}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_stored_is_told_where_the_result_is() {
    let world = World::new().await;
    let mut ctx = world.with_checks();
    ctx.github = world.app().await;
    start(ctx);
    let lost = "1 file was not stored: artifacts/app.bin: artifacts/app.bin was refused: the run's room is used up";
    let finished = || with_metadata(&json!({"censored": true, "not-stored": lost}));
    world.fail_with("unit", &[finished(), log()]).await;
    let success = ended("Succeeded", 0);
    world.end_with("lint", &[finished(), log()], success).await;
    for reporter in [REPORTER, "github-reporter"] {
        world.marked("unit", reporter, ProwJobState::Failure).await;
        world.marked("lint", reporter, ProwJobState::Success).await;
    }
    let told = format!("Not everything was stored: `{lost}.`");
    let path = format!("/repos/acme/widgets/commits/{}/check-runs", world.sha);
    let runs = world.get(&path).await;
    let runs = runs["check_runs"].as_array().unwrap();
    assert_eq!(runs.len(), 2);
    for run in runs {
        let summary = run["output"]["summary"].as_str().unwrap();
        assert!(summary.contains(&told), "{run}");
    }
    let body = &world.comments().await[0].body;
    assert_eq!(
        body.matches(&told).count(),
        1,
        "of the job that failed: {body}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_may_not_write_check_runs_is_no_hindrance() {
    let world = World::new().await;
    start(world.with_checks());
    world.fail_with("unit", &[finished(true), log()]).await;
    for reporter in [REPORTER, "github-reporter"] {
        world.marked("unit", reporter, ProwJobState::Failure).await;
    }
    let path = format!("/repos/acme/widgets/commits/{}/check-runs", world.sha);
    assert_eq!(world.get(&path).await["total_count"], 0);
}
