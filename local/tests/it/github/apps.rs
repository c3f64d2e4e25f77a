//! An App with its own JWT, and the tokens of its installations.

use std::time::Duration;

use local::github::{AppPermissions, FakeGithubOptions, PermissionLevel};
use serde_json::json;

use super::{client::Client, world::World};

#[tokio::test(flavor = "multi_thread")]
async fn an_app_finds_where_it_is_installed() {
    let world = World::new().await;
    let app = world.app_client();
    assert_eq!(app.get("/app").await.expect(200)["slug"], "prow");
    let list = app.get("/app/installations").await.expect(200);
    assert_eq!(list[0]["account"]["login"], "acme");
    for path in [
        "/orgs/acme/installation",
        "/repos/acme/widgets/installation",
        "/users/acme/installation",
    ] {
        assert_eq!(
            app.get(path).await.expect(200)["id"],
            world.installation,
            "{path}"
        );
    }
    let one = app
        .get(&format!("/app/installations/{}", world.installation))
        .await
        .expect(200);
    assert_eq!(one["permissions"]["statuses"], "write");
    app.get("/users/stan/installation").await.expect(404);
    app.get("/repos/acme/nothing/installation")
        .await
        .expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assertion_must_be_the_apps_and_short_lived() {
    let world = World::new().await;
    let now = jiff::Timestamp::now().as_second();
    let id = world.app.app_id;
    for (name, claims, status) in [
        (
            "good",
            json!({"iat": now - 60, "exp": now + 300, "iss": id}),
            200,
        ),
        (
            "id as text",
            json!({"iat": now - 60, "exp": now + 300, "iss": id.to_string()}),
            200,
        ),
        (
            "longer than ten minutes",
            json!({"iat": now, "exp": now + 900, "iss": id}),
            401,
        ),
        (
            "over",
            json!({"iat": now - 600, "exp": now - 10, "iss": id}),
            401,
        ),
        (
            "from the future",
            json!({"iat": now + 120, "exp": now + 300, "iss": id}),
            401,
        ),
        (
            "of nobody",
            json!({"iat": now, "exp": now + 300, "iss": 999}),
            401,
        ),
    ] {
        let answer = world.assertion(&claims).get("/app").await;
        assert_eq!(answer.status, status, "{name}: {}", answer.body);
    }
    // The same claims, signed with another App's key.
    let other = world
        .github
        .add_app("other", &world.receiver.url, super::world::SECRET)
        .await
        .unwrap();
    let claims = json!({"iat": now - 60, "exp": now + 300, "iss": id});
    world
        .signed(&other.private_key_pem, &claims)
        .get("/app")
        .await
        .expect(401);
    world.maria.get("/app").await.expect(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_as_narrow_as_it_was_asked_for() {
    let world = World::new().await;
    world
        .github
        .add_repo("acme", "gadgets", Default::default())
        .await
        .unwrap();
    let sha = world
        .github
        .find_branch_tip("acme", "widgets", "main")
        .await
        .unwrap()
        .unwrap();
    let status = format!("/repos/acme/widgets/statuses/{sha}");
    let wanted = json!({"state": "pending", "context": "ci"});

    let full = world.installed(json!({})).await;
    full.post(&status, wanted.clone()).await.expect(201);
    let reader = world
        .installed(json!({"permissions": {"statuses": "read"}}))
        .await;
    let refusal = reader.post(&status, wanted.clone()).await.expect(403);
    assert_eq!(refusal["message"], "Resource not accessible by integration");
    let elsewhere = world.installed(json!({"repositories": ["gadgets"]})).await;
    elsewhere.post(&status, wanted).await.expect(403);
    let seen = elsewhere
        .get("/installation/repositories")
        .await
        .expect(200);
    assert_eq!(seen["repositories"][0]["full_name"], "acme/gadgets");

    let path = format!("/app/installations/{}/access_tokens", world.installation);
    let app = world.app_client();
    app.post(&path, json!({"permissions": {"administration": "write"}}))
        .await
        .expect(422);
    app.post(&path, json!({"repositories": ["nothing"]}))
        .await
        .expect(422);
    app.post("/app/installations/999/access_tokens", json!({}))
        .await
        .expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_ends_by_time_or_by_hand() {
    let world = World::new().await;
    let client = world.installed(json!({})).await;
    client.get("/repos/acme/widgets").await.expect(200);
    client.delete("/installation/token").await.expect(204);
    assert_eq!(
        client.get("/repos/acme/widgets").await.expect(401)["message"],
        "Bad credentials"
    );

    let options = FakeGithubOptions {
        token_lifetime: Duration::from_secs(1),
        ..FakeGithubOptions::default()
    };
    let world = World::with(options).await;
    let client = world.installed(json!({})).await;
    tokio::time::sleep(Duration::from_millis(1600)).await;
    client.get("/repos/acme/widgets").await.expect(401);
    let work = world.clone_as(&world.anonymous(), "acme/widgets");
    work.commit("a", "a", "a");
    let (fine, said) = work.try_git(&["push", &client.remote("acme/widgets"), "HEAD:main"]);
    assert!(!fine, "a push with an expired token: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_is_added_once() {
    let world = World::new().await;
    let again = world
        .github
        .add_app("prow", "http://127.0.0.1:1/other", "other")
        .await
        .unwrap();
    assert_eq!(again.app_id, world.app.app_id);
    assert_eq!(again.private_key_pem, world.app.private_key_pem);
    let fewer = AppPermissions::from([("contents", PermissionLevel::Read)]);
    let id = world
        .github
        .install_app("prow", "acme", fewer)
        .await
        .unwrap();
    assert_eq!(id, world.installation);
    let seen = world
        .app_client()
        .get("/orgs/acme/installation")
        .await
        .expect(200);
    assert_eq!(
        seen["permissions"],
        json!({"contents": "read", "metadata": "read"})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_token_is_refused_even_where_nobody_needs_one() {
    let world = World::new().await;
    world
        .anonymous()
        .get("/repos/acme/widgets")
        .await
        .expect(200);
    Client::new(&world.github, "ghp_nothing")
        .get("/repos/acme/widgets")
        .await
        .expect(401);
}
