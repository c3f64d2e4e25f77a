//! From a push and a pull request at GitHub to jobs in the cluster.

use common::{
    github::{CheckConclusion, CheckRunChange, CheckRunRequest, CheckStatus},
    prowjob::ProwJob,
};
use kube::ResourceExt as _;
use serde_json::json;

use crate::world::{World, WorldOptions};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_members_pull_request_runs() {
    let world = World::new().await;
    let (work, number) = world.open_pull("a.txt", "a\n").await;
    assert_eq!(world.states().await, ["unit triggered"]);
    let job: ProwJob = world.prowjobs().await.remove(0);
    let labels = job.labels();
    for (label, value) in [
        ("created-by-prow", "true"),
        ("prow.k8s.io/type", "presubmit"),
        ("prow.k8s.io/job", "unit"),
        ("prow.k8s.io/context", "unit"),
        ("prow.k8s.io/is-optional", "false"),
        ("prow.k8s.io/refs.org", "acme"),
        ("prow.k8s.io/refs.repo", "widgets"),
        ("prow.k8s.io/refs.base_ref", "main"),
        ("prow.k8s.io/refs.pull", "1"),
        ("team", "widgets"),
    ] {
        assert_eq!(
            labels.get(label).map(String::as_str),
            Some(value),
            "{label}"
        );
    }
    assert!(labels.contains_key("event-GUID"));
    assert_eq!(job.annotations()["prow.k8s.io/job"], "unit");
    assert!(job.spec.report && job.spec.rerun_command == "/test unit");
    let refs = job.spec.refs.as_ref().unwrap();
    assert_eq!(refs.base_sha, work.git(&["rev-parse", "origin/main"]));
    let pull = &refs.pulls[0];
    assert_eq!(
        (
            pull.number,
            pull.author.as_str(),
            pull.sha.clone(),
            pull.head_ref.as_str()
        ),
        (number, "maria", work.git(&["rev-parse", "HEAD"]), "topic")
    );
    assert_eq!(
        pull.link,
        format!("{}/acme/widgets/pull/1", world.github.url())
    );

    world
        .comment(&world.maria, number, "/test slow\n```\n/test unit\n```")
        .await;
    assert_eq!(world.states().await, ["slow triggered", "unit triggered"]);

    let head = work.push("b.txt", "b\n");
    assert_eq!(
        world.states().await,
        ["slow aborted", "unit aborted", "unit triggered"]
    );
    let fresh = world.prowjobs().await;
    let fresh = fresh
        .iter()
        .find(|job| job.state().as_str() == "triggered")
        .unwrap();
    assert_eq!(fresh.spec.refs.as_ref().unwrap().pulls[0].sha, head);
    assert_eq!(world.bot_comments(number).await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strangers_pull_request_waits_for_a_member() {
    let world = World::new().await;
    let (work, number) = world.open_strangers_pull("a.txt", "a\n").await;
    assert!(world.states().await.is_empty());
    assert_eq!(world.labels(number).await, ["needs-ok-to-test"]);
    let said = world.bot_comments(number).await;
    assert_eq!(said.len(), 1);
    assert!(said[0].1.contains("/ok-to-test"), "{said:?}");

    world.comment(&world.stan, number, "/ok-to-test").await;
    world.comment(&world.stan, number, "/test unit").await;
    assert!(world.states().await.is_empty());
    assert_eq!(world.bot_comments(number).await.len(), 3, "two refusals");

    work.push("b.txt", "b\n");
    assert!(world.states().await.is_empty(), "a push changes nothing");

    world.comment(&world.maria, number, "/ok-to-test").await;
    assert_eq!(world.states().await, ["unit triggered"]);
    assert_eq!(world.labels(number).await, ["ok-to-test"]);

    work.push("c.txt", "c\n");
    assert_eq!(world.states().await, ["unit aborted", "unit triggered"]);

    world
        .comment(&world.maria, number, "/ok-to-test cancel")
        .await;
    work.push("d.txt", "d\n");
    assert_eq!(world.states().await, ["unit aborted", "unit aborted"]);
    assert_eq!(world.labels(number).await, ["needs-ok-to-test"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retest_starts_what_failed() {
    let world = World::new().await;
    let (work, number) = world.open_pull("a.txt", "a\n").await;
    let head = work.git(&["rev-parse", "HEAD"]);
    let status = json!({"state": "failure", "context": "slow"});
    world
        .maria
        .post(&format!("/repos/acme/widgets/statuses/{head}"), &status)
        .await;
    let status = json!({"state": "success", "context": "unit"});
    world
        .maria
        .post(&format!("/repos/acme/widgets/statuses/{head}"), &status)
        .await;
    world.comment(&world.maria, number, "/retest").await;
    assert_eq!(world.states().await, ["slow triggered", "unit triggered"]);
    let jobs = world.prowjobs().await;
    let retest = |job: &ProwJob| job.labels().contains_key("prow.k8s.io/retest");
    let retested: Vec<_> = jobs.iter().filter(|job| retest(job)).collect();
    assert_eq!(retested.len(), 1);
    assert_eq!(retested[0].spec.job, "slow");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_run_is_run_again() {
    let world = World::new().await;
    let (work, number) = world.open_strangers_pull("a.txt", "a\n").await;
    world.comment(&world.maria, number, "/test unit").await;
    assert_eq!(world.states().await, ["unit triggered"]);
    let failed = CheckRunChange {
        status: CheckStatus::Completed,
        conclusion: Some(CheckConclusion::Failure),
        started_at: None,
        completed_at: None,
        details_url: None,
        output: None,
    };
    let new = CheckRunRequest {
        name: "slow",
        head_sha: &work.git(&["rev-parse", "HEAD"]),
        external_id: &world.prowjobs().await[0].name_any(),
        state: &failed,
    };
    let client = &world.client;
    let run = client
        .create_check_run("acme", "widgets", &new)
        .await
        .unwrap();
    let path = format!("/repos/acme/widgets/check-runs/{}/rerequest", run.id);
    world.maria.post(&path, &json!({})).await;
    assert_eq!(world.states().await, ["slow triggered", "unit triggered"]);
    assert!(
        world.bot_comments(number).await.len() == 1,
        "the welcome alone"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn help_replaces_help() {
    let world = World::new().await;
    let (_work, number) = world.open_pull("a.txt", "a\n").await;
    for body in ["/test", "/test nosuch"] {
        world.comment(&world.maria, number, body).await;
        world.idle().await;
    }
    let said = world.bot_comments(number).await;
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].1.contains("No such job"), "{said:?}");
    world.comment(&world.maria, number, "/test slow").await;
    world.idle().await;
    assert!(world.bot_comments(number).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_changes_nothing() {
    let world = World::with_options(WorldOptions {
        dry_run: true,
        ..WorldOptions::default()
    })
    .await;
    world.open_pull("a.txt", "a\n").await;
    let (_work, strangers) = world.open_strangers_pull("b.txt", "b\n").await;
    assert!(world.states().await.is_empty());
    assert!(world.bot_comments(strangers).await.is_empty());
    assert!(world.labels(strangers).await.is_empty());
    let reasons = world.hook.reasons().await;
    assert!(reasons.contains(&"unit runs".to_owned()), "{reasons:?}");
}
