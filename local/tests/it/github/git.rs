//! A real git as client, over HTTP.

use local::github::RepoOptions;
use serde_json::{Value, json};

use super::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_push_tells_what_it_brought() {
    let world = World::new().await;
    let work = world.clone_as(&world.maria, "acme/widgets");
    let before = work.head();
    work.commit("new.txt", "1\n", "Add new.txt");
    work.git(&["mv", "README.md", "READ.md"]);
    work.commit("new.txt", "2\n", "Move and change");
    world.receiver.forget();
    work.git(&["push", "--quiet", "origin", "main"]);
    assert_eq!(world.told().await, ["push"]);
    let push = &world.receiver.payloads("push")[0];
    assert_eq!(
        (push["before"].as_str(), push["after"].as_str()),
        (Some(&*before), Some(&*work.head()))
    );
    assert_eq!(push["repository"]["owner"]["name"], "acme");
    assert_eq!(
        (
            push["pusher"]["name"].as_str(),
            push["sender"]["login"].as_str()
        ),
        (Some("maria"), Some("maria"))
    );
    let brief = |commit: &Value| {
        json!([
            commit["message"],
            commit["added"],
            commit["removed"],
            commit["modified"]
        ])
    };
    let commits: Vec<Value> = push["commits"]
        .as_array()
        .unwrap()
        .iter()
        .map(brief)
        .collect();
    assert_eq!(
        json!(commits),
        json!([
            ["Add new.txt", ["new.txt"], [], []],
            ["Move and change", ["READ.md"], ["README.md"], ["new.txt"]],
        ]),
    );
    assert_eq!(push["head_commit"]["id"], push["after"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn branches_and_tags_come_and_go() {
    let world = World::new().await;
    let work = world.clone_as(&world.maria, "acme/widgets");
    work.git(&["tag", "--annotate", "v1", "--message", "one"]);
    world.receiver.forget();
    work.git(&["push", "--quiet", "origin", "main:topic", "v1"]);
    assert_eq!(world.told().await, ["create", "push", "create", "push"]);
    let push = &world.receiver.payloads("push")[1];
    assert_eq!(
        (&push["created"], &push["commits"]),
        (&json!(true), &json!([]))
    );
    assert_eq!(push["head_commit"]["id"], work.head());

    world.receiver.forget();
    work.commit("a.txt", "a\n", "Other history");
    work.git(&["commit", "--quiet", "--amend", "--message", "Amended"]);
    work.git(&["push", "--quiet", "origin", "main:topic"]);
    work.git(&["commit", "--quiet", "--amend", "--message", "Again"]);
    work.git(&["push", "--quiet", "--force", "origin", "main:topic"]);
    work.git(&["push", "--quiet", "origin", ":topic"]);
    assert_eq!(world.told().await, ["push", "push", "delete", "push"]);
    let pushes = world.receiver.payloads("push");
    let forced: Vec<&Value> = pushes.iter().map(|push| &push["forced"]).collect();
    assert_eq!(forced, [false, true, false]);
    assert_eq!(pushes[2]["deleted"], true);
    assert_eq!(pushes[2]["head_commit"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_needs_the_right_to_write() {
    let world = World::new().await;
    let work = world.clone_as(&world.anonymous(), "acme/widgets");
    work.commit("x", "x", "x");
    let reader = world
        .installed(json!({"permissions": {"contents": "read"}}))
        .await;
    for client in [&world.anonymous(), &world.stan, &reader] {
        let (fine, said) = work.try_git(&["push", &client.remote("acme/widgets"), "HEAD:main"]);
        assert!(!fine, "{said}");
    }
    work.git(&[
        "push",
        "--quiet",
        &world.installed(json!({})).await.remote("acme/widgets"),
        "HEAD:main",
    ]);
    assert_eq!(
        world
            .github
            .find_branch_tip("acme", "widgets", "main")
            .await
            .unwrap(),
        Some(work.head())
    );
    let (fine, said) = work.try_git(&[
        "push",
        &world.maria.remote("acme/widgets"),
        "HEAD:refs/pull/1/head",
    ]);
    assert!(!fine && said.contains("hidden ref"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_repository_is_cloned_with_a_token_only() {
    let world = World::new().await;
    world
        .github
        .add_repo("acme", "secret", RepoOptions { private: true })
        .await
        .unwrap();
    let work = world.clone_as(&world.maria, "acme/secret");
    work.commit("a", "a", "a");
    work.git(&["push", "--quiet", "origin", "HEAD:main"]);
    for (client, fine) in [
        (world.anonymous(), false),
        (world.stan.clone(), false),
        (world.maria.clone(), true),
    ] {
        let (done, said) = work.try_git(&["ls-remote", &client.remote("acme/secret")]);
        assert_eq!(done, fine, "{said}");
    }
    let (fine, said) = work.try_git(&["ls-remote", &world.maria.remote("acme/nothing")]);
    assert!(!fine && said.contains("not found"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clone_may_be_partial_and_fetch_any_commit() {
    let world = World::new().await;
    let number = world.open_pull("topic").await;
    let pull = world
        .github
        .get_pull("acme", "widgets", number)
        .await
        .unwrap();
    let work = world.clone_as(&world.anonymous(), "acme/widgets");
    let address = world.anonymous().remote("acme/widgets");
    work.git(&[
        "clone",
        "--quiet",
        "--bare",
        "--filter=blob:none",
        &address,
        "mirror.git",
    ]);
    work.git(&[
        "-C",
        "mirror.git",
        "fetch",
        "--quiet",
        "origin",
        &pull.head_sha,
    ]);
    // Many refs make a long request, which git compresses.
    for branch in 0..40 {
        work.git(&["branch", &format!("b{branch}")]);
    }
    work.git(&[
        "fetch",
        "--quiet",
        "origin",
        &format!("refs/pull/{number}/head"),
        &format!("refs/pull/{number}/merge"),
    ]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_push_arrives() {
    let world = World::new().await;
    let work = world.clone_as(&world.maria, "acme/widgets");
    // Larger than git's http.postBuffer, so that it is sent in chunks. It has no regular pattern,
    // so it stays large.
    let mut state = 1_u64;
    let noise: String = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        char::from(b' ' + u8::try_from((state >> 33) % 95).unwrap())
    })
    .take(3 << 20)
    .collect();
    work.commit("noise", &noise, "Noise");
    work.git(&["push", "--quiet", "origin", "main"]);
    let copy = world.clone_as(&world.anonymous(), "acme/widgets");
    assert_eq!(
        std::fs::read_to_string(copy.path().join("noise")).unwrap(),
        noise
    );
}
