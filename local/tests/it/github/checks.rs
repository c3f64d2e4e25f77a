//! Check runs.

use serde_json::json;

use super::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_check_run_from_queued_to_rerun() {
    let world = World::new().await;
    let sha = world
        .github
        .find_branch_tip("acme", "widgets", "main")
        .await
        .unwrap()
        .unwrap();
    let app = world.installed(json!({})).await;
    world.receiver.forget();
    let wish =
        json!({"name": "unit", "head_sha": sha, "status": "in_progress", "external_id": "7"});
    let run = app
        .post("/repos/acme/widgets/check-runs", wish)
        .await
        .expect(201);
    let one = format!("/repos/acme/widgets/check-runs/{}", run["id"]);
    app.post(&format!("{one}/rerequest"), json!({}))
        .await
        .expect(422);
    let annotation = json!({"path": "README.md", "start_line": 1, "end_line": 1, "annotation_level": "failure", "message": "no"});
    let output = json!({"title": "2 failed", "summary": "a, b", "annotations": vec![annotation.clone(); 51]});
    app.patch(&one, json!({"output": output})).await.expect(422);
    app.patch(&one, json!({"output": {"title": "no summary"}}))
        .await
        .expect(422);
    let output = json!({"title": "2 failed", "summary": "a, b", "annotations": [annotation]});
    app.patch(&one, json!({"output": output})).await.expect(200);
    let done = json!({"conclusion": "failure", "output": output});
    let run = app.patch(&one, done).await.expect(200);
    assert_eq!(
        (&run["status"], &run["output"]["title"]),
        (&json!("completed"), &json!("2 failed"))
    );
    assert_eq!(run["output"]["annotations_count"], 2);
    let annotations = app.get(&format!("{one}/annotations")).await.expect(200);
    assert_eq!(annotations[1]["message"], "no");
    assert_eq!(app.get(&one).await.expect(200)["external_id"], "7");
    world
        .maria
        .post(&format!("{one}/rerequest"), json!({}))
        .await
        .expect(201);
    assert_eq!(
        world.told().await,
        [
            "check_run.created",
            "check_run.completed",
            "check_run.rerequested"
        ]
    );
    let list = app
        .get(&format!("/repos/acme/widgets/commits/{sha}/check-runs"))
        .await
        .expect(200);
    assert_eq!(list["check_runs"][0]["conclusion"], "failure");
    world
        .maria
        .post(
            "/repos/acme/widgets/check-runs",
            json!({"name": "x", "head_sha": sha}),
        )
        .await
        .expect(403);
    app.post("/repos/acme/widgets/check-runs", json!({"name": "x"}))
        .await
        .expect(422);
}
