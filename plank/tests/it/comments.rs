//! Crier against the GitHub stand-in: the comment with a pull request's failed jobs.

use std::{collections::BTreeMap, sync::Arc, sync::Mutex, time::Duration};

use common::prowjob::{ProwJob, ProwJobState};
use futures::StreamExt;
use kube::runtime::{WatchStreamExt, watcher};
use serde_json::json;

use crate::{
    cluster::{ended, prowjob},
    world::{World, start},
};

const REPORTER: &str = "github-reporter";

impl World {
    /// A job that an event started on a commit fails.
    async fn fail_at(&self, commit: &str, event: &str, job: &str) {
        let name = format!("{job}-{event}");
        let spec = json!({
            "type": "presubmit", "context": job, "report": true, "job": job,
            "refs": {"org": "acme", "repo": "widgets", "base_ref": "main", "base_sha": self.sha,
                "pulls": [{"number": 1, "author": "maria", "sha": commit}]},
        });
        let mut made = prowjob(&name, spec);
        let labels = made.metadata.labels.get_or_insert_default();
        labels.insert("event-GUID".into(), event.into());
        self.cluster.create(made).await;
        self.cluster.pod(&name).await;
        self.cluster.set_pod(&name, ended("Failed", 1)).await;
        self.marked(&name, REPORTER, ProwJobState::Failure).await;
    }

    /// Runs a job and ends it.
    async fn run(&self, name: &str, job: &str, passes: bool) {
        self.trigger(name, json!({"job": job, "context": job}))
            .await;
        self.cluster.pod(name).await;
        let (end, state) = match passes {
            true => (ended("Succeeded", 0), ProwJobState::Success),
            false => (ended("Failed", 1), ProwJobState::Failure),
        };
        self.cluster.set_pod(name, end).await;
        self.marked(name, REPORTER, state).await;
    }
}

fn has(body: &str, jobs: &[&str]) -> bool {
    let rows = body
        .lines()
        .filter(|line| line.contains(" | [link]("))
        .count();
    rows == jobs.len() && jobs.iter().all(|job| body.contains(&format!("\n{job} | ")))
}

