//! What GitHub could not deliver arrives after hook is back, once.

use std::time::Duration;

use serde_json::json;

use crate::world::{World, WorldOptions, eventually};

fn at_once() -> WorldOptions {
    WorldOptions {
        ask_after: Duration::ZERO,
        ..WorldOptions::default()
    }
}

/// The status codes of all attempts to deliver an event, oldest first.
async fn codes(github: &local::github::FakeGithub, event: &str) -> Vec<u16> {
    let mut deliveries = github.list_deliveries("prow").await.unwrap();
    deliveries.retain(|delivery| delivery.event == event);
    deliveries
        .iter()
        .map(|delivery| delivery.status_code)
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happened_while_hook_was_away_is_acted_on_once() {
    let world = World::new().await;
    let (work, number) = world.open_pull("a.txt", "a\n").await;
    assert_eq!(world.states().await, ["unit triggered"]);

    let away = world.stop_hook().await;
    let comment = format!("/repos/acme/widgets/issues/{number}/comments");
    away.maria
        .post(&comment, &json!({"body": "/test slow"}))
        .await;
    work.push("b.txt", "b\n");
    away.github.wait_for_deliveries().await;
    away.maria
        .post(&comment, &json!({"body": "/test slow"}))
        .await;
    away.github.wait_for_deliveries().await;
    let failed = away.github.list_deliveries("prow").await.unwrap();
    let failed = failed.iter().filter(|delivery| delivery.status_code != 200);
    assert_eq!(failed.count(), 4, "two comments, a push and a synchronize");

    let world = away.start_hook(at_once()).await;
    eventually("every delivery has arrived", async || {
        codes(&world.github, "issue_comment").await == [0, 0, 200, 200]
            && codes(&world.github, "pull_request").await == [200, 0, 200]
    })
    .await;
    // Both comments are about the current head; the second finds the first one's job.
    let states = world.states().await;
    assert_eq!(
        states,
        [
            "slow aborted",
            "slow triggered",
            "unit aborted",
            "unit triggered"
        ],
    );
    let once =
        "event IN ('issue_comment', 'push', 'pull_request') AND state = 'done' AND attempts = 1";
    let count = world.hook.count(once).await;
    let all = world
        .hook
        .count("event IN ('issue_comment', 'push', 'pull_request')")
        .await;
    assert_eq!(count, all);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_asks_for_nothing() {
    let world = World::new().await;
    let (work, _) = world.open_pull("a.txt", "a\n").await;
    world.idle().await;
    let away = world.stop_hook().await;
    work.push("b.txt", "b\n");
    away.github.wait_for_deliveries().await;
    let before = away.github.list_deliveries("prow").await.unwrap().len();
    let world = away
        .start_hook(WorldOptions {
            dry_run: true,
            ..at_once()
        })
        .await;
    world.idle().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let after = world.github.list_deliveries("prow").await.unwrap().len();
    assert_eq!(after, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_full_disk_refused_is_asked_for_when_there_is_room() {
    let world = World::with_options(WorldOptions {
        ask_again_after: Duration::from_secs(3),
        ..at_once()
    })
    .await;
    world.idle().await;
    world
        .hook
        .execute(
            "CREATE TRIGGER no_room BEFORE INSERT ON bodies
             BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END",
        )
        .await;
    let (_work, _) = world.open_pull("a.txt", "a\n").await;
    world.github.wait_for_deliveries().await;
    assert_eq!(codes(&world.github, "pull_request").await, [500]);
    assert_eq!(world.hook.count("event = 'pull_request'").await, 0);

    world.hook.execute("DROP TRIGGER no_room").await;
    eventually("it has arrived", async || {
        codes(&world.github, "pull_request").await == [500, 200]
    })
    .await;
    assert_eq!(world.states().await, ["unit triggered"]);
}
