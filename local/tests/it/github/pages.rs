//! Pages for people.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::json;

use super::world::World;

/// Status and text of a page, as a browser gets them.
async fn browse(world: &World, path: &str) -> (u16, String) {
    let url = format!("{}{path}", world.github.url());
    let answer = reqwest::Client::new()
        .get(&url)
        .header("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
        .send()
        .await
        .unwrap();
    let status = answer.status().as_u16();
    (status, answer.text().await.unwrap())
}

/// A repository with folders, branches, tags, statuses, check runs, a fork, and pull requests in
/// every state.
async fn furnish(world: &World) -> u64 {
    let work = world.clone_as(&world.maria, "acme/widgets");
    work.git(&["pull", "--quiet", "origin", "main"]);
    std::fs::create_dir_all(work.path().join("docs/a b")).unwrap();
    work.commit(
        "docs/a b/ü#?.md",
        "<b>text</b>\n",
        "Docs <script>alert(1)</script>",
    );
    std::fs::write(work.path().join("binary"), [0xff, 0xfe, 0]).unwrap();
    work.git(&["add", "."]);
    work.git(&["commit", "--quiet", "--message", "Binary"]);
    work.git(&["tag", "-a", "v1", "-m", "one"]);
    work.git(&[
        "push",
        "--quiet",
        "origin",
        "HEAD:main",
        "HEAD:feature/x",
        "v1",
    ]);
    let merged = world.open_pull("merged").await;
    let merge = format!("/repos/acme/widgets/pulls/{merged}/merge");
    world.maria.put(&merge, json!({})).await.expect(200);
    let number = world.open_pull("topic").await;
    let sha = world
        .github
        .get_pull("acme", "widgets", number)
        .await
        .unwrap()
        .head_sha;
    let app = world.installed(json!({})).await;
    let status = json!({"state": "pending", "context": "unit"});
    app.post(&format!("/repos/acme/widgets/statuses/{sha}"), status)
        .await
        .expect(201);
    let run = json!({"name": "lint", "head_sha": sha, "status": "completed", "conclusion": "failure",
        "output": {"title": "Two mistakes", "summary": "- `a`\n- <i onclick=x>b</i>"}});
    app.post("/repos/acme/widgets/check-runs", run)
        .await
        .expect(201);
    world
        .stan
        .post("/repos/acme/widgets/forks", json!({}))
        .await
        .expect(202);
    let comments = format!("/repos/acme/widgets/issues/{number}/comments");
    for body in ["**bold** [there](http://elsewhere.invalid/)", "@stan: no"] {
        app.post(&comments, json!({ "body": body }))
            .await
            .expect(201);
    }
    number
}

#[tokio::test(flavor = "multi_thread")]
async fn every_link_of_every_page_leads_to_a_page() {
    let world = World::new().await;
    let number = furnish(&world).await;
    let pull = format!("/acme/widgets/pull/{number}");
    let sha = world
        .github
        .get_pull("acme", "widgets", number)
        .await
        .unwrap()
        .head_sha;
    // Pages that links from elsewhere lead to: from payloads, ProwJobs and Deck.
    let mut waiting: Vec<String> = [
        "/",
        "/acme",
        "/maria",
        "/stan",
        "/prow%5Bbot%5D",
        "/acme/widgets",
        "/acme/widgets.git",
        "/acme/widgets/tree/main",
        "/acme/widgets/tree/feature/x/docs",
        "/acme/widgets/commits",
        "/acme/widgets/issues",
        &format!("/acme/widgets/issues/{number}"),
        &format!("/acme/widgets/compare/000000000000...{}", &sha[..12]),
        &format!("/acme/widgets/compare/main...{sha}"),
        &format!("/settings/installations/{}", world.installation),
        &format!("{pull}/checks"),
        &format!("{pull}/commits/{sha}"),
        &format!("{pull}.diff"),
        &format!("{pull}.patch"),
    ]
    .map(str::to_owned)
    .into();
    let href = Regex::new("(?:href|src)=\"([^\"]*)\"").unwrap();
    let named = Regex::new("aria-label=\"([^\"]*)\"").unwrap();
    let number_of = Regex::new("[0-9a-f]{12,40}|[0-9]+").unwrap();
    let mut seen: BTreeSet<String> = BTreeSet::new();
    while let Some(path) = waiting.pop() {
        // Two pages of a kind are enough, such as two commits.
        let shape = number_of.replace_all(&path, "N").into_owned();
        let alike = seen
            .iter()
            .filter(|known: &&String| number_of.replace_all(known, "N") == shape);
        if alike.count() > 1 || !seen.insert(path.clone()) {
            continue;
        }
        let (status, text) = browse(&world, &path).await;
        assert_eq!(status, 200, "{path}: {text}");
        if !text.starts_with("<!doctype html>") {
            continue;
        }
        assert!(!text.contains("<script>alert"), "{path}: {text}");
        let labels: Vec<&str> = named
            .captures_iter(&text)
            .map(|one| one.get(1).unwrap().as_str())
            .collect();
        let different: BTreeSet<&&str> = labels.iter().collect();
        assert_eq!(
            labels.len(),
            different.len(),
            "{path}: two of one name: {labels:?}"
        );
        for link in href.captures_iter(&text) {
            let link = link[1].replace("&amp;", "&").replace("&#38;", "&");
            let link = link.split('#').next().unwrap();
            let link = link.strip_prefix(world.github.url()).unwrap_or(link);
            if link.starts_with('/') {
                waiting.push(link.to_owned());
            } else {
                assert!(
                    link.is_empty() || link == "http://elsewhere.invalid/",
                    "{path}: {link}"
                );
            }
        }
    }
    for part in [
        "/commit/",
        "/blob/",
        "/raw/",
        "/tree/v1",
        "/runs/",
        "/apps/prow",
        "/stan/widgets",
    ] {
        assert!(
            seen.iter().any(|path| path.contains(part)),
            "{part} is not in {seen:?}"
        );
    }
    assert_eq!(world.github.list_unimplemented(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_a_page_for_people_and_json_for_clients() {
    let world = World::new().await;
    let options = local::github::RepoOptions { private: true };
    world
        .github
        .add_repo("acme", "secret", options)
        .await
        .unwrap();
    for path in [
        "/nobody",
        "/acme/nothing",
        "/acme/secret",
        "/acme/widgets/pull/99",
        "/acme/widgets/pull/x",
        "/acme/widgets/commit/0000000",
        "/acme/widgets/tree/main/nothing",
        "/acme/widgets/blob/main",
        "/acme/widgets/settings/hooks",
        "/a/b/c/d/e",
    ] {
        let (status, text) = browse(&world, path).await;
        assert_eq!(status, 404, "{path}");
        assert!(text.contains("There is nothing here"), "{path}: {text}");
        let answer = reqwest::get(format!("{}{path}", world.github.url()))
            .await
            .unwrap();
        let kind = answer.headers()["content-type"]
            .to_str()
            .unwrap()
            .to_owned();
        assert!(kind.starts_with("application/json"), "{path}: {kind}");
        assert!([404, 501].contains(&answer.status().as_u16()), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_shows_its_checks_and_who_may_be_commented_as() {
    let world = World::new().await;
    let number = furnish(&world).await;
    let maria = world.github.add_local_user("maria").await.unwrap();
    world.github.add_local_user("stan").await.unwrap();
    assert_eq!(
        world.github.add_local_user("maria").await.unwrap().token,
        maria.token,
        "it stays the same"
    );
    let (_, text) = browse(&world, &format!("/acme/widgets/pull/{number}")).await;
    for expected in [
        "● pending</span>\n<strong>unit</strong>",
        "✗ failure</span>\n<strong>lint</strong>",
        "<strong>bold</strong>",
        "member of acme, permission write",
        "no member of acme, permission read",
        &format!("/repos/acme/widgets/issues/{number}/comments"),
    ] {
        assert!(text.contains(expected), "{expected} is not in {text}");
    }
    assert!(!text.contains(&maria.token), "a token is on the page");
    // The command line works as shown, after HTML entities are decoded.
    let line = text
        .lines()
        .find(|line| line.contains("/tokens/maria"))
        .unwrap()
        .split_once("<pre>")
        .unwrap()
        .1
        .split_once("</pre>")
        .unwrap()
        .0
        .replace("&#34;", "\"")
        .replace("&#39;", "'")
        .replace("&#38;", "&");
    let output = std::process::Command::new("sh")
        .args(["-c", &format!("{line} --silent")])
        .output()
        .unwrap();
    let answer = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        answer.contains("\"body\":\"/test all\""),
        "{line}: {answer}"
    );
    assert!(answer.contains("\"login\":\"maria\""), "{answer}");
}
