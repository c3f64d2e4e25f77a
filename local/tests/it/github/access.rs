//! Permissions: who may see and do what.

use local::github::RepoOptions;
use serde_json::json;

use super::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_private_repository_is_not_there_for_strangers() {
    let world = World::new().await;
    world
        .github
        .add_repo("acme", "secret", RepoOptions { private: true })
        .await
        .unwrap();
    world.maria.get("/repos/acme/secret").await.expect(200);
    world.stan.get("/repos/acme/secret").await.expect(404);
    world
        .anonymous()
        .get("/repos/acme/secret")
        .await
        .expect(404);
    world
        .installed(json!({}))
        .await
        .get("/repos/acme/secret")
        .await
        .expect(200);
    world
        .github
        .add_collaborator("acme", "secret", "stan", "read")
        .await
        .unwrap();
    world.stan.get("/repos/acme/secret").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn membership_is_told_to_members_and_allowed_apps_only() {
    let world = World::new().await;
    let app = world.installed(json!({})).await;
    for client in [&world.maria, &app] {
        client.get("/orgs/acme/members/maria").await.expect(204);
        client.get("/orgs/acme/members/stan").await.expect(404);
    }
    let sent_away = world.stan.get("/orgs/acme/members/maria").await;
    assert_eq!(sent_away.status, 302);
    let address = sent_away.header("location").to_owned();
    assert!(
        address.ends_with("/orgs/acme/public_members/maria"),
        "{address}"
    );
    world.stan.get(&address).await.expect(404);
    let blind = world
        .installed(json!({"permissions": {"contents": "read"}}))
        .await;
    blind.get("/orgs/acme/members/maria").await.expect(403);
    world
        .maria
        .get("/orgs/nobody/members/maria")
        .await
        .expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn collaborators_have_what_they_were_given() {
    let world = World::new().await;
    world.github.add_user("carla").await.unwrap();
    world
        .github
        .add_collaborator("acme", "widgets", "carla", "write")
        .await
        .unwrap();
    let app = world.installed(json!({})).await;
    for (login, status, permission) in [
        ("maria", 204, "write"),
        ("carla", 204, "write"),
        ("stan", 404, "read"),
    ] {
        app.get(&format!("/repos/acme/widgets/collaborators/{login}"))
            .await
            .expect(status);
        let seen = app
            .get(&format!(
                "/repos/acme/widgets/collaborators/{login}/permission"
            ))
            .await
            .expect(200);
        assert_eq!(seen["permission"], permission, "{login}");
    }
    app.get("/repos/acme/widgets/collaborators/nobody/permission")
        .await
        .expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_takes_part_but_changes_nothing() {
    let world = World::new().await;
    let number = world.open_pull("topic").await;
    let sha = world
        .github
        .get_pull("acme", "widgets", number)
        .await
        .unwrap()
        .head_sha;
    let issue = format!("/repos/acme/widgets/issues/{number}");
    let comments = format!("{issue}/comments");
    let comment = world
        .stan
        .post(&comments, json!({"body": "me too"}))
        .await
        .expect(201);
    assert_eq!(comment["author_association"], "NONE");
    world
        .anonymous()
        .post(&comments, json!({"body": "hi"}))
        .await
        .expect(401);
    world
        .stan
        .post(&format!("{issue}/labels"), json!({"labels": ["x"]}))
        .await
        .expect(403);
    world
        .stan
        .post(
            &format!("/repos/acme/widgets/statuses/{sha}"),
            json!({"state": "success"}),
        )
        .await
        .expect(403);
    world
        .stan
        .put(
            &format!("/repos/acme/widgets/pulls/{number}/merge"),
            json!({}),
        )
        .await
        .expect(403);
    world
        .stan
        .patch(
            &format!("/repos/acme/widgets/pulls/{number}"),
            json!({"title": "mine"}),
        )
        .await
        .expect(403);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_shown() {
    let world = World::new().await;
    assert_eq!(world.maria.get("/user").await.expect(200)["login"], "maria");
    world.anonymous().get("/user").await.expect(401);
    assert_eq!(
        world.anonymous().get("/users/stan").await.expect(200)["type"],
        "User"
    );
    assert_eq!(
        world.stan.get("/users/prow%5Bbot%5D").await.expect(200)["type"],
        "Bot"
    );
    assert_eq!(
        world.stan.get("/orgs/acme").await.expect(200)["type"],
        "Organization"
    );
    world.stan.get("/users/nobody").await.expect(404);
    world.stan.get("/orgs/stan").await.expect(404);
}
