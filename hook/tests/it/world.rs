//! A GitHub with people and a repository, a cluster, and a hook between them.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::response::IntoResponse as _;
use common::{
    config::{self, ConfigAgent, LoadMetrics, plugins::PluginConfiguration},
    github,
    prowjob::ProwJob,
    service::{ServiceReadiness, flags},
};
use hook::{
    HmacSecretFile, HookContext, HookMetrics, HookSettings, InRepoReader, InRepoSettings, Inbox,
};
use kube::Api;
use local::{
    github::{AppPermissions, FakeGithub, PermissionLevel, RepoOptions},
    testing::TestCluster,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

pub(crate) const SECRET: &str = "webhook-secret";
pub(crate) const REPO: &str = "acme/widgets";

/// How long a condition may take to become true.
const PATIENCE: Duration = Duration::from_secs(30);

/// A central job that starts by itself, and one that only a comment starts.
pub(crate) const JOBS: &str = "\
presubmits:
  acme/widgets:
  - name: unit
    always_run: true
    labels: {team: widgets}
    spec: {containers: [{image: alpine, command: [\"true\"]}]}
  - name: slow
    optional: true
    spec: {containers: [{image: alpine, command: [\"true\"]}]}
";

/// `acme/widgets` with a first commit on `main`, owned by an organisation of which `maria` is a
/// member; `stan` is a stranger. The App `prow` is installed on `acme` and sends webhooks to hook.
pub(crate) struct World {
    pub(crate) github: FakeGithub,
    pub(crate) api: TestCluster,
    pub(crate) hook: Hook,
    pub(crate) maria: Person,
    pub(crate) stan: Person,
    pub(crate) client: github::GithubClient,
    folder: TempDir,
}

/// The options of a test.
pub(crate) struct WorldOptions {
    pub(crate) jobs: &'static str,
    /// `plugins.yaml`.
    pub(crate) plugins: Option<&'static str>,
    pub(crate) in_repo: bool,
    /// The context of the commit status about in-repo configuration.
    pub(crate) status_context: Option<&'static str>,
    /// Git can reach the repositories while this is set.
    pub(crate) git_door: Option<Arc<AtomicBool>>,
    pub(crate) dry_run: bool,
    pub(crate) body_timeout: Duration,
    /// The wait until GitHub is asked for missed deliveries.
    pub(crate) ask_after: Duration,
    /// The same wait after a refusal.
    pub(crate) ask_again_after: Duration,
}

impl Default for WorldOptions {
    fn default() -> Self {
        Self {
            jobs: JOBS,
            plugins: None,
            in_repo: false,
            status_context: None,
            git_door: None,
            dry_run: false,
            body_timeout: Duration::from_millis(500),
            ask_after: Duration::from_secs(3600),
            ask_again_after: Duration::from_secs(3600),
        }
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with_options(WorldOptions::default()).await
    }

    pub(crate) async fn with_options(choice: WorldOptions) -> Self {
        common::service::install_crypto();
        let folder = tempfile::tempdir().unwrap();
        let listener = listener().await;
        let hook_url = format!("http://{}/hook", listener.local_addr().unwrap());
        let github = FakeGithub::start(
            local::github::FakeGithubOptions::default(),
            self::listener().await,
            CancellationToken::new(),
        )
        .await
        .unwrap();
        let maria = github.add_user("maria").await.unwrap();
        let stan = github.add_user("stan").await.unwrap();
        github.add_org("acme", &["maria"]).await.unwrap();
        github
            .add_repo("acme", "widgets", RepoOptions::default())
            .await
            .unwrap();
        let maria = Person::new(github.url(), &maria);
        let work = maria.clone_of(REPO);
        work.commit("README.md", "hello\n");
        work.git(&["push", "--quiet", "origin", "HEAD:main"]);

        let app = github.add_app("prow", &hook_url, SECRET).await.unwrap();
        let permissions = [
            "contents",
            "issues",
            "pull_requests",
            "members",
            "statuses",
            "checks",
        ];
        let permissions =
            AppPermissions::from(permissions.map(|scope| (scope, PermissionLevel::Write)));
        github
            .install_app("prow", "acme", permissions)
            .await
            .unwrap();
        let key = folder.path().join("app.pem");
        std::fs::write(&key, &app.private_key_pem).unwrap();
        let client = github_client(&[
            &format!("--github-endpoint={}", github.url()),
            &format!("--github-app-id={}", app.app_id),
            &format!("--github-app-private-key-path={}", key.display()),
        ]);

        let api = cluster().await;
        let hook = Hook::start(
            HookParts {
                client: client.clone(),
                git_base: match &choice.git_door {
                    Some(door) => start_git_redirect(Arc::clone(door), github.url()).await,
                    None => github.url().to_owned(),
                },
                cluster: api.client.clone(),
                folder: folder.path().to_owned(),
                choice,
            },
            listener,
        )
        .await;
        Self {
            stan: Person::new(github.url(), &stan),
            github,
            api,
            hook,
            maria,
            client,
            folder,
        }
    }

    /// Ends hook and starts another one on the same data, which is in the returned folder.
    pub(crate) async fn restart(self) -> (Hook, TestCluster, TempDir) {
        self.hook.stop().await;
        let parts = HookParts {
            client: self.client,
            git_base: self.github.url().to_owned(),
            cluster: self.api.client.clone(),
            folder: self.folder.path().to_owned(),
            choice: WorldOptions::default(),
        };
        let hook = Hook::start(parts, listener().await).await;
        hook.idle().await;
        (hook, self.api, self.folder)
    }

    /// Stops hook. The address that GitHub sends webhooks to stays free.
    pub(crate) async fn stop_hook(self) -> WorldWithoutHook {
        let address = self.hook.url.strip_prefix("http://").unwrap();
        let address = address.parse().unwrap();
        self.hook.stop().await;
        WorldWithoutHook {
            github: self.github,
            api: self.api,
            maria: self.maria,
            stan: self.stan,
            client: self.client,
            folder: self.folder,
            address,
        }
    }

    /// Waits until every webhook is sent and every delivery is done.
    pub(crate) async fn idle(&self) {
        self.github.wait_for_deliveries().await;
        self.hook.idle().await;
        assert_eq!(self.github.list_unimplemented(), Vec::<String>::new());
    }

    /// Reads repositories' own jobs without hook, from separate mirrors.
    pub(crate) fn in_repo_reader(&self) -> InRepoReader {
        let settings = InRepoSettings {
            git_base: self.github.url().to_owned(),
            ..InRepoSettings::default()
        };
        InRepoReader::new(self.client.clone(), settings).unwrap()
    }

    /// The folder of hook's mirror.
    pub(crate) fn mirror(&self) -> PathBuf {
        self.folder.path().join("mirrors/acme/widgets.git")
    }

    /// Writes a file of hook's configuration.
    pub(crate) fn configure(&self, file: &str, content: &str) {
        std::fs::write(self.folder.path().join(file), content).unwrap();
    }

    pub(crate) async fn prowjobs(&self) -> Vec<ProwJob> {
        prowjobs(&self.api).await
    }

    /// `job state` of all jobs, sorted.
    pub(crate) async fn states(&self) -> Vec<String> {
        self.idle().await;
        let jobs = self.prowjobs().await;
        let mut states: Vec<_> = jobs
            .iter()
            .map(|job| format!("{} {}", job.spec.job, job.state()))
            .collect();
        states.sort();
        states
    }

    /// The bot's comments on a pull request.
    pub(crate) async fn bot_comments(&self, number: u64) -> Vec<(u64, String)> {
        let comments = self
            .github
            .list_comments("acme", "widgets", number)
            .await
            .unwrap();
        comments
            .into_iter()
            .filter(|comment| comment.author.starts_with("prow"))
            .map(|comment| (comment.id, comment.body))
            .collect()
    }

    pub(crate) async fn labels(&self, number: u64) -> Vec<String> {
        self.github
            .list_labels("acme", "widgets", number)
            .await
            .unwrap()
    }

    /// Maria pushes a branch with one file and opens a pull request from it.
    pub(crate) async fn open_pull(&self, file: &str, content: &str) -> (WorkTree, u64) {
        let work = self.maria.clone_of(REPO);
        work.git(&["checkout", "--quiet", "-b", "topic"]);
        work.commit(file, content);
        work.git(&["push", "--quiet", "origin", "topic"]);
        let wish = json!({"title": "Change", "head": "topic", "base": "main"});
        let pull = self.maria.post("/repos/acme/widgets/pulls", &wish).await;
        (work, pull["number"].as_u64().unwrap())
    }

    /// Stan opens a pull request from his fork.
    pub(crate) async fn open_strangers_pull(&self, file: &str, content: &str) -> (WorkTree, u64) {
        self.stan
            .post("/repos/acme/widgets/forks", &json!({}))
            .await;
        let work = self.stan.clone_of("stan/widgets");
        work.git(&["checkout", "--quiet", "-b", "idea"]);
        work.commit(file, content);
        work.git(&["push", "--quiet", "origin", "idea"]);
        let wish = json!({"title": "Idea", "head": "stan:idea", "base": "main"});
        let pull = self.stan.post("/repos/acme/widgets/pulls", &wish).await;
        (work, pull["number"].as_u64().unwrap())
    }

    pub(crate) async fn comment(&self, who: &Person, number: u64, body: &str) {
        let path = format!("/repos/acme/widgets/issues/{number}/comments");
        who.post(&path, &json!({ "body": body })).await;
    }
}

/// A [`World`] without a running hook.
pub(crate) struct WorldWithoutHook {
    pub(crate) github: FakeGithub,
    pub(crate) maria: Person,
    api: TestCluster,
    stan: Person,
    client: github::GithubClient,
    folder: TempDir,
    address: SocketAddr,
}

impl WorldWithoutHook {
    /// Starts hook again, on the same data.
    pub(crate) async fn start_hook(self, choice: WorldOptions) -> World {
        let parts = HookParts {
            client: self.client.clone(),
            git_base: self.github.url().to_owned(),
            cluster: self.api.client.clone(),
            folder: self.folder.path().to_owned(),
            choice,
        };
        let listener = TcpListener::bind(self.address).await.unwrap();
        World {
            hook: Hook::start(parts, listener).await,
            github: self.github,
            api: self.api,
            maria: self.maria,
            stan: self.stan,
            client: self.client,
            folder: self.folder,
        }
    }
}

/// What a hook is made of, so that a second one can be started on the same data.
pub(crate) struct HookParts {
    pub(crate) client: github::GithubClient,
    pub(crate) git_base: String,
    pub(crate) cluster: kube::Client,
    pub(crate) folder: PathBuf,
    pub(crate) choice: WorldOptions,
}

pub(crate) struct Hook {
    pub(crate) url: String,
    pub(crate) ready: ServiceReadiness,
    database: PathBuf,
    shutdown: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
    _agents: (ConfigAgent, ConfigAgent<Option<PluginConfiguration>>),
}

impl Hook {
    pub(crate) async fn start(parts: HookParts, listener: TcpListener) -> Self {
        let folder = parts.folder;
        let choice = parts.choice;
        let database = folder.join("hook.db");
        let secret = folder.join("hmac");
        std::fs::write(&secret, SECRET).unwrap();
        std::fs::write(folder.join("jobs.yaml"), choice.jobs).unwrap();
        let enabled = choice.in_repo;
        std::fs::write(
            folder.join("config.yaml"),
            format!(
                "prowjob_namespace: {}\nin_repo_config:\n  enabled:\n    \"*\": {enabled}\n",
                parts.cluster.default_namespace()
            ),
        )
        .unwrap();
        let options = config::ConfigOptions {
            config_path: folder.join("config.yaml"),
            job_config_path: Some(folder.join("jobs.yaml")),
            ..config::ConfigOptions::default()
        };
        let (agent, config) = ConfigAgent::watch_config(&options, &LoadMetrics::default()).unwrap();
        let (plugin_agent, plugins) = follow_plugins(&folder, choice.plugins);
        let ready = ServiceReadiness::default();
        let mirrors = Some(folder.join("mirrors"));
        let url = format!("http://{}", listener.local_addr().unwrap());
        let context = HookContext {
            config,
            plugins,
            in_repo: InRepoReader::new(
                parts.client.clone(),
                InRepoSettings {
                    git_base: parts.git_base,
                    dir: mirrors,
                    ..InRepoSettings::default()
                },
            )
            .unwrap(),
            github: parts.client,
            cluster: parts.cluster,
            inbox: open_inbox(&database).await,
            secrets: Arc::new(HmacSecretFile::open(&secret).unwrap()),
            metrics: HookMetrics::new(&mut prometheus_client::registry::Registry::default()),
            ready: ready.clone(),
            settings: HookSettings {
                dry_run: choice.dry_run,
                config_status_context: choice.status_context.map(str::to_owned),
                body_timeout: choice.body_timeout,
                ask_after: choice.ask_after,
                ask_again_after: choice.ask_again_after,
                ..HookSettings::default()
            },
        };
        let shutdown = CancellationToken::new();
        Self {
            url,
            ready,
            database,
            task: tokio::spawn(hook::run_hook(context, listener, shutdown.clone())),
            shutdown,
            _agents: (agent, plugin_agent),
        }
    }

    /// Tells hook to end.
    pub(crate) fn end(&self) {
        self.shutdown.cancel();
    }

    /// Ends hook, and waits until it has ended. Returns the path of its database.
    pub(crate) async fn stop(self) -> PathBuf {
        self.end();
        self.task.await.unwrap().unwrap();
        self.database
    }

    /// Waits until no delivery is queued or running.
    pub(crate) async fn idle(&self) {
        eventually("all deliveries are worked off", async || {
            self.count("state IN ('queued', 'running')").await == 0
        })
        .await;
    }

    /// The number of deliveries that fulfil an SQL condition.
    pub(crate) async fn count(&self, condition: &str) -> i64 {
        let sql = format!("SELECT count(*) FROM deliveries WHERE {condition}");
        sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .fetch_one(&self.reader().await)
            .await
            .unwrap()
    }

    /// Changes the database directly.
    pub(crate) async fn execute(&self, sql: &'static str) {
        sqlx::query(sql)
            .execute(&self.reader().await)
            .await
            .unwrap();
    }

    /// The reasons of all decisions, oldest first.
    pub(crate) async fn reasons(&self) -> Vec<String> {
        sqlx::query_scalar("SELECT reason FROM decisions ORDER BY id")
            .fetch_all(&self.reader().await)
            .await
            .unwrap()
    }

    async fn reader(&self) -> sqlx::SqlitePool {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&self.database);
        sqlx::SqlitePool::connect_with(options).await.unwrap()
    }

    /// Delivers a webhook as GitHub does.
    pub(crate) async fn deliver(&self, event: &str, guid: &str, payload: &Value) -> u16 {
        let body = payload.to_string();
        let response = http()
            .post(format!("{}/hook", self.url))
            .header("X-GitHub-Event", event)
            .header("X-GitHub-Delivery", guid)
            .header("X-Hub-Signature-256", sign(body.as_bytes()))
            .header("Content-Type", "application/json")
            .body(body)
            .send()
            .await
            .unwrap();
        response.status().as_u16()
    }
}

/// Redirects to `github` while `door` is set, and answers 404 otherwise.
async fn start_git_redirect(door: Arc<AtomicBool>, github: &str) -> String {
    let github = github.to_owned();
    let answer = move |uri: axum::http::Uri| {
        let location = format!("{github}{uri}");
        let open = door.load(Ordering::Relaxed);
        async move {
            match open {
                true => axum::response::Redirect::temporary(&location).into_response(),
                false => axum::http::StatusCode::NOT_FOUND.into_response(),
            }
        }
    };
    let listener = listener().await;
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = axum::Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

fn follow_plugins(
    folder: &Path,
    text: Option<&str>,
) -> (
    ConfigAgent<Option<PluginConfiguration>>,
    hook::PluginConfigReceiver,
) {
    let Some(text) = text else {
        return ConfigAgent::with_fixed_config(None);
    };
    let file = folder.join("plugins.yaml");
    std::fs::write(&file, text).unwrap();
    let flag = format!("--plugin-config={}", file.display());
    let options: config::plugins::PluginOptions =
        flags::parse_flags("test", [flag.into()]).unwrap();
    hook::follow_plugins(&options, &LoadMetrics::default()).unwrap()
}

/// Opens the database as soon as the previous hook has released it.
async fn open_inbox(database: &Path) -> Inbox {
    let begin = Instant::now();
    loop {
        match Inbox::open(Some(database)).await {
            Ok(inbox) => return inbox,
            Err(error) if begin.elapsed() > PATIENCE => panic!("{error:#}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// A user with a token.
pub(crate) struct Person {
    url: String,
    token: String,
}

impl Person {
    pub(crate) fn new(url: &str, token: &str) -> Self {
        Self {
            url: url.to_owned(),
            token: token.to_owned(),
        }
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Value {
        self.send(reqwest::Method::POST, path, body).await
    }

    pub(crate) async fn send(&self, method: reqwest::Method, path: &str, body: &Value) -> Value {
        let response = http()
            .request(method, format!("{}{path}", self.url))
            .bearer_auth(&self.token)
            .json(body)
            .send()
            .await
            .unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// A fresh clone.
    pub(crate) fn clone_of(&self, repo: &str) -> WorkTree {
        let host = self.url.strip_prefix("http://").unwrap();
        let address = format!("http://x-access-token:{}@{host}/{repo}.git", self.token);
        let work = WorkTree(tempfile::tempdir().unwrap());
        work.git(&["clone", "--quiet", &address, "."]);
        work.git(&["symbolic-ref", "HEAD", "refs/heads/main"]);
        work
    }
}

pub(crate) struct WorkTree(TempDir);

impl WorkTree {
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn git(&self, args: &[&str]) -> String {
        let output = Command::new("git")
            .current_dir(self.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .args([
                "-c",
                "user.name=x",
                "-c",
                "user.email=x@example.com",
                "-c",
                "gc.auto=0",
            ])
            .args(args)
            .output()
            .expect("git is installed (apt-get install git)");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {args:?}: {text}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    pub(crate) fn commit(&self, file: &str, content: &str) {
        let path = self.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", file]);
    }

    /// Commits and pushes to the branch that is checked out.
    pub(crate) fn push(&self, file: &str, content: &str) -> String {
        self.commit(file, content);
        self.git(&["push", "--quiet", "origin", "HEAD"]);
        self.git(&["rev-parse", "HEAD"])
    }
}

pub(crate) async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

/// A cluster with the CRD of `ProwJob`s.
pub(crate) async fn cluster() -> TestCluster {
    TestCluster::start_cluster(&std::env::temp_dir())
        .await
        .unwrap()
}

pub(crate) async fn prowjobs(cluster: &TestCluster) -> Vec<ProwJob> {
    let api: Api<ProwJob> = Api::default_namespaced(cluster.client.clone());
    api.list(&kube::api::ListParams::default())
        .await
        .unwrap()
        .items
}

pub(crate) fn github_client(args: &[&str]) -> github::GithubClient {
    let options: github::GithubOptions =
        flags::parse_flags("test", args.iter().map(Into::into)).unwrap();
    github::GithubClient::new(&options, "hook").unwrap()
}

pub(crate) fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

pub(crate) fn sign(body: &[u8]) -> String {
    use hmac::{KeyInit as _, Mac as _};
    let mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    let digest = mac.chain_update(body).finalize().into_bytes();
    format!("sha256={}", hex::encode(digest))
}

/// Waits until something is true.
pub(crate) async fn eventually(what: &str, mut is: impl AsyncFnMut() -> bool) {
    let begin = Instant::now();
    while !is().await {
        assert!(begin.elapsed() < PATIENCE, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
