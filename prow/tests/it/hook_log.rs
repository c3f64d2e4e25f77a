//! `kubectl logs -l app=hook` shows deliveries and missing permissions, and hook ends at once when
//! it is told to.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    time::Duration,
};

use serde_json::{Value, json};

use crate::support::{Program, eventually, free_port};

const MINUTE: Duration = Duration::from_secs(60);

const BODY: &str = r#"{"action":"opened","number":7,"pull_request":{"number":7,"base":{"repo":{"full_name":"acme/widgets"}}},"repository":{"full_name":"acme/widgets"}}"#;

/// The signature of [`BODY`] with the key `secret`.
const SIGNATURE: &str = "sha256=5a0f8c957cdb0fc47f2fb62df68c1fb70cd426917ba5f0e5f1917f83bea7f896";

const NOWHERE: &str = "\
apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]
users: [{name: u, user: {}}]
";

/// An address where nobody listens.
const AWAY: &str = "http://127.0.0.1:1";

/// An API that grants nothing. Returns its URL.
fn forbidding() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || refuse(stream));
        }
    });
    url
}

/// Answers one request as an API server does whose RBAC grants nothing.
fn refuse(mut stream: TcpStream) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut head, mut length) = (String::new(), 0);
    while reader.read_line(&mut head).is_ok_and(|read| read > 2) {
        let line = head.lines().last().unwrap_or_default().to_lowercase();
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let (code, answer) = if head.contains("/selfsubjectaccessreviews") {
        let mut review: Value = serde_json::from_slice(&body).unwrap();
        review["status"] = json!({"allowed": false});
        ("201 Created", review)
    } else {
        let message = "it is forbidden: User \"hook\" cannot do that";
        let status = json!({"kind": "Status", "status": "Failure", "reason": "Forbidden", "code": 403, "message": message});
        ("403 Forbidden", status)
    };
    let answer = answer.to_string();
    let length = answer.len();
    let head = format!(
        "HTTP/1.1 {code}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    let _ = stream.write_all(format!("{head}{answer}").as_bytes());
}

/// Starts a hook for the API at `cluster`. Returns it with its port and its health port.
fn start(folder: &std::path::Path, cluster: &str) -> (Program, u16, u16) {
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (port, health) = (free_port(), free_port());
    let kubeconfig = NOWHERE.replace(AWAY, cluster);
    let arguments = [
        "hook".to_owned(),
        "--dry-run=false".into(),
        format!("--port={port}"),
        format!("--config-path={}", file("config.yaml", "{}\n")),
        format!("--hmac-secret-file={}", file("hmac", "secret")),
        format!("--kubeconfig={}", file("kubeconfig", &kubeconfig)),
        format!("--database={}", folder.join("hook.db").display()),
        "--github-endpoint=http://127.0.0.1:1".into(),
        format!("--health-port={health}"),
        format!("--metrics-port={}", free_port()),
    ];
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    (Program::start(&arguments), port, health)
}

async fn deliver(port: u16, guid: &str, signature: &str, body: String) -> Option<u16> {
    let sent = reqwest::Client::new()
        .post(format!("http://127.0.0.1:{port}/hook"))
        .header("X-GitHub-Event", "pull_request")
        .header("X-GitHub-Delivery", guid)
        .header("X-Hub-Signature-256", signature)
        .header("Content-Type", "application/json")
        .body(body);
    Some(sent.send().await.ok()?.status().as_u16())
}

/// Sends the header of a delivery that is too large to be read.
fn announce_too_much(port: u16) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let head = "POST /hook HTTP/1.1\r\nHost: x\r\nX-GitHub-Event: push\r\nX-GitHub-Delivery: large\r\n\
        X-Hub-Signature-256: sha256=00\r\nContent-Type: application/json\r\nContent-Length: 26214401\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
}

/// The fields of a log line that say what happened to which delivery.
fn fields(line: &str) -> Value {
    let line: Value = serde_json::from_str(line).unwrap();
    let names = ["level", "delivery", "event", "org", "repo", "pr", "code"];
    let present = names.iter().filter(|name| !line[**name].is_null());
    present
        .map(|name| ((*name).to_owned(), line[*name].clone()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_has_a_line_for_each_delivery_and_few_for_a_flood() {
    common::service::install_crypto();
    let folder = tempfile::tempdir().unwrap();
    let (mut hook, port, _) = start(folder.path(), AWAY);
    let begin = std::time::Instant::now();
    while deliver(port, "first", SIGNATURE, BODY.into()).await != Some(200) {
        assert!(begin.elapsed() < MINUTE, "{}", hook.printed());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let line = hook.line_with("delivery taken", MINUTE);
    assert_eq!(
        fields(&line),
        json!({"level": "info", "delivery": "first", "event": "pull_request",
               "org": "acme", "repo": "widgets", "pr": 7})
    );

    let wrong = format!("{SIGNATURE}00");
    assert_eq!(
        deliver(port, "unsigned", &wrong, BODY.into()).await,
        Some(403)
    );
    let line = hook.line_with("no key for this repository", MINUTE);
    assert_eq!(
        fields(&line),
        json!({"level": "warning", "delivery": "unsigned", "event": "pull_request",
               "org": "acme", "repo": "widgets", "pr": 7, "code": 403})
    );
    for number in 0..100 {
        deliver(port, &format!("flood {number}"), &wrong, BODY.into()).await;
    }
    announce_too_much(port);
    let line = hook.line_with("larger than 25 MB", MINUTE);
    assert_eq!(
        fields(&line),
        json!({"level": "warning", "delivery": "large", "event": "push", "code": 413})
    );
    let shown = hook.printed().matches("\"flood ").count();
    assert!((9..50).contains(&shown), "{shown} of a hundred");

    hook.signal("TERM");
    let (code, printed) = hook.end(Duration::from_secs(10));
    assert_eq!(code, Some(0), "{printed}");
    eventually("the port is free", MINUTE, || {
        TcpListener::bind(("127.0.0.1", port)).ok()
    });
}

/// hook accepts deliveries whatever its permissions in the cluster. It says at once which
/// permissions are missing, and what to do about that.
#[tokio::test(flavor = "multi_thread")]
async fn without_rights_deliveries_are_taken_and_the_log_says_what_to_grant() {
    common::service::install_crypto();
    let folder = tempfile::tempdir().unwrap();
    let (mut hook, port, health) = start(folder.path(), &forbidding());
    let line = hook.line_with("missing right", MINUTE);
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        line["msg"],
        "missing right, there is no work on deliveries in this cluster: hook may not create, get, \
         list prowjobs.prow.k8s.io in namespace default; grant it with a Role and a RoleBinding \
         there, as k8s/base/hook.yaml does"
    );
    assert_eq!(line["level"], "warning");
    let refused = hook.line_with("the cluster cannot be used yet", MINUTE);
    assert!(refused.contains("is forbidden"), "{refused}");
    assert_eq!(
        deliver(port, "first", SIGNATURE, BODY.into()).await,
        Some(200)
    );
    hook.line_with("delivery taken", MINUTE);
    for path in ["healthz", "healthz/ready"] {
        let asked = reqwest::get(format!("http://127.0.0.1:{health}/{path}"));
        assert_eq!(asked.await.unwrap().status(), 200, "{path}");
    }
}
