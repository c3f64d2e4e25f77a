//! Branches, refs, commits, files, comparisons, and what a pull request changes.

use serde_json::{Value, json};

use super::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn refs_are_found_made_moved_and_deleted() {
    let world = World::new().await;
    let base = "/repos/acme/widgets";
    let main = world
        .maria
        .get(&format!("{base}/git/ref/heads/main"))
        .await
        .expect(200);
    let sha = main["object"]["sha"].as_str().unwrap().to_owned();
    let new = json!({"ref": "refs/heads/feature/x", "sha": sha});
    world
        .maria
        .post(&format!("{base}/git/refs"), new.clone())
        .await
        .expect(201);
    world
        .maria
        .post(&format!("{base}/git/refs"), new)
        .await
        .expect(422);
    world
        .maria
        .post(
            &format!("{base}/git/refs"),
            json!({"ref": "refs/pull/1/head", "sha": sha}),
        )
        .await
        .expect(422);
    let matching = world
        .stan
        .get(&format!("{base}/git/matching-refs/heads/feat"))
        .await
        .expect(200);
    assert_eq!(matching[0]["ref"], "refs/heads/feature/x");
    let branch = world
        .stan
        .get(&format!("{base}/branches/feature/x"))
        .await
        .expect(200);
    assert_eq!(branch["commit"]["sha"], sha);
    let branches = world
        .stan
        .get(&format!("{base}/branches"))
        .await
        .expect(200);
    assert_eq!(branches.as_array().map(Vec::len), Some(2));
    let work = world.clone_as(&world.maria, "acme/widgets");
    work.commit("a", "a", "a");
    work.git(&["push", "--quiet", "origin", "main"]);
    let path = format!("{base}/git/refs/heads/feature/x");
    world
        .maria
        .patch(&path, json!({"sha": work.head()}))
        .await
        .expect(200);
    world
        .maria
        .patch(&path, json!({"sha": sha}))
        .await
        .expect(422);
    world
        .maria
        .patch(&path, json!({"sha": sha, "force": true}))
        .await
        .expect(200);
    world.stan.delete(&path).await.expect(403);
    world.maria.delete(&path).await.expect(204);
    world
        .maria
        .get(&format!("{base}/git/ref/heads/feature/x"))
        .await
        .expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_and_folders_are_read_at_any_commit() {
    let world = World::new().await;
    let work = world.clone_as(&world.maria, "acme/widgets");
    std::fs::create_dir(work.path().join("docs")).unwrap();
    work.commit(
        "docs/a b.md",
        &"long enough to be wrapped ".repeat(8),
        "Docs",
    );
    work.git(&["push", "--quiet", "origin", "main"]);
    let base = "/repos/acme/widgets/contents";
    let file = world
        .stan
        .get(&format!("{base}/docs/a%20b.md"))
        .await
        .expect(200);
    assert!(file["content"].as_str().unwrap().lines().count() > 1);
    let raw = [("accept", "application/vnd.github.raw+json")];
    let text = world
        .stan
        .send(
            reqwest::Method::GET,
            &format!("{base}/README.md?ref=main~0"),
            None,
            &raw,
        )
        .await;
    assert_eq!(text.status, 404, "an expression is no ref");
    let text = world
        .stan
        .send(
            reqwest::Method::GET,
            &format!("{base}/README.md"),
            None,
            &raw,
        )
        .await;
    assert_eq!(text.body, "hello\n");
    let names = |list: &Value| -> Vec<String> {
        list.as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        names(&world.stan.get(&format!("{base}/docs")).await.expect(200)),
        ["a b.md"]
    );
    let parent = work.git(&["rev-parse", "HEAD^"]);
    assert_eq!(
        names(
            &world
                .stan
                .get(&format!("{base}/?ref={parent}"))
                .await
                .expect(200)
        ),
        ["README.md"]
    );
    world
        .stan
        .get(&format!("{base}/docs?ref={parent}"))
        .await
        .expect(404);
    world.stan.get(&format!("{base}/nothing")).await.expect(404);
    world
        .stan
        .get(&format!("{base}/README.md?ref=--output=x"))
        .await
        .expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_are_shown_listed_and_compared() {
    let world = World::new().await;
    let work = world.clone_as(&world.maria, "acme/widgets");
    let first = work.head();
    work.git(&["checkout", "--quiet", "-b", "side/way"]);
    work.commit("side.txt", "1\n2\n", "Side\n\nwith a body");
    work.git(&["push", "--quiet", "origin", "side/way"]);
    work.git(&["checkout", "--quiet", "main"]);
    work.commit("main.txt", "m\n", "Main");
    work.git(&["push", "--quiet", "origin", "main"]);
    let base = "/repos/acme/widgets";
    let commit = world
        .stan
        .get(&format!("{base}/commits/side/way"))
        .await
        .expect(200);
    assert_eq!(
        (&commit["commit"]["message"], &commit["stats"]["additions"]),
        (&json!("Side\n\nwith a body"), &json!(2))
    );
    let root = world
        .stan
        .get(&format!("{base}/commits/{first}"))
        .await
        .expect(200);
    assert_eq!(root["files"][0]["status"], "added");
    world
        .stan
        .get(&format!("{base}/git/commits/{first}"))
        .await
        .expect(200);
    let list = world
        .stan
        .get(&format!("{base}/commits?sha=main"))
        .await
        .expect(200);
    assert_eq!(list[0]["sha"], work.head());
    let compared = world
        .stan
        .get(&format!("{base}/compare/main...side/way"))
        .await
        .expect(200);
    assert_eq!(
        (
            &compared["status"],
            &compared["ahead_by"],
            &compared["behind_by"],
            &compared["merge_base_commit"]["sha"]
        ),
        (&json!("diverged"), &json!(1), &json!(1), &json!(first)),
    );
    assert_eq!(compared["files"][0]["filename"], "side.txt");
    world
        .stan
        .get(&format!("{base}/commits/nothing"))
        .await
        .expect(422);
    world
        .stan
        .get(&format!("{base}/compare/main...nothing"))
        .await
        .expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_and_commits_are_listed() {
    let world = World::new().await;
    let work = world.clone_as(&world.maria, "acme/widgets");
    work.git(&["checkout", "--quiet", "-b", "many"]);
    for name in ["a", "b"] {
        work.commit(&format!("{name}.txt"), "x\n", &format!("Add {name}"));
    }
    work.git(&["mv", "README.md", "READ ME.md"]);
    std::fs::write(work.path().join("picture"), [0, 159, 146, 150]).unwrap();
    work.commit("c.txt", "ü\n", "Rest");
    work.git(&["push", "--quiet", "origin", "many"]);
    let wish = json!({"title": "Many", "head": "many", "base": "main"});
    let number = world
        .maria
        .post("/repos/acme/widgets/pulls", wish)
        .await
        .expect(201)["number"]
        .clone();
    let path = format!("/repos/acme/widgets/pulls/{number}");
    let files = world.maria.get(&format!("{path}/files")).await.expect(200);
    let brief: Vec<Value> = files
        .as_array()
        .unwrap()
        .iter()
        .map(|file| json!([file["filename"], file["status"], file["patch"].is_string()]))
        .collect();
    assert_eq!(
        json!(brief),
        json!([
            ["READ ME.md", "renamed", false],
            ["a.txt", "added", true],
            ["b.txt", "added", true],
            ["c.txt", "added", true],
            ["picture", "added", false],
        ])
    );
    assert_eq!(files[0]["previous_filename"], "README.md");
    assert_eq!(files[3]["patch"], "@@ -0,0 +1 @@\n+ü");
    let commits = world
        .maria
        .get(&format!("{path}/commits"))
        .await
        .expect(200);
    assert_eq!(commits[0]["commit"]["message"], "Add a");
    assert_eq!(
        world
            .maria
            .get(&format!("{path}/reviews"))
            .await
            .expect(200),
        json!([])
    );
    for (query, count) in [
        ("", 1),
        ("?state=closed", 0),
        ("?state=all&head=acme:many", 1),
        ("?base=other", 0),
    ] {
        let list = world
            .maria
            .get(&format!("/repos/acme/widgets/pulls{query}"))
            .await
            .expect(200);
        assert_eq!(list.as_array().map(Vec::len), Some(count), "{query}");
    }
}
