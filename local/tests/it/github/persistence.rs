//! A second run with the same data.

use local::github::{FakeGithub, FakeGithubOptions};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::world::{World, listener};

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_there_again() {
    let data = tempfile::tempdir().unwrap();
    let options = || FakeGithubOptions {
        data: Some(data.path().to_owned()),
        ..FakeGithubOptions::default()
    };
    let world = World::with(options()).await;
    let number = world.open_pull("topic").await;
    let comments = format!("/repos/acme/widgets/issues/{number}/comments");
    world
        .maria
        .post(&comments, json!({"body": "still here"}))
        .await
        .expect(201);
    world.github.wait_for_deliveries().await;
    let refused = FakeGithub::start(options(), listener().await, CancellationToken::new()).await;
    let refusal = format!("{:#}", refused.unwrap_err());
    assert!(
        refusal.contains(&format!("process {}", std::process::id())),
        "{refusal}"
    );
    let (app, installation) = (world.app.clone(), world.installation);
    let kept = world.stop();

    let world = World::with(options()).await;
    assert_eq!(
        (world.app.app_id, world.installation),
        (app.app_id, installation)
    );
    assert_eq!(world.app.private_key_pem, app.private_key_pem);
    assert_eq!(
        world
            .github
            .list_comments("acme", "widgets", number)
            .await
            .unwrap()[0]
            .body,
        "still here"
    );
    assert_eq!(world.open_pull("second").await, number + 1);
    drop(kept);
}
