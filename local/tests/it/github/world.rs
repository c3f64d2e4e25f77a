//! A GitHub stand-in with users, a repository, an App and a receiver of its webhooks.

use std::{path::Path, process::Command, time::Duration};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use local::github::{
    AppCredentials, AppPermissions, FakeGithub, FakeGithubOptions, PermissionLevel, RepoOptions,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{client::Client, receiver::Receiver};

pub(crate) const SECRET: &str = "webhook-secret";

/// `acme/widgets` with a first commit on `main`. The organisation `acme` owns it, `maria` is a
/// member, `stan` is not. The App `prow` is installed on `acme`.
pub(crate) struct World {
    pub(crate) github: FakeGithub,
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

pub(crate) fn all_permissions() -> AppPermissions {
    AppPermissions::from(
        [
            "checks",
            "contents",
            "issues",
            "pull_requests",
            "statuses",
            "members",
        ]
        .map(|scope| (scope, PermissionLevel::Write)),
    )
}

/// Retries: a stand-in that was just stopped uses its data until its last connection is closed.
async fn start(options: &FakeGithubOptions, shutdown: &CancellationToken) -> FakeGithub {
    let mut attempts = 0;
    loop {
        match FakeGithub::start(options.clone(), listener().await, shutdown.clone()).await {
            Ok(github) => return github,
            Err(error) if attempts == 100 => panic!("{error:#}"),
            Err(_) => attempts += 1,
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

impl World {
    pub(crate) async fn new() -> World {
        World::with(FakeGithubOptions::default()).await
    }

    pub(crate) async fn with(options: FakeGithubOptions) -> World {
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
            .find_branch_tip("acme", "widgets", "main")
            .await
            .unwrap()
            .is_none()
        {
            work.commit("README.md", "hello\n", "First");
            work.git(&["push", "--quiet", "origin", "HEAD:main"]);
        }
        world.github.wait_for_deliveries().await;
        world
    }

    /// Stops serving. What was stored stays.
    pub(crate) fn stop(self) -> TempDir {
        drop(self.shutdown);
        self.folder
    }

    /// A new clone in its own folder.
    pub(crate) fn clone_as(&self, client: &Client, repo: &str) -> Work {
        let dir = tempfile::tempdir_in(&self.folder).unwrap();
        let address = client.remote(repo);
        let work = Work { dir };
        work.git(&["clone", "--quiet", &address, "."]);
        work.git(&["symbolic-ref", "HEAD", "refs/heads/main"]);
        work
    }

    /// Maria pushes a branch with one new file and opens a pull request from it. Returns its
    /// number.
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

    /// A client with an installation token, narrowed as `wish` says.
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

    /// A client with an App's JWT of these claims.
    pub(crate) fn assertion(&self, claims: &Value) -> Client {
        self.signed(&self.app.private_key_pem, claims)
    }

    pub(crate) fn signed(&self, key: &str, claims: &Value) -> Client {
        let key = EncodingKey::from_rsa_pem(key.as_bytes()).unwrap();
        let token = jsonwebtoken::encode(&Header::new(Algorithm::RS256), claims, &key).unwrap();
        Client::new(&self.github, &token)
    }

    pub(crate) fn anonymous(&self) -> Client {
        Client::anonymous(&self.github)
    }

    /// Every webhook so far, as `event` or `event.action`.
    pub(crate) async fn told(&self) -> Vec<String> {
        self.github.wait_for_deliveries().await;
        self.receiver.names()
    }
}

pub(crate) struct Work {
    dir: TempDir,
}

impl Work {
    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Runs git, which must succeed. Returns its output.
    pub(crate) fn git(&self, args: &[&str]) -> String {
        let (fine, text) = self.try_git(args);
        assert!(fine, "git {args:?}: {text}");
        text.trim().to_owned()
    }

    /// Returns whether git succeeded, and its output.
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