#[tokio::test(flavor = "multi_thread")]
async fn one_comment_names_the_failed_jobs_until_they_pass() {
    let world = World::new().await;
    start(world.context(json!({})));
    let hello = json!({"body": "<!-- test report -->\nunit | x"});
    world
        .post("/repos/acme/widgets/issues/1/comments", &hello)
        .await;

    world.run("unit-1", "unit", false).await;
    let first = world.comment("unit", |body| has(body, &["unit"])).await;
    let row = format!(
        "unit | {} | [link](http://deck/view/prowjob/unit/",
        world.sha
    );
    assert!(first.body.contains(&row), "{}", first.body);
    assert!(
        first
            .body
            .starts_with("@maria: The following test **failed**"),
        "{}",
        first.body
    );

    world.run("lint-1", "lint", false).await;
    let second = world
        .comment("both", |body| has(body, &["unit", "lint"]))
        .await;
    assert_eq!(second.id, first.id, "the comment is edited");
    world.run("unit-2", "unit", true).await;
    let third = world.comment("lint", |body| has(body, &["lint"])).await;
    assert_eq!(third.id, first.id);
    world.run("lint-2", "lint", true).await;
    let left = world.comments().await;
    let authors: Vec<&str> = left.iter().map(|comment| comment.author.as_str()).collect();
    assert_eq!(authors, ["maria"], "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_goes_with_the_push_that_removed_its_job() {
    let world = World::new().await;
    start(world.context(json!({"in_repo_config": {"enabled": {"*": true}}})));
    let pushed = [("1", "unit"), ("1", "removed"), ("2", "asked-for")];
    for (event, job) in pushed {
        world.fail_at(&world.before, event, job).await;
    }
    let all = ["unit", "removed", "asked-for"];
    world.comment("all", |body| has(body, &all)).await;
    world.fail_at(&world.sha, "3", "unit").await;
    world
        .comment("what still runs", |body| has(body, &["asked-for", "unit"]))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_fail_together_are_in_one_comment() {
    let world = World::new().await;
    start(world.context(json!({})));
    let jobs: Vec<String> = (0..8).map(|n| format!("job-{n}")).collect();
    for job in &jobs {
        world.trigger(job, json!({})).await;
        world.cluster.pod(job).await;
    }
    for job in &jobs {
        world.cluster.set_pod(job, ended("Failed", 1)).await;
    }
    for job in &jobs {
        world.marked(job, REPORTER, ProwJobState::Failure).await;
    }
    let names: Vec<&str> = jobs.iter().map(String::as_str).collect();
    world.comment("all", |body| has(body, &names)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_may_want_no_comment() {
    let world = World::new().await;
    start(world.context(json!({"github_reporter": {"no_comment_repos": ["acme/widgets"]}})));
    world.run("unit", "unit", false).await;
    assert_eq!(world.comments().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_summary_waits_for_the_last_job_and_has_the_installations_words() {
    let world = World::new().await;
    start(world.context(json!({
        "github_reporter": {"summary_comment_repos": ["acme"]},
        "plank": {"report_templates": {"acme": "[History](https://deck/{{(index .Spec.Refs.Pulls 0).Number}}) by {{(index .Spec.Refs.Pulls 0).Title}}"}},
    })));
    let refs = json!({"org": "acme", "repo": "widgets", "pulls": [
        {"number": 1, "author": "maria", "sha": world.sha, "title": "for @everyone"}]});
    world.trigger("slow", json!({})).await;
    world.run("unit", "unit", true).await;
    world.cluster.rest().await;
    assert_eq!(world.comments().await, [], "slow has not ended");
    world.trigger("last", json!({"refs": refs})).await;
    world.cluster.pod("last").await;
    world.cluster.set_pod("slow", ended("Succeeded", 0)).await;
    world.marked("slow", REPORTER, ProwJobState::Success).await;
    world.cluster.set_pod("last", ended("Succeeded", 0)).await;
    let comment = world
        .comment("a summary", |body| body.contains("**passed!**"))
        .await;
    let note = "[History](https://deck/1) by for &#64;\u{200b}everyone";
    assert!(comment.body.contains(note), "{}", comment.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_costs_two_writes_however_many_reporters_there_are() {
    let world = World::new().await;
    let bucket = format!(
        "file://{}",
        world.cluster.dir.path().join("bucket").display()
    );
    let mut ctx = world.context(json!({"plank": {"default_decoration_config_entries": [
        {"config": {"gcs_configuration": {"bucket": bucket, "path_strategy": "explicit"}}},
    ]}}));
    ctx.settings.blob_storage_workers = 2;
    ctx.settings.kubernetes_blob_storage_workers = 2;
    start(ctx);
    let seen: Arc<Mutex<Vec<ProwJob>>> = Arc::default();
    let jobs = watcher(world.cluster.jobs(), watcher::Config::default()).applied_objects();
    let sink = Arc::clone(&seen);
    tokio::spawn(jobs.for_each(move |job| {
        sink.lock().unwrap().extend(job.ok());
        std::future::ready(())
    }));
    world.cluster.rest().await;
    world.run("unit", "unit", false).await;
    let state = ProwJobState::Failure;
    for reporter in ["gcsreporter", "gcsk8sreporter"] {
        world.marked("unit", reporter, state).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut writes: BTreeMap<ProwJobState, usize> = BTreeMap::new();
    let seen = seen.lock().unwrap();
    for job in seen.iter() {
        *writes.entry(job.state()).or_default() += 1;
    }
    let told: Vec<_> = seen
        .iter()
        .map(|job| &job.status.as_ref().unwrap().prev_report_states)
        .collect();
    assert!(writes.len() >= 3, "{writes:?}");
    assert!(
        writes.values().all(|count| *count <= 2),
        "{writes:?} {told:?}"
    );
}
