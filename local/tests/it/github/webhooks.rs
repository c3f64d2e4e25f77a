//! Webhook deliveries: their headers, order, failure and redelivery.

use std::{collections::HashSet, time::Duration};

use serde_json::json;

use super::world::{SECRET, World};

#[tokio::test(flavor = "multi_thread")]
async fn an_app_is_greeted() {
    let world = World::new().await;
    let told = world.told().await;
    assert_eq!(told[..2], ["ping", "installation.created"]);
    let headers = &world.receiver.headers()[0];
    assert_eq!(headers["content-type"], "application/json");
    assert!(
        headers["user-agent"]
            .to_str()
            .unwrap()
            .starts_with("GitHub-Hookshot/")
    );
    assert_eq!(headers["x-github-hook-id"], world.app.app_id.to_string());
    uuid::Uuid::parse_str(headers["x-github-delivery"].to_str().unwrap()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repositorys_webhooks_keep_their_order() {
    let world = World::new().await;
    let number = world.open_pull("topic").await;
    world.told().await;
    world.receiver.forget();
    world.receiver.set_delay(Duration::from_millis(20));
    let path = format!("/repos/acme/widgets/issues/{number}/comments");
    for count in 0..10 {
        world
            .maria
            .post(&path, json!({"body": format!("{count}")}))
            .await
            .expect(201);
    }
    world.told().await;
    let bodies: Vec<_> = world
        .receiver
        .payloads("issue_comment.created")
        .iter()
        .map(|told| told["comment"]["body"].clone())
        .collect();
    assert_eq!(
        bodies,
        (0..10).map(|count| count.to_string()).collect::<Vec<_>>()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_took_is_on_record_and_sent_again_when_asked() {
    let world = World::new().await;
    let number = world.open_pull("topic").await;
    world.told().await;
    world.receiver.forget();
    world
        .github
        .add_app("prow", "http://127.0.0.1:1/hook", SECRET)
        .await
        .unwrap();
    let path = format!("/repos/acme/widgets/issues/{number}/comments");
    world
        .maria
        .post(&path, json!({"body": "/retest"}))
        .await
        .expect(201);
    assert_eq!(world.told().await, Vec::<String>::new());

    world
        .github
        .add_app("prow", &world.receiver.url, SECRET)
        .await
        .unwrap();
    let app = world.app_client();
    world.github.wait_for_deliveries().await;
    let list = app
        .get("/app/hook/deliveries?per_page=100")
        .await
        .expect(200);
    let failed = list
        .as_array()
        .unwrap()
        .iter()
        .find(|delivery| delivery["event"] == "issue_comment")
        .unwrap();
    assert_eq!(failed["status_code"], 0);
    let one = format!("/app/hook/deliveries/{}", failed["id"]);
    let shown = app.get(&one).await.expect(200);
    assert_eq!(shown["request"]["payload"]["comment"]["body"], "/retest");
    world.told().await;
    world.receiver.forget();
    app.post(&format!("{one}/attempts"), json!({}))
        .await
        .expect(202);
    assert_eq!(world.told().await, ["issue_comment.created"]);
    assert_eq!(
        world.receiver.headers()[0]["x-github-delivery"],
        failed["guid"].as_str().unwrap()
    );
    let last = world
        .github
        .list_deliveries("prow")
        .await
        .unwrap()
        .pop()
        .unwrap();
    assert!(last.redelivery && last.status_code == 200, "{last:?}");
    app.post("/app/hook/deliveries/999999/attempts", json!({}))
        .await
        .expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_are_paged_by_cursor() {
    let world = World::new().await;
    let app = world.app_client();
    let mut address = "/app/hook/deliveries?per_page=1".to_owned();
    let mut seen = HashSet::new();
    loop {
        let answer = app.get(&address).await;
        assert!(
            seen.insert(answer.body[0]["id"].to_string()),
            "twice: {}",
            answer.body
        );
        let link = answer.header("link").to_owned();
        let Some(next) = link.strip_prefix('<').and_then(|link| link.split_once('>')) else {
            break;
        };
        address = next.0.to_owned();
    }
    assert_eq!(
        seen.len(),
        world.github.list_deliveries("prow").await.unwrap().len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn apps_hear_only_of_where_they_are_installed() {
    let world = World::new().await;
    world
        .stan
        .post("/repos/acme/widgets/forks", json!({}))
        .await
        .expect(202);
    world.receiver.forget();
    let work = world.clone_as(&world.stan, "stan/widgets");
    work.commit("a", "a", "a");
    work.git(&["push", "--quiet", "origin", "main"]);
    assert_eq!(world.told().await, Vec::<String>::new());
}
