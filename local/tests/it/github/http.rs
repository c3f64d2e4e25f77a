//! What applies to every request.

use local::github::{FakeGithub, FakeGithubOptions};
use reqwest::Method;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn only_this_machine_and_no_web_page() {
    let world = World::new().await;
    let path = "/repos/acme/widgets";
    for (header, value, status) in [
        ("host", "evil.example".to_owned(), 403),
        (
            "host",
            world.github.url().replace("http://127.0.0.1", "localhost"),
            200,
        ),
        ("origin", "http://evil.example".to_owned(), 403),
        ("origin", "null".to_owned(), 403),
    ] {
        let answer = world
            .stan
            .send(Method::GET, path, None, &[(header, &value)])
            .await;
        assert_eq!(answer.status, status, "{header}: {value}");
    }
    let pages = world
        .anonymous()
        .send(
            Method::GET,
            "/acme/widgets/info/refs",
            None,
            &[("host", "evil")],
        )
        .await;
    assert_eq!(pages.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_others_reach_is_served_when_it_is_asked_for() {
    common::service::install_crypto();
    let start = async |address: &str, beyond_loopback| {
        let options = FakeGithubOptions {
            beyond_loopback,
            ..FakeGithubOptions::default()
        };
        let listener = TcpListener::bind(address).await.unwrap();
        FakeGithub::start(options, listener, CancellationToken::new()).await
    };
    // Not a single address, so no URL can begin with it.
    for asked in [false, true] {
        let refusal = start("0.0.0.0:0", asked).await.unwrap_err().to_string();
        assert!(refusal.contains("loopback only"), "{refusal}");
    }
    let github = start("127.0.0.2:0", true).await.unwrap();
    assert!(github.url().starts_with("http://127.0.0.2:"));
    let meta = format!("{}/users/nobody", github.url());
    let answer = reqwest::get(&meta).await.unwrap();
    assert_eq!(answer.status(), 404, "served, and nobody is there");
    let elsewhere = reqwest::Client::new()
        .get(&meta)
        .header("host", "127.0.0.1");
    assert_eq!(elsewhere.send().await.unwrap().status(), 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_lead_to_each_other() {
    let world = World::new().await;
    let number = world.open_pull("topic").await;
    let list = format!("/repos/acme/widgets/issues/{number}/comments");
    for count in 0..5 {
        world
            .maria
            .post(&list, json!({"body": format!("comment {count}")}))
            .await
            .expect(201);
    }
    let mut address = format!("{list}?per_page=2");
    let mut seen = Vec::new();
    loop {
        let answer = world.stan.get(&address).await;
        let link = answer.header("link").to_owned();
        seen.extend(
            answer
                .body
                .as_array()
                .unwrap()
                .iter()
                .map(|comment| comment["body"].clone()),
        );
        let Some(next) = link.split(", ").find(|part| part.ends_with("rel=\"next\"")) else {
            break;
        };
        address = next[1..next.find('>').unwrap()].to_owned();
    }
    assert_eq!(
        seen,
        (0..5)
            .map(|count| format!("comment {count}"))
            .collect::<Vec<_>>()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_answer_is_304() {
    let world = World::new().await;
    let number = world.open_pull("topic").await;
    let path = format!("/repos/acme/widgets/pulls/{number}");
    let first = world.stan.get(&path).await;
    let tag = first.header("etag").to_owned();
    let again = |tag: String| {
        let (stan, path) = (world.stan.clone(), path.clone());
        async move {
            stan.send(Method::GET, &path, None, &[("if-none-match", &tag)])
                .await
        }
    };
    let unchanged = again(tag.clone()).await;
    assert_eq!((unchanged.status, unchanged.header("etag")), (304, &*tag));
    assert!(first.header("x-ratelimit-remaining").parse::<u64>().is_ok());
    assert!(!first.header("x-github-request-id").is_empty());
    world
        .maria
        .patch(&path, json!({"title": "Changed"}))
        .await
        .expect(200);
    assert_eq!(again(tag).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_built_says_so_and_is_noted() {
    let world = World::new().await;
    assert_eq!(world.github.list_unimplemented(), Vec::<String>::new());
    world
        .maria
        .get("/repos/acme/widgets/milestones")
        .await
        .expect(501);
    world.maria.delete("/repos/acme/widgets").await.expect(501);
    let diff = [("accept", "application/vnd.github.v3.diff")];
    world
        .maria
        .send(Method::GET, "/repos/acme/widgets/pulls/1", None, &diff)
        .await
        .expect(501);
    assert_eq!(
        world.github.list_unimplemented(),
        [
            "GET /repos/acme/widgets/milestones",
            "DELETE /repos/acme/widgets",
            "GET /repos/acme/widgets/pulls/1",
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_bodies_are_told_apart() {
    let world = World::new().await;
    let number = world.open_pull("topic").await;
    let url = format!(
        "{}/repos/acme/widgets/issues/{number}/comments",
        world.github.url()
    );
    let token = world.github.add_user("maria").await.unwrap();
    for (body, status) in [
        ("{", 400),
        ("{\"body\": 1}", 422),
        ("", 422),
        ("{\"body\": \"fine\"}", 201),
    ] {
        let request = reqwest::Client::new()
            .post(&url)
            .bearer_auth(&token)
            .body(body)
            .send();
        assert_eq!(request.await.unwrap().status().as_u16(), status, "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_sees_the_green_check_and_no_markup_of_others() {
    let world = World::new().await;
    let number = world.open_pull("topic").await;
    let sha = world
        .github
        .get_pull("acme", "widgets", number)
        .await
        .unwrap()
        .head_sha;
    let app = world.installed(json!({})).await;
    let status = json!({"state": "success", "context": "unit", "target_url": "http://127.0.0.1:1/view?a=\"b"});
    app.post(&format!("/repos/acme/widgets/statuses/{sha}"), status)
        .await
        .expect(201);
    let comments = format!("/repos/acme/widgets/issues/{number}/comments");
    world
        .stan
        .post(&comments, json!({"body": "<script>alert(1)</script>"}))
        .await
        .expect(201);
    let page = reqwest::get(format!("{}/acme/widgets/pull/{number}", world.github.url()))
        .await
        .unwrap();
    let page = page.text().await.unwrap();
    for expected in [
        "✓ success",
        "href=\"http://127.0.0.1:1/view?a=&#34;b\" aria-label=\"Details of unit\">Details</a>",
        "&lt;script&gt;alert(1)&lt;/script&gt;",
        "Add topic",
    ] {
        assert!(page.contains(expected), "{expected} is not in {page}");
    }
}
