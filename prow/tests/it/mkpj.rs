//! `prow mkpj` and `prow mkpod` on the jobs in `tests/mkpj`, one of each kind.
//!
//! `upstream.jsonl` is what upstream's mkpj and mkpod printed for the same files and flags.

use std::{
    fs,
    io::Write,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use local::{
    apiserver::ApiServer,
    github::{self, FakeGithub},
};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::support::{PROW, kubectl};

const PULL: [&str; 12] = [
    "--base-ref",
    "main",
    "--base-sha=aaaa",
    "-pull-number",
    "5",
    "--pull-sha",
    "bbbb",
    "-pull-author=ada",
    "--pull-head-ref",
    "topic",
    "--trigger-job=false",
    "--fail-with-job=false",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mkpj")
}

fn run(program: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(folder())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A program that reads no input may have ended.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().unwrap()
}

/// Returns what `prow` prints; fails with its error.
fn prow(arguments: &[&str], input: &str) -> String {
    let output = run(Path::new(PROW), arguments, input);
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {words}");
    String::from_utf8(output.stdout).unwrap()
}

/// Like [`prow`], for a call that is refused.
fn refused(arguments: &[&str], input: &str) -> String {
    let output = run(Path::new(PROW), arguments, input);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn mkpj(job: &str, more: &[&str], input: &str) -> String {
    let mut arguments = vec![
        "mkpj",
        "--config-path=config.yaml",
        "--job-config-path=jobs.yaml",
    ];
    arguments.extend(["--job", job]);
    arguments.extend(more);
    prow(&arguments, input)
}

fn mkpod(job: &str, more: &[&str]) -> String {
    let mut arguments = vec!["mkpod", "--prow-job=-", "--build-id", "77"];
    arguments.extend(more);
    prow(&arguments, job)
}

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

/// Removes what is empty, which upstream writes out, and parses the options in variables as JSON.
fn normal(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields: Map<String, Value> = fields
                .iter()
                .map(|(key, value)| (key.clone(), normal(value)))
                .filter(|(key, value)| !match value {
                    Value::Null => true,
                    Value::String(text) => text.is_empty(),
                    Value::Array(items) => items.is_empty(),
                    Value::Object(fields) => fields.is_empty() && key != "emptyDir",
                    _ => false,
                })
                .collect();
            fields.into()
        }
        Value::Array(items) => items.iter().map(normal).collect(),
        Value::String(text) if text.starts_with('{') => match serde_json::from_str(text) {
            Ok(inner) => normal(&inner),
            Err(_) => value.clone(),
        },
        other => other.clone(),
    }
}

struct Expected {
    job: String,
    prowjob: Value,
    pod: Value,
    local: Value,
}

fn upstreams() -> Vec<Expected> {
    let lines = fs::read_to_string(folder().join("upstream.jsonl")).unwrap();
    lines
        .lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            Expected {
                job: line["job"].as_str().unwrap().to_owned(),
                prowjob: normal(&line["prowjob"]),
                pod: normal(&line["pod"]),
                local: normal(&line["local"]),
            }
        })
        .collect()
}

#[test]
fn ten_jobs_are_as_upstream_prints_them() {
    let all = upstreams();
    assert_eq!(all.len(), 10);
    for expected in all {
        let job = &expected.job;
        let printed = mkpj(job, &PULL, "");
        let mut made = yaml(&printed);
        let name = made["metadata"]["name"].as_str().unwrap().to_owned();
        let start = made["status"].as_object_mut().unwrap().remove("startTime");
        assert!(start.is_some_and(|start| start.is_string()), "{job}");
        made["metadata"]["name"] = json!("NAME");
        assert_eq!(normal(&made), expected.prowjob, "{job}");

        let named = printed.replace(&name, "NAME");
        assert_eq!(normal(&yaml(&mkpod(&named, &[]))), expected.pod, "{job}");
        let local = mkpod(&named, &["--local", "--out-dir=/out"]);
        assert_eq!(normal(&yaml(&local)), expected.local, "{job}");
    }
}

