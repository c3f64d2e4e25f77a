//! The client against a server that fails as GitHub and proxies in front of it do.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    extract::{Request, State},
    response::{IntoResponse as _, Response},
};
use http::{StatusCode, header};
use tokio::net::TcpListener;

use crate::{
    github::{GithubClient, GithubError, GithubOptions},
    service::flags,
};

/// The requests, as `METHOD path body`, oldest first.
#[derive(Clone)]
struct Server {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
    answer: Arc<Script>,
}

/// The response to the n-th request of that method and path.
type Script = dyn Fn(usize, &str) -> Response + Send + Sync;

impl Server {
    async fn start(answer: impl Fn(usize, &str) -> Response + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            asked: Arc::default(),
            answer: Arc::new(answer),
        };
        let router = Router::new()
            .fallback(record_request)
            .with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        server
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn record_request(State(server): State<Server>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let what = format!("{} {}", parts.method, parts.uri);
    let nth = {
        let mut asked = server.asked.lock().unwrap();
        asked.push(
            format!("{what} {}", String::from_utf8_lossy(&body))
                .trim_end()
                .to_owned(),
        );
        asked.iter().filter(|it| it.starts_with(&what)).count()
    };
    (server.answer)(nth, &what)
}

fn client(args: &[&str]) -> GithubClient {
    crate::service::install_crypto();
    let args = args.iter().chain(&["--github-client.initial-delay=1ms"]);
    let options: GithubOptions = flags::parse_flags("test", args.map(Into::into)).unwrap();
    GithubClient::new(&options, "test").unwrap()
}

fn client_of(server: &Server) -> GithubClient {
    client(&[&format!("--github-endpoint={}", server.url)])
}

fn moved(status: u16, to: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    (status, [(header::LOCATION, to.to_owned())]).into_response()
}

fn json(status: u16, text: &str) -> Response {
    (StatusCode::from_u16(status).unwrap(), text.to_owned()).into_response()
}

/// An address on which nothing listens.
async fn closed_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

const COMMENT: &str = "/repos/o/r/issues/7/comments";
const MOVED: &str = "/repositories/1/issues/7/comments";

#[tokio::test]
async fn a_redirected_write_is_written_or_an_error() {
    for (status, is_written) in [
        (301, false),
        (302, false),
        (303, false),
        (307, true),
        (308, true),
    ] {
        let server = Server::start(move |_, what| match what {
            "POST /repos/o/r/issues/7/comments" => moved(status, MOVED),
            "POST /repositories/1/issues/7/comments" => json(201, r#"{"id": 5}"#),
            // The response to a client that turns the request into a GET.
            _ => json(200, r#"[{"id": 4}]"#),
        })
        .await;
        let written = client_of(&server).create_comment("o", "r", 7, "hi").await;
        let sent = r#"{"body":"hi"}"#;
        let mut asked = vec![format!("POST {COMMENT} {sent}")];
        if is_written {
            assert_eq!(written.unwrap(), Some(5), "{status}");
            asked.push(format!("POST {MOVED} {sent}"));
        } else {
            let error = written.unwrap_err().to_string();
            assert!(
                error.contains(MOVED) && error.contains("--github-endpoint"),
                "{error}"
            );
        }
        assert_eq!(server.asked(), asked, "{status}");
    }
}

#[tokio::test]
async fn every_kind_of_write_keeps_its_method() {
    let server = Server::start(|_, what| match what.split_once(' ') {
        Some((_, path)) if path.starts_with("/repos/") => {
            moved(307, &path.replace("/repos/o/r", "/repositories/1"))
        }
        _ => json(200, r#"{"id": 5}"#),
    })
    .await;
    let client = client_of(&server);
    client.add_label("o", "r", 7, "lgtm").await.unwrap();
    client.remove_label("o", "r", 7, "lgtm").await.unwrap();
    client.edit_comment("o", "r", 4, "hi").await.unwrap();
    let asked = server.asked();
    let arrived: Vec<_> = asked
        .iter()
        .filter(|it| it.contains("/repositories/"))
        .collect();
    assert_eq!(
        arrived,
        [
            r#"POST /repositories/1/issues/7/labels {"labels":["lgtm"]}"#,
            "DELETE /repositories/1/issues/7/labels/lgtm",
            r#"PATCH /repositories/1/issues/comments/4 {"body":"hi"}"#,
        ]
    );
}

#[tokio::test]
async fn a_read_goes_after_a_renamed_repository_and_no_further() {
    let elsewhere = Server::start(|_, _| json(200, r#"{"number": 7}"#)).await;
    let other = format!("{}/repos/o/far/pulls/7", elsewhere.url);
    let server = Server::start(move |_, what| match what {
        "GET /repos/o/renamed/pulls/7" => moved(301, "/repositories/1/pulls/7"),
        "GET /repos/o/far/pulls/7" => moved(302, &other),
        "GET /repos/o/round/pulls/7" => moved(302, "/repos/o/round/pulls/7"),
        _ => json(200, r#"{"number": 7, "base": {"ref": "main", "sha": "1"}, "head": {"ref": "t", "sha": "2"}}"#),
    })
    .await;
    let client = client_of(&server);
    assert_eq!(
        client
            .get_pull_request("o", "renamed", 7)
            .await
            .unwrap()
            .number,
        7
    );
    for repo in ["far", "round"] {
        let error = client.get_pull_request("o", repo, 7).await.unwrap_err();
        assert!(matches!(error, GithubError::Other(_)), "{repo}: {error}");
    }
    assert_eq!(
        elsewhere.asked(),
        Vec::<String>::new(),
        "the token stays here"
    );
}

#[tokio::test]
async fn a_redirect_makes_nobody_a_member() {
    const MEMBER: &str = "GET /orgs/o/members/eve";
    const COLLABORATOR: &str = "GET /repos/o/r/collaborators/eve";
    for status in [301, 302, 303, 307, 308] {
        let server = Server::start(move |_, what| match what {
            MEMBER => moved(status, "/orgs/o/public_members/eve"),
            COLLABORATOR => moved(status, "/repositories/1/collaborators/eve"),
            _ => StatusCode::NO_CONTENT.into_response(),
        })
        .await;
        let client = client_of(&server);
        assert!(!client.is_member("o", "eve").await.unwrap(), "{status}");
        assert!(
            !client.is_collaborator("o", "r", "eve").await.unwrap(),
            "{status}"
        );
        assert_eq!(server.asked(), [MEMBER, COLLABORATOR], "{status}");
    }
}

#[tokio::test]
async fn what_was_never_sent_goes_to_the_next_endpoint() {
    let server = Server::start(|_, _| json(201, r#"{"id": 5}"#)).await;
    let dead = format!("--github-endpoint={}", closed_port().await);
    let alive = format!("--github-endpoint={}", server.url);
    let client = client(&[&dead, &alive, "--github-client.max-retries=0"]);
    let id = client.create_comment("o", "r", 7, "hi").await.unwrap();
    assert_eq!(id, Some(5));
    client.edit_comment("o", "r", 5, "ho").await.unwrap();
    assert_eq!(server.asked().len(), 2, "once each");
}

#[tokio::test]
async fn what_may_have_been_done_is_not_done_again() {
    let server = Server::start(|_, _| json(502, "")).await;
    let other = Server::start(|_, _| json(201, r#"{"id": 5}"#)).await;
    let urls = [&server, &other].map(|it| format!("--github-endpoint={}", it.url));
    let client = client(&[&urls[0], &urls[1]]);
    assert!(client.create_comment("o", "r", 7, "hi").await.is_err());
    assert_eq!((server.asked().len(), other.asked().len()), (1, 0));
}

#[tokio::test]
async fn a_write_waits_until_github_knows_what_it_told_of() {
    let server = Server::start(|nth, _| match nth {
        1 | 2 => json(404, r#"{"message": "Not Found"}"#),
        // Not every GitHub returns the created object.
        _ => json(201, ""),
    })
    .await;
    let client = client_of(&server);
    client.create_comment("o", "r", 7, "hi").await.unwrap();
    assert_eq!(server.asked().len(), 3);
}

#[tokio::test]
async fn a_secondary_limit_is_waited_for_and_never_a_refusal() {
    let server = Server::start(|_, _| {
        json(
            403,
            r#"{"message": "You have exceeded a secondary rate limit."}"#,
        )
    })
    .await;
    let url = format!("--github-endpoint={}", server.url);
    let client = client(&[&url, "--github-client.backoff-timeout=1s"]);
    let now = jiff::Timestamp::now();
    match client.create_comment("o", "r", 7, "hi").await {
        Err(GithubError::RateLimited { reset }) => {
            assert!(
                reset.duration_since(now).as_secs() >= 59,
                "{reset} after {now}"
            );
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(server.asked().len(), 1);
}
