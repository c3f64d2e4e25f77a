//! Repositories that git cannot read, for now or for ever.

use serde_json::{Value, json};

use crate::world::{World, WorldOptions, eventually};

async fn world() -> World {
    World::with_options(WorldOptions {
        in_repo: true,
        ..WorldOptions::default()
    })
    .await
}

const OWN: &str = "\
presubmits:
- name: own
  always_run: true
  spec: {containers: [{image: alpine, command: [\"true\"]}]}
";

/// GitHub's webhook for a push of `sha` to Maria's pull request.
async fn pushed(world: &World, number: u64, sha: &str) -> Value {
    let path = format!("/repos/acme/widgets/pulls/{number}");
    let get = reqwest::Method::GET;
    let mut pull = world.maria.send(get, &path, &Value::Null).await;
    pull["head"]["sha"] = sha.into();
    pull["updated_at"] = "2200-01-01T00:00:00Z".into();
    json!({
        "action": "synchronize", "number": number, "pull_request": pull,
        "repository": {"name": "widgets", "full_name": "acme/widgets", "owner": {"login": "acme", "type": "Organization"}},
        "organization": {"login": "acme"},
        "sender": {"login": "maria"},
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_git_does_not_have_yet_is_waited_for() {
    let world = world().await;
    let (work, number) = world.open_pull("prow-jobs.yaml", OWN).await;
    world.idle().await;
    work.commit("prow-jobs.yaml", &OWN.replace("own", "later"));
    let sha = work.git(&["rev-parse", "HEAD"]);
    let event = pushed(&world, number, &sha).await;
    world.hook.deliver("pull_request", "early", &event).await;
    eventually("a first attempt is made", async || {
        let waits = "guid = 'early' AND state = 'queued' AND attempts > 0";
        world.hook.count(waits).await == 1
    })
    .await;
    work.git(&["push", "--quiet", "origin", "HEAD:refs/heads/lagging"]);
    let states = world.states().await;
    assert!(states.contains(&"later triggered".to_owned()), "{states:?}");
    assert_eq!(world.bot_comments(number).await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_git_never_has_is_told_and_central_jobs_run() {
    let world = world().await;
    let (_work, number) = world.open_pull("a.txt", "a\n").await;
    world.idle().await;
    let event = pushed(&world, number, &"a".repeat(40)).await;
    world.hook.deliver("pull_request", "gone", &event).await;
    assert_eq!(world.states().await, ["unit aborted", "unit triggered"]);
    let said = world.bot_comments(number).await;
    assert_eq!(said.len(), 1, "{said:?}");
    for part in ["GitHub does not have the commit", "configured centrally"] {
        assert!(said[0].1.contains(part), "{said:?}");
    }
    assert_eq!(world.hook.count("state = 'failed'").await, 0);
    assert_eq!(world.hook.count("guid = 'gone' AND attempts = 4").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_locks_of_a_killed_git_are_removed_and_the_mirror_stays() {
    let world = world().await;
    let (work, _) = world.open_pull("prow-jobs.yaml", OWN).await;
    assert_eq!(world.states().await, ["own triggered", "unit triggered"]);
    let mark = world.mirror().join("kept");
    std::fs::write(&mark, "").unwrap();
    std::fs::write(world.mirror().join("refs/prow/base.lock"), "").unwrap();
    work.push("prow-jobs.yaml", &OWN.replace("own", "renamed"));
    let states = world.states().await;
    assert!(
        states.contains(&"renamed triggered".to_owned()),
        "{states:?}"
    );
    assert!(mark.exists(), "the mirror was not made anew");
}