#[test]
fn prows_names_work() {
    let folder = tempfile::tempdir().unwrap();
    let link = |name: &str| {
        let link = folder.path().join(name);
        symlink(PROW, &link).unwrap();
        link
    };
    let flags = [
        "-config-path",
        "config.yaml",
        "-job-config-path",
        "jobs.yaml",
        "-job",
        "ci-plain",
    ];
    let job = run(&link("mkpj"), &flags, "");
    let job = String::from_utf8(job.stdout).unwrap();
    let pod = run(
        &link("mkpod"),
        &["-prow-job", "-", "-build-id", "snowflake"],
        &job,
    );
    let pod = yaml(&String::from_utf8(pod.stdout).unwrap());
    let id = pod["metadata"]["labels"]["prow.k8s.io/build-id"]
        .as_str()
        .unwrap();
    assert!(id.len() > 15 && id.parse::<u64>().is_ok(), "{id}");
}

#[test]
fn what_cannot_be_made_is_told() {
    let files = [
        "mkpj",
        "--config-path=config.yaml",
        "--job-config-path=jobs.yaml",
        "--job",
    ];
    let job = |name: &'static str, more: &[&'static str]| [&files[..], &[name], more].concat();
    assert_eq!(
        refused(&job("nope", &[]), ""),
        "error: there is no job \"nope\" in the configuration\n"
    );
    assert_eq!(
        refused(&job("pull-app-unit", &[]), ""),
        "PR Number: error: nothing was typed, and --pull-number is not given\n"
    );
    assert_eq!(
        refused(&job("push-plain", &["--base-sha=a"]), "\n"),
        "Base ref (e.g. master): error: nothing was typed, and --base-ref is not given\n"
    );
    let typed = mkpj("push-plain", &["--base-sha=a"], "trunk\n");
    assert_eq!(yaml(&typed)["spec"]["refs"]["base_ref"], "trunk");
    assert_eq!(
        refused(&["mkpod", "--prow-job=-"], "kind: ProwJob"),
        "error: stdin holds no ProwJob: it has no spec\n"
    );
    assert_eq!(
        refused(&["mkpod", "--prow-job=-", "--out-dir=/out"], ""),
        "error: --out-dir is only for --local\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn github_knows_what_is_not_given() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = FakeGithub::start(
        github::FakeGithubOptions::default(),
        listener,
        CancellationToken::new(),
    )
    .await
    .unwrap();
    let endpoint = format!("--github-endpoint={}", server.url());
    let error = tokio::task::spawn_blocking(move || {
        let files = [
            "mkpj",
            "--config-path=config.yaml",
            "--job-config-path=jobs.yaml",
        ];
        let more = [
            "--job=pull-app-unit",
            "--pull-number=5",
            "--github-client.max-404-retries=0",
            &endpoint,
        ];
        refused(&[&files[..], &more[..]].concat(), "")
    })
    .await
    .unwrap();
    assert!(error.contains("asking GitHub for acme/app#5"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_takes_what_is_printed() {
    common::service::install_crypto();
    let folder = tempfile::tempdir().unwrap();
    let options = local::apiserver::ApiServerOptions {
        db: None,
        logs: folder.path().join("logs"),
    };
    let server = ApiServer::start(options).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = server
        .serve_loopback(listener, CancellationToken::new())
        .await
        .unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    endpoint.write_kubeconfig(&kubeconfig).unwrap();
    tokio::task::spawn_blocking(move || {
        let crd = Path::new(env!("CARGO_MANIFEST_DIR")).join("../k8s/crd.yaml");
        kubectl(&kubeconfig, &["apply", "-f", crd.to_str().unwrap()]);
        let mut all = String::new();
        for expected in upstreams() {
            let job = mkpj(&expected.job, &PULL, "");
            let pod = mkpod(&job, &[]);
            all.extend(["---\n", &job, "---\n", &pod]);
        }
        let file = folder.path().join("all.yaml");
        fs::write(&file, all).unwrap();
        let file = file.to_str().unwrap();
        let said = kubectl(&kubeconfig, &["create", "--dry-run=server", "-f", file]);
        let created = said
            .lines()
            .filter(|line| line.ends_with("created (server dry run)"));
        assert_eq!(created.count(), 20, "{said}");
    })
    .await
    .unwrap();
}
