//! Which requests are accepted, and how the others are refused.

use std::time::Duration;

use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::world::{World, WorldOptions, eventually, http, sign};

const TOO_MUCH: usize = 25 * 1024 * 1024 + 1;

struct Request {
    method: reqwest::Method,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

/// A valid delivery of a body.
fn good(body: &[u8]) -> Request {
    Request {
        method: reqwest::Method::POST,
        headers: vec![
            ("X-GitHub-Event", "ping".into()),
            ("X-GitHub-Delivery", "guid".into()),
            ("X-Hub-Signature-256", sign(body)),
            ("Content-Type", "application/json".into()),
        ],
        body: body.to_vec(),
    }
}

impl Request {
    fn without(mut self, header: &str) -> Self {
        self.headers.retain(|(name, _)| *name != header);
        self
    }

    fn with(mut self, header: &'static str, value: &str) -> Self {
        self.headers.retain(|(name, _)| *name != header);
        self.headers.push((header, value.to_owned()));
        self
    }

    fn method(self, method: reqwest::Method) -> Self {
        Self { method, ..self }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_refusal_has_its_status_and_stores_nothing() {
    let world = World::new().await;
    world.idle().await;
    let before = world.hook.count("true").await;
    let about = |full_name: &str, login: &str| {
        json!({"repository": {"full_name": full_name, "name": "widgets", "owner": {"login": login}}})
            .to_string()
            .into_bytes()
    };
    let other_base = json!({
        "number": 1,
        "repository": {"full_name": "acme/widgets"},
        "pull_request": {"base": {"repo": {"full_name": "acme/other"}}},
    });
    for (name, request, status) in [
        ("GET", good(b"{}").method(reqwest::Method::GET), 405),
        ("no event", good(b"{}").without("X-GitHub-Event"), 400),
        ("no delivery", good(b"{}").without("X-GitHub-Delivery"), 400),
        (
            "no signature",
            good(b"{}").without("X-Hub-Signature-256"),
            403,
        ),
        (
            "the old signature alone",
            good(b"{}")
                .without("X-Hub-Signature-256")
                .with("X-Hub-Signature", "sha1=00"),
            403,
        ),
        (
            "a form",
            good(b"payload={}").with("Content-Type", "application/x-www-form-urlencoded"),
            400,
        ),
        (
            "a content type with a parameter",
            good(b"{}").with("Content-Type", "application/json; charset=utf-8"),
            400,
        ),
        (
            "no prefix",
            good(b"{}").with("X-Hub-Signature-256", "00"),
            403,
        ),
        (
            "no hex",
            good(b"{}").with("X-Hub-Signature-256", "sha256=xyz"),
            403,
        ),
        (
            "another body's signature",
            good(b"{}").with("X-Hub-Signature-256", &sign(b"{} ")),
            403,
        ),
        ("two owners", good(&about("acme/widgets", "stan")), 403),
        (
            "a pull request of another repository",
            good(other_base.to_string().as_bytes()),
            403,
        ),
        (
            "no JSON, badly signed",
            good(b"hello").with("X-Hub-Signature-256", &sign(b"x")),
            403,
        ),
        ("no JSON", good(b"hello"), 400),
        ("a list", good(b"[]"), 400),
        ("cut off", good(b"{\"action\":"), 400),
    ] {
        let mut sent = http().request(request.method, format!("{}/hook", world.hook.url));
        for (header, value) in request.headers {
            sent = sent.header(header, value);
        }
        let answer = sent.body(request.body).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{name}");
        assert_eq!(
            answer.headers()["content-type"],
            "text/plain; charset=utf-8",
            "{name}"
        );
        let text = answer.text().await.unwrap();
        assert!(text.starts_with(&status.to_string()), "{name}: {text}");
    }
    assert_eq!(world.hook.count("true").await, before, "nothing was stored");
    assert_eq!(world.hook.deliver("ping", "guid", &json!({})).await, 200);
    assert_eq!(world.hook.count("true").await, before + 1);
}

/// Sends the header and the first pieces of a delivery; returns the answer to them.
async fn by_hand(world: &World, framing: &str, piece: &[u8], pieces: usize) -> String {
    let address = world.hook.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /hook HTTP/1.1\r\nHost: x\r\nX-GitHub-Event: ping\r\nX-GitHub-Delivery: g\r\n\
         X-Hub-Signature-256: sha256=00\r\nContent-Type: application/json\r\n{framing}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut read, mut write) = stream.split();
    let send = async {
        for _ in 0..pieces {
            if write.write_all(piece).await.is_err() {
                break;
            }
        }
        std::future::pending::<()>().await;
    };
    let mut answer = vec![0; 1024];
    let length = tokio::select! {
        () = send => unreachable!("sending never ends"),
        length = tokio::time::timeout(Duration::from_secs(10), read.read(&mut answer)) => {
            length.expect("an answer in time").unwrap()
        }
    };
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_is_cut_off_by_length_while_streaming_and_by_time() {
    let world = World::new().await;
    let announced = format!("Content-Length: {TOO_MUCH}");
    let answer = by_hand(&world, &announced, b"", 0).await;
    assert!(
        answer.starts_with("HTTP/1.1 413"),
        "before a byte came: {answer}"
    );

    let megabyte = [b"100000\r\n".as_slice(), &[b' '; 1 << 20], b"\r\n"].concat();
    let answer = by_hand(&world, "Transfer-Encoding: chunked", &megabyte, 27).await;
    assert!(
        answer.starts_with("HTTP/1.1 413"),
        "while it came: {answer}"
    );

    let answer = by_hand(&world, "Content-Length: 10", b"{", 1).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "too slow: {answer}");
}

/// A connection that begins an unsigned delivery and then sends nothing more.
async fn silent(world: &World, framing: &str, pieces: &[u8]) -> TcpStream {
    let address = world.hook.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /hook HTTP/1.1\r\nHost: x\r\nX-GitHub-Event: ping\r\nX-GitHub-Delivery: g\r\n\
         X-Hub-Signature-256: sha256=00\r\nContent-Type: application/json\r\n{framing}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // A sender that is refused meanwhile need not send everything.
    let _ = stream.write_all(pieces).await;
    stream
}

async fn pings_are_taken(world: &World, attack: &str) {
    for number in 0..20 {
        let guid = format!("{attack} {number}");
        let status = world.hook.deliver("ping", &guid, &json!({})).await;
        assert_eq!(status, 200, "{guid}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_bodies_do_not_shut_the_door() {
    let world = World::with_options(WorldOptions {
        body_timeout: Duration::from_secs(10),
        ..WorldOptions::default()
    })
    .await;
    let pieces = b"1\r\n \r\n".repeat(262_144);
    let _one = silent(&world, "Transfer-Encoding: chunked", &pieces).await;
    pings_are_taken(&world, "one connection of many pieces").await;

    let body = vec![b' '; 24_000_000];
    let mut many = Vec::new();
    for _ in 0..11 {
        many.push(silent(&world, "Content-Length: 25000000", &body).await);
    }
    pings_are_taken(&world, "eleven of 24 MB").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_paths_are_quiet_and_what_is_not_built_says_so() {
    let world = World::new().await;
    for (path, status) in [("/", 200), ("/healthy", 200), ("/plugin-help", 501)] {
        let answer = http()
            .get(format!("{}{path}", world.hook.url))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status().as_u16(), status, "{path}");
        let text = answer.text().await.unwrap();
        assert_eq!(text.is_empty(), status == 200, "{path}: {text}");
    }
    eventually("hook is ready", async || world.hook.ready.is_ready()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_that_is_sent_elsewhere_is_refused() {
    let world = World::new().await;
    for path in ["/", "/hook/", "/webhook"] {
        let answer = http()
            .post(format!("{}{path}", world.hook.url))
            .header("X-GitHub-Event", "ping")
            .body("{}")
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status().as_u16(), 404, "{path}");
        let text = answer.text().await.unwrap();
        assert!(text.contains("--webhook-path"), "{path}: {text}");
    }
}
