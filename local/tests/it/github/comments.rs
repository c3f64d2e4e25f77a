//! Comments, labels, statuses.

use serde_json::json;

use super::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn comments_are_written_changed_and_removed() {
    let world = World::new().await;
    let number = world.open_pull("topic").await;
    let list = format!("/repos/acme/widgets/issues/{number}/comments");
    world.told().await;
    world.receiver.forget();
    let app = world.installed(json!({})).await;
    let comment = app.post(&list, json!({"body": "first"})).await.expect(201);
    assert_eq!(comment["user"]["login"], "prow[bot]");
    let one = format!("/repos/acme/widgets/issues/comments/{}", comment["id"]);
    app.patch(&one, json!({"body": "second"})).await.expect(200);
    world
        .stan
        .patch(&one, json!({"body": "mine"}))
        .await
        .expect(403);
    assert_eq!(world.stan.get(&one).await.expect(200)["body"], "second");
    assert_eq!(
        world
            .github
            .list_comments("acme", "widgets", number)
            .await
            .unwrap()[0]
            .body,
        "second"
    );
    app.delete(&one).await.expect(204);
    app.get(&one).await.expect(404);
    assert_eq!(
        world.told().await,
        [
            "issue_comment.created",
            "issue_comment.edited",
            "issue_comment.deleted"
        ],
    );
    let edited = &world.receiver.payloads("issue_comment.edited")[0];
    assert_eq!(edited["changes"]["body"]["from"], "first");
    assert_eq!(edited["issue"]["number"], number);
    assert!(edited["issue"]["pull_request"].is_object());
    app.post(&list, json!({"body": " "})).await.expect(422);
    app.post(&list, json!({"body": "x".repeat(65_537)}))
        .await
        .expect(422);
    app.post(
        "/repos/acme/widgets/issues/99/comments",
        json!({"body": "x"}),
    )
    .await
    .expect(404);
    assert_eq!(
        app.get(&format!("/repos/acme/widgets/issues/{number}"))
            .await
            .expect(200)["comments"],
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_are_put_on_and_taken_off() {
    let world = World::new().await;
    let number = world.open_pull("topic").await;
    let path = format!("/repos/acme/widgets/issues/{number}/labels");
    world.told().await;
    world.receiver.forget();
    let app = world.installed(json!({})).await;
    let labels = app
        .post(&path, json!({"labels": ["ok-to-test", "needs work"]}))
        .await
        .expect(200);
    assert_eq!(labels.as_array().map(Vec::len), Some(2));
    app.post(&path, json!(["ok-to-test"])).await.expect(200);
    assert_eq!(app.get(&path).await.expect(200)[1]["name"], "needs work");
    assert_eq!(
        app.get("/repos/acme/widgets/labels")
            .await
            .expect(200)
            .as_array()
            .map(Vec::len),
        Some(2)
    );
    app.delete(&format!("{path}/needs%20work"))
        .await
        .expect(200);
    app.delete(&format!("{path}/needs%20work"))
        .await
        .expect(404);
    assert_eq!(
        world
            .github
            .list_labels("acme", "widgets", number)
            .await
            .unwrap(),
        ["ok-to-test"]
    );
    let actions = ["labeled", "labeled", "unlabeled"];
    assert_eq!(
        world.told().await,
        actions.map(|action| format!("pull_request.{action}"))
    );
    assert_eq!(
        world.receiver.payloads("pull_request.unlabeled")[0]["label"]["name"],
        "needs work"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_status_of_a_context_counts() {
    let world = World::new().await;
    let number = world.open_pull("topic").await;
    let sha = world
        .github
        .get_pull("acme", "widgets", number)
        .await
        .unwrap()
        .head_sha;
    let app = world.installed(json!({})).await;
    let path = format!("/repos/acme/widgets/statuses/{sha}");
    world.told().await;
    world.receiver.forget();
    for (context, state) in [
        ("unit", "pending"),
        ("lint", "success"),
        ("unit", "success"),
    ] {
        let wish = json!({"state": state, "context": context, "description": "x".repeat(140), "target_url": "http://127.0.0.1/a"});
        app.post(&path, wish).await.expect(201);
    }
    assert_eq!(world.told().await, ["status", "status", "status"]);
    let told = &world.receiver.payloads("status")[0];
    assert_eq!(
        (told["sha"].as_str(), told["branches"][0]["name"].as_str()),
        (Some(&*sha), Some("topic"))
    );
    let combined = world
        .stan
        .get(&format!("/repos/acme/widgets/commits/{sha}/status"))
        .await
        .expect(200);
    assert_eq!(
        (&combined["state"], &combined["total_count"]),
        (&json!("success"), &json!(2))
    );
    let all = world
        .stan
        .get("/repos/acme/widgets/commits/topic/statuses")
        .await
        .expect(200);
    assert_eq!(all.as_array().map(Vec::len), Some(3));
    assert_eq!(all[0]["creator"]["login"], "prow[bot]");
    for wish in [
        json!({"state": "fine"}),
        json!({}),
        json!({"state": "success", "description": "x".repeat(141)}),
        json!({"state": "success", "target_url": "javascript:alert(1)"}),
    ] {
        app.post(&path, wish).await.expect(422);
    }
    let unknown = "0123456789012345678901234567890123456789";
    app.post(
        &format!("/repos/acme/widgets/statuses/{unknown}"),
        json!({"state": "success"}),
    )
    .await
    .expect(422);
    let statuses = world
        .github
        .list_statuses("acme", "widgets", &sha)
        .await
        .unwrap();
    assert_eq!(
        (statuses[0].context.as_str(), statuses[1].state.as_str()),
        ("lint", "success")
    );
}
