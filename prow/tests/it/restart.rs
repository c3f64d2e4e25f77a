//! SIGKILL at the worst moment, then a second start: nothing is lost, and nothing runs twice.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use common::prowjob::{ProwJob, ProwJobState};
use k8s_openapi::{
    api::core::v1::Pod,
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api,
    api::{ListParams, PostParams},
};
use local::{
    apiserver::{self, ApiServer},
    github::{self, AppPermissions, FakeGithub, PermissionLevel, RepoOptions},
};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::support::{PROW, Program, eventually, free_port, kubectl};

const MINUTE: Duration = Duration::from_secs(60);

/// Processes of this machine whose command line contains `marker`.
fn processes(marker: &str) -> Vec<u32> {
    let output = Command::new("pgrep")
        .args(["-f", marker])
        .output()
        .expect("pgrep is installed: apt-get install procps");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| line.parse().ok())
        .collect()
}

fn repository(folder: &Path, command: &str) -> PathBuf {
    let jobs = format!(
        "presubmits:\n- name: slow\n  always_run: true\n  spec:\n    containers:\n    - image: x\n      command: [sh, -c, {command:?}]\n"
    );
    repository_with(folder, &jobs)
}

/// A repository of one commit with this `prow-jobs.yaml`.
pub(crate) fn repository_with(folder: &Path, jobs: &str) -> PathBuf {
    let repo = folder.join("slow");
    fs::create_dir_all(&repo).unwrap();
    fs::write(repo.join("prow-jobs.yaml"), jobs).unwrap();
    for arguments in [
        &["init", "--quiet", "--initial-branch", "main"][..],
        &["add", "."],
        &[
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@t",
            "commit",
            "--quiet",
            "--message",
            "one",
        ],
    ] {
        let git = Command::new("git")
            .arg("-C")
            .arg(&repo)
            .args(arguments)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .status();
        assert!(git.unwrap().success());
    }
    repo
}

fn prowjobs(kubeconfig: &Path) -> Vec<Value> {
    let text = kubectl(
        kubeconfig,
        &[
            "get",
            "prowjobs",
            "-o",
            "json",
            "--sort-by=.metadata.creationTimestamp",
        ],
    );
    let list: Value = serde_json::from_str(&text).unwrap();
    list["items"].as_array().unwrap().clone()
}

pub(crate) fn kubeconfig(demo: &mut Program) -> PathBuf {
    let line = demo.line_with("export KUBECONFIG=", MINUTE);
    PathBuf::from(line.split_once("KUBECONFIG=").unwrap().1)
}

#[test]
fn a_job_whose_machine_was_lost_runs_again_and_leaves_no_process() {
    let folder = tempfile::tempdir().unwrap();
    // The marker is in the command line of the job's process, and in no other.
    let marker = format!("6.{:09}", std::process::id());
    let repo = repository(folder.path(), &format!("exec sleep {marker}"));
    let data = folder.path().join("data");
    let line = [
        "demo",
        "--data",
        data.to_str().unwrap(),
        "--repo",
        repo.to_str().unwrap(),
    ];

    let mut demo = Program::start(&line);
    kubeconfig(&mut demo);
    let pattern = format!("^sleep {marker}");
    let first = eventually("the job's process", MINUTE, || processes(&pattern).pop());
    demo.kill();
    assert_eq!(
        processes(&pattern),
        [first],
        "the process outlives its runner"
    );

    let mut demo = Program::start(&line);
    let kubeconfig = kubeconfig(&mut demo);
    eventually("the process is ended", MINUTE, || {
        (!processes(&pattern).contains(&first)).then_some(())
    });
    let job = eventually("the job ends", MINUTE, || {
        prowjobs(&kubeconfig)
            .into_iter()
            .find(|job| job["spec"]["job"] == "slow")
            .filter(|job| job["status"]["completionTime"].is_string())
    });
    assert_eq!(job["status"]["state"], "success", "{job}");
    assert_eq!(job["status"]["pod_revival_count"], 1, "{job}");
    drop(demo);
    // The second pull request's job may still run when the demo is killed.
    for process in processes(&pattern) {
        Command::new("kill")
            .args(["-9", &process.to_string()])
            .status()
            .unwrap();
    }
}

/// Sets up a repository with a job at the stand-in, and an App whose webhook goes to `hook`.
async fn seed(github: &FakeGithub, folder: &Path, hook: u16) -> String {
    let token = github.add_user("you").await.unwrap();
    github.add_org("o", &["you"]).await.unwrap();
    github
        .add_repo("o", "r", RepoOptions { private: false })
        .await
        .unwrap();
    let app = github
        .add_app("prow", &format!("http://127.0.0.1:{hook}/hook"), "secret")
        .await
        .unwrap();
    fs::write(folder.join("app.pem"), app.private_key_pem).unwrap();
    fs::write(folder.join("app.id"), app.app_id.to_string()).unwrap();
    let permissions = [
        ("contents", PermissionLevel::Read),
        ("members", PermissionLevel::Read),
        ("pull_requests", PermissionLevel::Write),
        ("issues", PermissionLevel::Write),
    ];
    github
        .install_app("prow", "o", AppPermissions::from(permissions))
        .await
        .unwrap();
    let repo = repository(folder, "exit 0");
    let remote = format!(
        "{}/o/r.git",
        github.url().replace("//", &format!("//you:{token}@"))
    );
    for arguments in [
        &["push", "--quiet", &remote, "main"][..],
        &[
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@t",
            "commit",
            "--quiet",
            "--allow-empty",
            "--message",
            "two",
        ],
        &["push", "--quiet", &remote, "main:topic"],
    ] {
        assert!(
            Command::new("git")
                .arg("-C")
                .arg(&repo)
                .args(arguments)
                .status()
                .unwrap()
                .success()
        );
    }
    github.wait_for_deliveries().await;
    token
}

