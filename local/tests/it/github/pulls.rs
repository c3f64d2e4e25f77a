//! The lifecycle of a pull request.

use serde_json::json;

use super::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn opened_moved_and_merged() {
    let world = World::new().await;
    world.receiver.forget();
    let number = world.open_pull("topic").await;
    assert_eq!(
        world.told().await,
        ["create", "push", "pull_request.opened"]
    );
    let path = format!("/repos/acme/widgets/pulls/{number}");
    let pull = world.maria.get(&path).await.expect(200);
    assert_eq!(
        (
            &pull["mergeable"],
            &pull["changed_files"],
            &pull["additions"]
        ),
        (&json!(true), &json!(1), &json!(2))
    );
    assert_eq!(pull["author_association"], "MEMBER");

    let work = world.clone_as(&world.maria, "acme/widgets");
    work.git(&["checkout", "--quiet", "topic"]);
    let before = work.head();
    work.commit("more.txt", "more\n", "More");
    world.receiver.forget();
    work.git(&["push", "--quiet", "origin", "topic"]);
    assert_eq!(world.told().await, ["push", "pull_request.synchronize"]);
    let told = &world.receiver.payloads("pull_request.synchronize")[0];
    assert_eq!(
        (told["before"].as_str(), told["after"].as_str()),
        (Some(&*before), Some(&*work.head()))
    );
    assert_eq!(told["pull_request"]["head"]["sha"], work.head());
    assert_eq!(
        work.git(&["ls-remote", "origin", &format!("refs/pull/{number}/head")])[..40],
        work.head()
    );

    world.receiver.forget();
    world
        .maria
        .put(&format!("{path}/merge"), json!({"sha": before}))
        .await
        .expect(409);
    world.maria.get(&format!("{path}/merge")).await.expect(404);
    let merged = world
        .maria
        .put(&format!("{path}/merge"), json!({}))
        .await
        .expect(200);
    assert_eq!(world.told().await, ["pull_request.closed", "push"]);
    let told = &world.receiver.payloads("pull_request.closed")[0]["pull_request"];
    assert_eq!(
        (&told["merged"], &told["merge_commit_sha"]),
        (&json!(true), &merged["sha"])
    );
    let push = &world.receiver.payloads("push")[0];
    assert_eq!(
        (&push["ref"], &push["after"]),
        (&json!("refs/heads/main"), &merged["sha"])
    );
    world.maria.get(&format!("{path}/merge")).await.expect(204);
    world
        .maria
        .put(&format!("{path}/merge"), json!({}))
        .await
        .expect(405);
    work.git(&["fetch", "--quiet", "origin", "main"]);
    assert_eq!(
        work.git(&["log", "-1", "--format=%s", "FETCH_HEAD"]),
        format!("Merge pull request #{number} from acme/topic")
    );
    work.git(&["cat-file", "-e", "FETCH_HEAD:more.txt"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn squashing_leaves_one_commit_and_rebasing_is_not_built() {
    let world = World::new().await;
    let number = world.open_pull("topic").await;
    let path = format!("/repos/acme/widgets/pulls/{number}/merge");
    world
        .maria
        .put(&path, json!({"merge_method": "rebase"}))
        .await
        .expect(501);
    world
        .maria
        .put(&path, json!({"merge_method": "wish"}))
        .await
        .expect(422);
    let wish =
        json!({"merge_method": "squash", "commit_title": "All of it", "commit_message": "why"});
    let sha = world.maria.put(&path, wish).await.expect(200)["sha"]
        .as_str()
        .unwrap()
        .to_owned();
    let commit = world
        .maria
        .get(&format!("/repos/acme/widgets/commits/{sha}"))
        .await
        .expect(200);
    assert_eq!(commit["parents"].as_array().map(Vec::len), Some(1));
    assert_eq!(commit["commit"]["message"], "All of it\n\nwhy");
    assert_eq!(world.github.list_unimplemented().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_is_seen_as_soon_as_the_base_moves() {
    let world = World::new().await;
    let number = world.open_pull("topic").await;
    let work = world.clone_as(&world.maria, "acme/widgets");
    work.commit("topic.txt", "something else\n", "The same file");
    work.git(&["push", "--quiet", "origin", "main"]);
    let path = format!("/repos/acme/widgets/pulls/{number}");
    let pull = world.maria.get(&path).await.expect(200);
    assert_eq!(
        (&pull["mergeable"], &pull["mergeable_state"]),
        (&json!(false), &json!("dirty"))
    );
    let refusal = world
        .maria
        .put(&format!("{path}/merge"), json!({}))
        .await
        .expect(405);
    assert_eq!(refusal["message"], "Pull Request has merge conflicts");
}

#[tokio::test(flavor = "multi_thread")]
async fn from_a_fork() {
    let world = World::new().await;
    let fork = world
        .stan
        .post("/repos/acme/widgets/forks", json!({}))
        .await
        .expect(202);
    assert_eq!(
        (&fork["full_name"], &fork["parent"]["full_name"]),
        (&json!("stan/widgets"), &json!("acme/widgets"))
    );
    let work = world.clone_as(&world.stan, "stan/widgets");
    work.git(&["checkout", "--quiet", "-b", "idea"]);
    work.commit("idea.txt", "idea\n", "Idea");
    world.receiver.forget();
    work.git(&["push", "--quiet", "origin", "idea"]);
    // The App is not installed on stan's repositories.
    assert_eq!(world.told().await, Vec::<String>::new());
    let wish = json!({"title": "Idea", "head": "stan:idea", "base": "main"});
    let pull = world
        .stan
        .post("/repos/acme/widgets/pulls", wish.clone())
        .await
        .expect(201);
    assert_eq!(pull["head"]["repo"]["full_name"], "stan/widgets");
    assert_eq!(pull["author_association"], "NONE");
    let twice = world
        .stan
        .post("/repos/acme/widgets/pulls", wish)
        .await
        .expect(422);
    assert_eq!(
        twice["errors"][0]["message"],
        "A pull request already exists for stan:idea."
    );
    work.commit("idea.txt", "better\n", "Better idea");
    work.git(&["push", "--quiet", "origin", "idea"]);
    assert_eq!(
        world.told().await,
        ["pull_request.opened", "pull_request.synchronize"]
    );
    let number = &pull["number"];
    let reader = world.clone_as(&world.anonymous(), "acme/widgets");
    assert_eq!(
        reader.git(&["ls-remote", "origin", &format!("refs/pull/{number}/head")])[..40],
        work.head()
    );
    world
        .maria
        .put(
            &format!("/repos/acme/widgets/pulls/{number}/merge"),
            json!({}),
        )
        .await
        .expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn edited_closed_reopened_drafted() {
    let world = World::new().await;
    let number = world.open_pull("topic").await;
    let path = format!("/repos/acme/widgets/pulls/{number}");
    world.told().await;
    world.receiver.forget();
    world
        .maria
        .patch(&path, json!({"title": "Better", "body": "Because"}))
        .await
        .expect(200);
    world
        .maria
        .patch(&path, json!({"state": "closed"}))
        .await
        .expect(200);
    world
        .maria
        .patch(&path, json!({"state": "closed"}))
        .await
        .expect(200);
    world
        .maria
        .patch(&path, json!({"state": "open"}))
        .await
        .expect(200);
    world
        .maria
        .patch(&path, json!({"state": "ajar"}))
        .await
        .expect(422);
    world
        .github
        .set_draft("acme", "widgets", number, true)
        .await
        .unwrap();
    world
        .github
        .set_draft("acme", "widgets", number, false)
        .await
        .unwrap();
    let actions = [
        "edited",
        "closed",
        "reopened",
        "converted_to_draft",
        "ready_for_review",
    ];
    assert_eq!(
        world.told().await,
        actions.map(|action| format!("pull_request.{action}"))
    );
    let changes = &world.receiver.payloads("pull_request.edited")[0]["changes"];
    assert_eq!(
        *changes,
        json!({"title": {"from": "Add topic"}, "body": {"from": "Please"}})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_closes_with_its_branch() {
    let world = World::new().await;
    let number = world.open_pull("topic").await;
    world
        .maria
        .delete("/repos/acme/widgets/git/refs/heads/topic")
        .await
        .expect(204);
    assert_eq!(
        world
            .github
            .get_pull("acme", "widgets", number)
            .await
            .unwrap()
            .state,
        "closed"
    );
    let path = format!("/repos/acme/widgets/pulls/{number}");
    world
        .maria
        .patch(&path, json!({"state": "open"}))
        .await
        .expect(422);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_base() {
    let world = World::new().await;
    let number = world.open_pull("topic").await;
    let sha = world
        .github
        .find_branch_tip("acme", "widgets", "main")
        .await
        .unwrap()
        .unwrap();
    let new = json!({"ref": "refs/heads/release", "sha": sha});
    world
        .maria
        .post("/repos/acme/widgets/git/refs", new)
        .await
        .expect(201);
    let path = format!("/repos/acme/widgets/pulls/{number}");
    world
        .maria
        .patch(&path, json!({"base": "nowhere"}))
        .await
        .expect(422);
    let pull = world
        .maria
        .patch(&path, json!({"base": "release"}))
        .await
        .expect(200);
    assert_eq!(pull["base"]["ref"], "release");
    world.told().await;
    let changes = &world.receiver.payloads("pull_request.edited")[0]["changes"];
    assert_eq!(changes["base"]["ref"]["from"], "main");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_opened_says_why() {
    let world = World::new().await;
    for (wish, field) in [
        (json!({"head": "main", "base": "main"}), "title"),
        (json!({"title": "x", "base": "main"}), "head"),
        (
            json!({"title": "x", "head": "nowhere", "base": "main"}),
            "head",
        ),
        (
            json!({"title": "x", "head": "stan:main", "base": "main"}),
            "head",
        ),
    ] {
        let error = world
            .maria
            .post("/repos/acme/widgets/pulls", wish)
            .await
            .expect(422);
        assert_eq!(error["errors"][0]["field"], field);
    }
    let same = json!({"title": "x", "head": "main", "base": "main"});
    let error = world
        .maria
        .post("/repos/acme/widgets/pulls", same)
        .await
        .expect(422);
    assert_eq!(
        error["errors"][0]["message"],
        "No commits between main and main"
    );
}
