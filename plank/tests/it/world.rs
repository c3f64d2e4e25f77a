//! A cluster, and a GitHub with one repository and one pull request, for crier to report to.

use std::{path::Path, process::Command, sync::Arc, time::Duration};

use common::{
    config::{Config, ConfigAgent},
    github,
    kube::ClusterClients,
    prowjob::ProwJobState,
    service,
    storage::StorageCredentials,
};
use local::github::{FakeGithub, FakeGithubOptions, ObservedComment, RepoOptions};
use plank::crier::{
    BucketOpener, CrierContext, CrierMetrics, CrierSettings, SLACK_API, SlackClient,
};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::cluster::Cluster;

pub(crate) struct World {
    pub(crate) cluster: Cluster,
    pub(crate) github: FakeGithub,
    /// The head of pull request 1, which is maria's.
    pub(crate) sha: String,
    /// The commit before it.
    pub(crate) before: String,
    author: String,
    bot: String,
    _shutdown: DropGuard,
}

impl World {
    pub(crate) async fn new() -> Self {
        let cluster = Cluster::with_plank().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shutdown = CancellationToken::new();
        let github = FakeGithub::start(FakeGithubOptions::default(), listener, shutdown.clone())
            .await
            .unwrap();
        let author = github.add_user("maria").await.unwrap();
        let bot = github.add_user("robot").await.unwrap();
        github.add_org("acme", &["maria", "robot"]).await.unwrap();
        github
            .add_repo("acme", "widgets", RepoOptions::default())
            .await
            .unwrap();
        let [before, sha] = push(cluster.dir.path(), github.url(), &author);
        let world = Self {
            cluster,
            github,
            sha,
            before,
            author,
            bot,
            _shutdown: shutdown.drop_guard(),
        };
        let wish = json!({"title": "t", "head": "feature", "base": "main"});
        world.post("/repos/acme/widgets/pulls", &wish).await;
        world
    }

    /// Posts a request as maria.
    pub(crate) async fn post(&self, path: &str, body: &Value) {
        let response = reqwest::Client::new()
            .post(format!("{}{path}", self.github.url()))
            .header("user-agent", "maria")
            .bearer_auth(&self.author)
            .header("content-type", "application/json")
            .body(body.to_string())
            .send()
            .await
            .unwrap();
        let status = response.status();
        assert!(
            status.is_success(),
            "{status} {}",
            response.text().await.unwrap()
        );
    }

    /// The context of a crier that reports to GitHub alone. `prow` is its configuration.
    pub(crate) fn context(&self, prow: Value) -> CrierContext {
        let file = self.cluster.dir.path().join("token");
        std::fs::write(&file, &self.bot).unwrap();
        let args = [
            format!("--github-endpoint={}", self.github.url()),
            format!("--github-token-path={}", file.display()),
        ];
        let options = service::flags::parse_flags("crier", args.map(Into::into)).unwrap();
        let mut config = Config {
            prow: serde_json::from_value(prow).unwrap(),
            ..Config::default()
        };
        let namespace = &self.cluster.on.namespace;
        config.prow.prowjob_namespace.clone_from(namespace);
        config.prow.pod_namespace.clone_from(namespace);
        CrierContext {
            clusters: ClusterClients::single_cluster(self.cluster.client.clone()),
            config: ConfigAgent::with_fixed_config(config).1,
            github: github::GithubClient::new(&options, "crier").unwrap(),
            slack: SlackClient::new(SLACK_API, Default::default()).unwrap(),
            buckets: Arc::new(BucketOpener::new(
                StorageCredentials::default(),
                Some(self.cluster.storage_key()),
            )),
            metrics: CrierMetrics::new(&mut Registry::default()),
            ready: service::ServiceReadiness::default(),
            fence: service::lease::LeaderFence::new_open(),
            settings: CrierSettings {
                github_workers: 4,
                ..CrierSettings::default()
            },
        }
    }

    /// A job of pull request 1 whose context is its name.
    pub(crate) async fn trigger(&self, name: &str, more: Value) {
        let mut spec = json!({
            "type": "presubmit", "context": name, "report": true, "job": name,
            "rerun_command": format!("/test {name}"),
            "refs": {"org": "acme", "repo": "widgets", "base_ref": "main", "base_sha": self.sha,
                "pulls": [{"number": 1, "author": "maria", "sha": self.sha}]},
        });
        for (key, value) in more.as_object().unwrap() {
            spec[key] = value.clone();
        }
        self.cluster.trigger(name, spec).await;
    }

    /// Waits until `prev_report_states` has this state.
    pub(crate) async fn marked(&self, name: &str, reporter: &str, state: ProwJobState) {
        self.cluster
            .job(name, "its mark", |job| {
                let states = &job.status.as_ref().unwrap().prev_report_states;
                states.get(reporter) == Some(&state)
            })
            .await;
    }

    /// The comments on the pull request.
    pub(crate) async fn comments(&self) -> Vec<ObservedComment> {
        self.github
            .list_comments("acme", "widgets", 1)
            .await
            .unwrap()
    }

    /// Waits until there is one comment of the bot, and `is` what it should be.
    pub(crate) async fn comment(&self, what: &str, is: impl Fn(&str) -> bool) -> ObservedComment {
        let mut last = Vec::new();
        for _ in 0..1000 {
            last = self.comments().await;
            last.retain(|comment| comment.author == "robot");
            if let [one] = last.as_slice()
                && is(&one.body)
            {
                return one.clone();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never one comment with {what}: {last:?}");
    }
}

/// Runs a crier until it is aborted.
pub(crate) fn start(ctx: CrierContext) -> JoinHandle<anyhow::Result<()>> {
    tokio::spawn(plank::crier::run_crier(ctx, CancellationToken::new()))
}

/// `main` with one commit and `feature` with one more; the SHA of each.
fn push(dir: &Path, url: &str, token: &str) -> [String; 2] {
    let work = dir.join("work");
    std::fs::create_dir(&work).unwrap();
    let remote = url.replace("http://", &format!("http://x-access-token:{token}@"));
    let remote = format!("{remote}/acme/widgets.git");
    let git = |args: &[&str]| {
        let settings = ["user.name=m", "user.email=m@example.com", "gc.auto=0"];
        let settings = settings.iter().flat_map(|setting| ["-c", setting]);
        let output = Command::new("git")
            .current_dir(&work)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .args(settings)
            .args(args)
            .output()
            .expect("git is installed (apt install git)");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {args:?}: {errors}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    git(&["init", "--quiet", "--initial-branch=main"]);
    ["main", "feature"].map(|branch| {
        std::fs::write(work.join("sum.go"), branch).unwrap();
        git(&["add", "sum.go"]);
        git(&["commit", "--quiet", "-m", branch]);
        git(&["push", "--quiet", &remote, &format!("HEAD:{branch}")]);
        git(&["rev-parse", "HEAD"])
    })
}