fn hook(folder: &Path, github: &FakeGithub, port: u16, kubeconfig: &Path) -> Program {
    let file = |name: &str| folder.join(name).display().to_string();
    let arguments = [
        "hook".to_owned(),
        "--dry-run=false".into(),
        format!("--port={port}"),
        format!("--config-path={}", file("config.yaml")),
        format!("--hmac-secret-file={}", file("hmac")),
        format!("--database={}", file("hook.db")),
        format!("--github-endpoint={}", github.url()),
        format!("--github-host={}", github.url()),
        format!(
            "--github-app-id={}",
            fs::read_to_string(folder.join("app.id")).unwrap()
        ),
        format!("--github-app-private-key-path={}", file("app.pem")),
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--health-port={}", free_port()),
        format!("--metrics-port={}", free_port()),
    ];
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    Program::start(&arguments)
}

pub(crate) async fn listens(port: u16) {
    let reach = async {
        while tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .is_err()
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(MINUTE, reach).await.unwrap();
}

/// A cluster with the CRD, a kubeconfig that reaches it, and one that reaches nothing.
pub(crate) async fn cluster(folder: &Path) -> (ApiServer, PathBuf, PathBuf) {
    let options = apiserver::ApiServerOptions {
        db: None,
        logs: folder.join("logs"),
    };
    let api = ApiServer::start(options).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut endpoint = api
        .serve_loopback(listener, CancellationToken::new())
        .await
        .unwrap();
    let kubeconfig = folder.join("kubeconfig");
    endpoint.write_kubeconfig(&kubeconfig).unwrap();
    endpoint.url = format!("https://127.0.0.1:{}", free_port());
    let nowhere = folder.join("nowhere");
    endpoint.write_kubeconfig(&nowhere).unwrap();
    let crds: Api<CustomResourceDefinition> = Api::all(api.in_process_client("default"));
    crds.create(
        &PostParams::default(),
        &common::prowjob::build_prowjob_crd(),
    )
    .await
    .unwrap();
    (api, kubeconfig, nowhere)
}

async fn open_pull_request(github: &FakeGithub, token: &str) {
    let pulls = format!("{}/repos/o/r/pulls", github.url());
    let opened = reqwest::Client::new()
        .post(pulls)
        .bearer_auth(token)
        .json(&serde_json::json!({"title": "two", "head": "topic", "base": "main"}))
        .send()
        .await
        .unwrap();
    assert_eq!(opened.status(), 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_was_committed_runs_its_job_exactly_once() {
    common::service::install_crypto();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("hmac"), "secret").unwrap();
    fs::write(
        folder.join("config.yaml"),
        "in_repo_config: {enabled: {\"*\": true}}\n",
    )
    .unwrap();

    let (api, kubeconfig, nowhere) = cluster(folder).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let github = FakeGithub::start(
        github::FakeGithubOptions::default(),
        listener,
        CancellationToken::new(),
    )
    .await
    .unwrap();
    let port = free_port();
    let token = seed(&github, folder, port).await;

    // The cluster cannot be reached: the delivery is accepted and stored, and nothing is done yet.
    let mut first = hook(folder, &github, port, &nowhere);
    listens(port).await;
    open_pull_request(&github, &token).await;
    github.wait_for_deliveries().await;
    first.kill();
    let deliveries = github.list_deliveries("prow").await.unwrap();
    let delivery = deliveries
        .iter()
        .find(|delivery| delivery.event == "pull_request")
        .unwrap();
    assert_eq!(delivery.status_code, 200);

    let second = hook(folder, &github, port, &kubeconfig);
    let jobs: Api<ProwJob> = Api::namespaced(api.in_process_client("default"), "default");
    let all = async || jobs.list(&ListParams::default()).await.unwrap().items;
    let some = async {
        while all().await.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(MINUTE, some).await.unwrap();

    let shutdown = CancellationToken::new();
    let kubelet = tokio::spawn(local::kubelet::run_kubelet(
        local::kubelet::KubeletOptions {
            client: api.in_process_client("default"),
            exe: PROW.into(),
            images: Default::default(),
            state: folder.join("kubelet"),
            logs: folder.join("logs"),
            isolation: Default::default(),
        },
        shutdown.clone(),
    ));
    let config = format!("--config-path={}", folder.join("config.yaml").display());
    let cluster = format!("--kubeconfig={}", kubeconfig.display());
    let (health, metrics) = (
        format!("--health-port={}", free_port()),
        format!("--metrics-port={}", free_port()),
    );
    let plank = Program::start(&[
        "plank",
        "--dry-run=false",
        &config,
        &cluster,
        &health,
        &metrics,
    ]);
    let ended = async {
        while !all().await.iter().all(ProwJob::is_complete) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(MINUTE, ended).await.unwrap();

    let jobs = all().await;
    assert_eq!(jobs.len(), 1);
    assert_eq!(jobs[0].state(), ProwJobState::Success);
    let pods: Api<Pod> = Api::namespaced(api.in_process_client("default"), "default");
    assert_eq!(
        pods.list(&ListParams::default()).await.unwrap().items.len(),
        1
    );
    drop((plank, second));
    shutdown.cancel();
    kubelet.await.unwrap().unwrap();
}
