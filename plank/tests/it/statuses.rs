//! Crier against the GitHub stand-in: what a contributor sees on the commit.

use std::{path::Path, process::Command, time::Duration};

use common::{github, prowjob::ProwJobState, service};
use local::github::{Github, Options, RepoOptions};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::cluster::{Cluster, ended};

const UNKNOWN: &str = "0123456789012345678901234567890123456789";

struct World {
    cluster: Cluster,
    github: Github,
    token: String,
    sha: String,
    _shutdown: DropGuard,
}

impl World {
    /// `acme/widgets` with one commit, which the job is about.
    async fn new() -> Self {
        let cluster = Cluster::with_plank().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shutdown = CancellationToken::new();
        let github = Github::start(Options::default(), listener, shutdown.clone())
            .await
            .unwrap();
        let token = github.add_user("maria").await.unwrap();
        github.add_org("acme", &["maria"]).await.unwrap();
        github
            .add_repo("acme", "widgets", RepoOptions::default())
            .await
            .unwrap();
        let sha = push(cluster.dir.path(), github.url(), &token);
        Self {
            cluster,
            github,
            token,
            sha,
            _shutdown: shutdown.drop_guard(),
        }
    }

    fn crier(&self) -> JoinHandle<anyhow::Result<()>> {
        let file = self.cluster.dir.path().join("token");
        std::fs::write(&file, &self.token).unwrap();
        let args = [
            format!("--github-endpoint={}", self.github.url()),
            format!("--github-token-path={}", file.display()),
        ];
        let options = service::flags::parse("crier", args.map(Into::into)).unwrap();
        let ctx = plank::crier::Context {
            client: self.cluster.client.clone(),
            config: self.cluster.configuration().1,
            github: github::Client::new(&options, "crier").unwrap(),
            metrics: plank::crier::Metrics::new(&mut Registry::default()),
            ready: service::Ready::default(),
            github_workers: 4,
            report_agent: String::new(),
            enablement: common::github::Enablement::default(),
            dry_run: false,
        };
        tokio::spawn(plank::crier::run(ctx, CancellationToken::new()))
    }

    fn presubmit(&self, sha: &str) -> Value {
        json!({
            "type": "presubmit", "context": "unit", "report": true,
            "refs": {"org": "acme", "repo": "widgets", "base_ref": "main", "base_sha": self.sha,
                "pulls": [{"number": 1, "author": "a", "sha": sha}]},
        })
    }

    /// Waits until the commit's only status begins like this.
    async fn status(&self, state: &str, description: &str) -> local::github::Status {
        let mut statuses = Vec::new();
        for _ in 0..1000 {
            statuses = self
                .github
                .statuses("acme", "widgets", &self.sha)
                .await
                .unwrap();
            if let [one] = statuses.as_slice()
                && one.state == state
                && one.description.starts_with(description)
            {
                return one.clone();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never {state}, {description:?}: {statuses:?}");
    }

    async fn told(&self, name: &str, state: ProwJobState) {
        self.cluster
            .job(name, "its mark", |job| {
                let states = &job.status.as_ref().unwrap().prev_report_states;
                states.get("github-reporter") == Some(&state)
            })
            .await;
    }
}

fn push(dir: &Path, url: &str, token: &str) -> String {
    let work = dir.join("work");
    std::fs::create_dir(&work).unwrap();
    let remote = url.replace("http://", &format!("http://x-access-token:{token}@"));
    let git = |args: &[&str]| {
        let output = Command::new("git")
            .current_dir(&work)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .args([
                "-c",
                "user.name=m",
                "-c",
                "user.email=m@example.com",
                "-c",
                "gc.auto=0",
            ])
            .args(args)
            .output()
            .expect("git is installed (apt install git)");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {args:?}: {errors}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    git(&["init", "--quiet", "--initial-branch=main"]);
    git(&["commit", "--quiet", "--allow-empty", "-m", "first"]);
    git(&[
        "push",
        "--quiet",
        &format!("{remote}/acme/widgets.git"),
        "HEAD:main",
    ]);
    git(&["rev-parse", "HEAD"])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jobs_states_appear_on_its_commit() {
    let world = World::new().await;
    world.crier();
    world
        .cluster
        .trigger("pj", world.presubmit(&world.sha))
        .await;
    let status = world.status("pending", "Job triggered.").await;
    assert_eq!(status.context, "unit");
    assert!(
        status
            .target_url
            .starts_with("http://deck/view/prowjob/unit/"),
        "{status:?}"
    );
    assert!(
        status
            .description
            .ends_with(&format!(" BaseSHA:{}", world.sha)),
        "{status:?}"
    );
    world.cluster.set_pod("pj", ended("Failed", 1)).await;
    world.status("failure", "Job failed.").await;
    world.told("pj", ProwJobState::Failure).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_while_crier_was_away_is_told_and_only_once() {
    let world = World::new().await;
    world
        .cluster
        .trigger("pj", world.presubmit(&world.sha))
        .await;
    world.cluster.pod("pj").await;
    world.cluster.set_pod("pj", ended("Succeeded", 0)).await;
    world.cluster.complete("pj").await;
    let crier = world.crier();
    world.status("success", "Job succeeded.").await;
    world.told("pj", ProwJobState::Success).await;
    crier.abort();
    let before = world
        .cluster
        .jobs()
        .get("pj")
        .await
        .unwrap()
        .metadata
        .resource_version;
    world.crier();
    world.cluster.rest().await;
    assert_eq!(
        world
            .cluster
            .jobs()
            .get("pj")
            .await
            .unwrap()
            .metadata
            .resource_version,
        before
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_github_does_not_know_is_given_up() {
    let world = World::new().await;
    world.crier();
    world.cluster.trigger("pj", world.presubmit(UNKNOWN)).await;
    world.told("pj", ProwJobState::Pending).await;
    let mut silent = world.presubmit(&world.sha);
    silent["report"] = false.into();
    silent["job"] = "silent".into();
    world.cluster.trigger("silent", silent).await;
    world.cluster.pod("silent").await;
    world.cluster.rest().await;
    assert_eq!(
        world
            .github
            .statuses("acme", "widgets", &world.sha)
            .await
            .unwrap(),
        []
    );
}
