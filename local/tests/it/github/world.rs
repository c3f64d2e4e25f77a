//! A stand-in with people, an App and a receiver of webhooks, and a client that checks every answer.

use std::{
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{body::Bytes, extract::State, http::HeaderMap};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use local::github::{AppCredentials, Github, Level, Options, Permissions, RepoOptions};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::schema;

pub(crate) const SECRET: &str = "webhook-secret";

/// `acme/widgets` with a first commit on `main`, owned by an organisation of which `maria` is a
/// member; `stan` is a stranger. The App `prow` is installed on `acme`.
pub(crate) struct World {
    pub(crate) github: Github,
    pub(crate) maria: Client,
    pub(crate) stan: Client,
    pub(crate) app: AppCredentials,
    pub(crate) installation: u64,
    pub(crate) receiver: Receiver,
    pub(crate) folder: TempDir,
    shutdown: DropGuard,
}

pub(crate) async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

pub(crate) fn all_permissions() -> Permissions {
    Permissions::from(
        [
            "checks",
            "contents",
            "issues",
            "pull_requests",
            "statuses",
            "members",
        ]
        .map(|scope| (scope, Level::Write)),
    )
}

/// A stand-in that was just stopped may hold its data a moment longer: until its last connection is closed.
async fn start(options: &Options, shutdown: &CancellationToken) -> Github {
    let mut attempts = 0;
    loop {
        match Github::start(options.clone(), listener().await, shutdown.clone()).await {
            Ok(github) => return github,
            Err(error) if attempts == 100 => panic!("{error:#}"),
            Err(_) => attempts += 1,
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

impl World {
    pub(crate) async fn new() -> World {
        World::with(Options::default()).await
    }

    pub(crate) async fn with(options: Options) -> World {
        let shutdown = CancellationToken::new();
        let github = start(&options, &shutdown).await;
        let receiver = Receiver::start().await;
        let maria = github.add_user("maria").await.unwrap();
        let stan = github.add_user("stan").await.unwrap();
        github.add_org("acme", &["maria"]).await.unwrap();
        github
            .add_repo("acme", "widgets", RepoOptions::default())
            .await
            .unwrap();
        let world = World {
            maria: Client::new(&github, &maria),
            stan: Client::new(&github, &stan),
            app: github.add_app("prow", &receiver.url, SECRET).await.unwrap(),
            installation: github
                .install_app("prow", "acme", all_permissions())
                .await
                .unwrap(),
            receiver,
            folder: tempfile::tempdir().unwrap(),
            shutdown: shutdown.drop_guard(),
            github,
        };
        let work = world.clone_as(&world.maria, "acme/widgets");
        if world
            .github
            .branch("acme", "widgets", "main")
            .await
            .unwrap()
            .is_none()
        {
            work.commit("README.md", "hello\n", "First");
            work.git(&["push", "--quiet", "origin", "HEAD:main"]);
        }
        world.github.settled().await;
        world
    }

    /// Stops serving; what was stored stays.
    pub(crate) fn stop(self) -> TempDir {
        drop(self.shutdown);
        self.folder
    }

    /// A fresh clone, in a folder of its own.
    pub(crate) fn clone_as(&self, client: &Client, repo: &str) -> Work {
        let dir = tempfile::tempdir_in(&self.folder).unwrap();
        let address = client.remote(repo);
        let work = Work { dir };
        work.git(&["clone", "--quiet", &address, "."]);
        work.git(&["symbolic-ref", "HEAD", "refs/heads/main"]);
        work
    }

    /// Maria pushes a branch with one new file and opens a pull request from it; its number.
    pub(crate) async fn open_pull(&self, branch: &str) -> u64 {
        let work = self.clone_as(&self.maria, "acme/widgets");
        work.git(&["checkout", "--quiet", "-b", branch]);
        work.commit(&format!("{branch}.txt"), "one\ntwo\n", "Add a file");
        work.git(&["push", "--quiet", "origin", branch]);
        let body = json!({"title": format!("Add {branch}"), "head": branch, "base": "main", "body": "Please"});
        let pull = self
            .maria
            .post("/repos/acme/widgets/pulls", body)
            .await
            .expect(201);
        pull["number"].as_u64().unwrap()
    }

    /// A client with an installation's token, narrowed as `wish` says.
    pub(crate) async fn installed(&self, wish: Value) -> Client {
        let path = format!("/app/installations/{}/access_tokens", self.installation);
        let token = self.app_client().post(&path, wish).await.expect(201);
        Client::new(&self.github, token["token"].as_str().unwrap())
    }

    pub(crate) fn app_client(&self) -> Client {
        let now = jiff::Timestamp::now().as_second();
        self.assertion(
            &json!({"iat": now - 60, "exp": now + 540, "iss": self.app.app_id.to_string()}),
        )
    }

    /// A client with an App's assertion of these claims.
    pub(crate) fn assertion(&self, claims: &Value) -> Client {
        self.signed(&self.app.private_key_pem, claims)
    }

    pub(crate) fn signed(&self, key: &str, claims: &Value) -> Client {
        let key = EncodingKey::from_rsa_pem(key.as_bytes()).unwrap();
        let token = jsonwebtoken::encode(&Header::new(Algorithm::RS256), claims, &key).unwrap();
        Client::new(&self.github, &token)
    }

    pub(crate) fn anonymous(&self) -> Client {
        Client {
            url: self.github.url().to_owned(),
            token: None,
        }
    }

    /// Every webhook so far, as `event` or `event.action`.
    pub(crate) async fn told(&self) -> Vec<String> {
        self.github.settled().await;
        self.receiver.names()
    }
}

/// A work tree.
pub(crate) struct Work {
    dir: TempDir,
}

impl Work {
    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Runs git, which must succeed; its output.
    pub(crate) fn git(&self, args: &[&str]) -> String {
        let (fine, text) = self.try_git(args);
        assert!(fine, "git {args:?}: {text}");
        text.trim().to_owned()
    }

    /// Whether git succeeded, and what it said.
    pub(crate) fn try_git(&self, args: &[&str]) -> (bool, String) {
        let mut git = Command::new("git");
        git.current_dir(self.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .args([
                "-c",
                "user.name=Maria",
                "-c",
                "user.email=maria@example.com",
                "-c",
                "gc.auto=0",
            ])
            .args(args);
        let output = git.output().expect("git is installed");
        let text = [output.stdout, output.stderr].concat();
        (
            output.status.success(),
            String::from_utf8_lossy(&text).into_owned(),
        )
    }

    pub(crate) fn commit(&self, file: &str, content: &str, message: &str) {
        std::fs::write(self.path().join(file), content).unwrap();
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", message]);
    }

    pub(crate) fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"])
    }
}

/// Takes webhooks as an App does: their signature is checked, their form is held against GitHub's schema.
#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) url: String,
    state: Arc<Mutex<Received>>,
}

#[derive(Default)]
struct Received {
    calls: Vec<(HeaderMap, Value)>,
    complaints: Vec<String>,
    delay: Duration,
}

impl Receiver {
    async fn start() -> Receiver {
        let listener = listener().await;
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(Received::default()));
        let router = axum::Router::new()
            .route("/hook", axum::routing::post(receive))
            .with_state(Arc::clone(&state));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Receiver { url, state }
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        assert!(
            state.complaints.is_empty(),
            "{}",
            state.complaints.join("\n")
        );
        let name = |(headers, payload): &(HeaderMap, Value)| {
            let event = headers["x-github-event"].to_str().unwrap();
            payload["action"]
                .as_str()
                .map_or(event.to_owned(), |action| format!("{event}.{action}"))
        };
        state.calls.iter().map(name).collect()
    }

    /// The webhooks of one kind.
    pub(crate) fn payloads(&self, wanted: &str) -> Vec<Value> {
        let names = self.names();
        let state = self.state.lock().unwrap();
        let pairs = names.iter().zip(&state.calls);
        pairs
            .filter(|(name, _)| *name == wanted)
            .map(|(_, call)| call.1.clone())
            .collect()
    }

    pub(crate) fn headers(&self) -> Vec<HeaderMap> {
        self.state
            .lock()
            .unwrap()
            .calls
            .iter()
            .map(|(headers, _)| headers.clone())
            .collect()
    }

    pub(crate) fn forget(&self) {
        self.names();
        self.state.lock().unwrap().calls.clear();
    }

    pub(crate) fn set_delay(&self, delay: Duration) {
        self.state.lock().unwrap().delay = delay;
    }
}

async fn receive(State(state): State<Arc<Mutex<Received>>>, headers: HeaderMap, body: Bytes) {
    use hmac::{KeyInit as _, Mac as _};
    let delay = state.lock().unwrap().delay;
    tokio::time::sleep(delay).await;
    let payload: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(&body);
    let expected = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
    let event = headers["x-github-event"].to_str().unwrap().to_owned();
    let mut state = state.lock().unwrap();
    if headers["x-hub-signature-256"] != expected.as_str() {
        state.complaints.push(format!("{event}: wrong signature"));
    }
    state
        .complaints
        .extend(schema::webhook_complaints(&event, &payload));
    state.calls.push((headers, payload));
}

/// Somebody with a token. Every answer is held against GitHub's description.
#[derive(Clone)]
pub(crate) struct Client {
    url: String,
    token: Option<String>,
}

/// An answer that kept to the description.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// The body of an answer of this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

impl Client {
    pub(crate) fn new(github: &Github, token: &str) -> Client {
        Client {
            url: github.url().to_owned(),
            token: Some(token.to_owned()),
        }
    }

    /// The address for git, with the token in it.
    pub(crate) fn remote(&self, repo: &str) -> String {
        let host = self.url.strip_prefix("http://").unwrap();
        match &self.token {
            Some(token) => format!("http://x-access-token:{token}@{host}/{repo}.git"),
            None => format!("http://{host}/{repo}.git"),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(reqwest::Method::GET, path, None, &[]).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(reqwest::Method::POST, path, Some(body), &[])
            .await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(reqwest::Method::PUT, path, Some(body), &[]).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(reqwest::Method::PATCH, path, Some(body), &[])
            .await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(reqwest::Method::DELETE, path, None, &[]).await
    }

    /// `path` may be a whole address, as in a `Link`.
    pub(crate) async fn send(
        &self,
        method: reqwest::Method,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let path = path.strip_prefix(&self.url).unwrap_or(path);
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        let mut request = client.request(method.clone(), format!("{}{path}", self.url));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await.unwrap();
        let is_json = headers
            .get("content-type")
            .is_some_and(|kind| kind == "application/json");
        let body = if is_json {
            serde_json::from_slice(&bytes).unwrap()
        } else {
            Value::from(String::from_utf8_lossy(&bytes).into_owned())
        };
        if is_json || bytes.is_empty() {
            let complaints = schema::answer_complaints(method.as_str(), path, status, &body);
            assert!(complaints.is_empty(), "{}", complaints.join("\n"));
        }
        Answer {
            status,
            headers,
            body,
        }
    }
}
