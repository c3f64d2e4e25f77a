//! Webhooks that arrive, or are acted on, after the pull request has changed again.

use serde_json::{Value, json};

use crate::world::{Person, World};

/// The pull request as GitHub shows it now.
async fn shown(who: &Person, number: u64) -> Value {
    let path = format!("/repos/acme/widgets/pulls/{number}");
    who.send(reqwest::Method::GET, &path, &Value::Null).await
}

/// A webhook about an old state of the pull request.
fn event(action: &str, pull: &Value) -> Value {
    let mut pull = pull.clone();
    pull["updated_at"] = "2020-01-01T00:00:00Z".into();
    json!({
        "action": action, "number": pull["number"], "pull_request": pull,
        "repository": {"name": "widgets", "full_name": "acme/widgets", "owner": {"login": "acme", "type": "Organization"}},
        "organization": {"login": "acme"},
        "sender": {"login": "stan"},
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_that_still_carries_the_old_label_runs() {
    let world = World::new().await;
    let (_work, number) = world.open_strangers_pull("a.txt", "a\n").await;
    world.idle().await;
    assert_eq!(world.labels(number).await, ["needs-ok-to-test"]);
    let before = shown(&world.maria, number).await;
    world.comment(&world.maria, number, "/ok-to-test").await;
    assert_eq!(world.states().await, ["unit triggered"]);

    let late = event("synchronize", &before);
    assert_eq!(world.hook.deliver("pull_request", "late", &late).await, 200);
    assert_eq!(world.states().await, ["unit aborted", "unit triggered"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_label_that_was_taken_away_grants_nothing() {
    let world = World::new().await;
    let (_work, number) = world.open_strangers_pull("a.txt", "a\n").await;
    world.idle().await;
    let mut forged = shown(&world.maria, number).await;
    forged["labels"] = json!([{"name": "ok-to-test"}]);
    let late = event("synchronize", &forged);
    world.hook.deliver("pull_request", "late", &late).await;
    assert!(world.states().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_push_does_not_end_what_runs_on_the_newest_commit() {
    let world = World::new().await;
    let (work, number) = world.open_pull("a.txt", "a\n").await;
    world.idle().await;
    let before = shown(&world.maria, number).await;
    let head = work.push("b.txt", "b\n");
    assert_eq!(world.states().await, ["unit aborted", "unit triggered"]);

    let late = event("synchronize", &before);
    world.hook.deliver("pull_request", "late", &late).await;
    assert_eq!(world.states().await, ["unit aborted", "unit triggered"]);
    let jobs = world.prowjobs().await;
    let running = jobs.iter().find(|job| job.state().as_str() == "triggered");
    let refs = running.unwrap().spec.refs.as_ref().unwrap();
    assert_eq!(refs.pulls[0].sha, head);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_closing_does_not_end_the_jobs_of_what_was_reopened() {
    let world = World::new().await;
    let (_work, number) = world.open_pull("a.txt", "a\n").await;
    world.idle().await;
    let path = format!("/repos/acme/widgets/pulls/{number}");
    let patch = reqwest::Method::PATCH;
    let closed = world
        .maria
        .send(patch.clone(), &path, &json!({"state": "closed"}))
        .await;
    world.idle().await;
    world
        .maria
        .send(patch, &path, &json!({"state": "open"}))
        .await;
    assert_eq!(world.states().await, ["unit aborted", "unit triggered"]);

    let late = event("closed", &closed);
    world.hook.deliver("pull_request", "late", &late).await;
    assert_eq!(world.states().await, ["unit aborted", "unit triggered"]);
    let reasons = world.hook.reasons().await;
    assert!(
        reasons.contains(&"the pull request was reopened since".to_owned()),
        "{reasons:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn null_in_a_payload_is_the_zero_value() {
    let world = World::new().await;
    let (_work, number) = world.open_pull("a.txt", "a\n").await;
    world.idle().await;
    let mut pull = shown(&world.maria, number).await;
    for field in ["merged", "draft", "title", "mergeable", "labels", "body"] {
        pull[field] = Value::Null;
    }
    let mut reopened = event("reopened", &pull);
    for field in ["changes", "label", "number"] {
        reopened[field] = Value::Null;
    }
    world.hook.deliver("pull_request", "nulls", &reopened).await;
    assert_eq!(world.states().await, ["unit triggered", "unit triggered"]);
    assert_eq!(world.hook.count("state = 'failed'").await, 0);
}
