//! Reading a repository's own jobs, as a pull request would leave them, from a mirror that has both
//! commits. The mirror is cloned over HTTP from the GitHub stand-in.

use std::{
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use clap::Parser as _;
use common::{config::Config, github, service};
use hook::{InRepoReader, InRepoSettings};
use local::github::{FakeGithub, FakeGithubOptions, RepoOptions};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::figure::Figure;

const RUNS: usize = 21;
/// Files in `.prow`, with one job each.
const FILES: usize = 20;

#[derive(clap::Parser)]
struct Flags {
    #[command(flatten)]
    github: github::GithubOptions,
}

pub(crate) fn run() -> anyhow::Result<Vec<Figure>> {
    service::install_crypto();
    let times = tokio::runtime::Runtime::new()?.block_on(read())?;
    let name = "in-repo/20 files from a warm mirror";
    Ok(vec![Figure::time(name, times, Some(50.0))])
}

async fn read() -> anyhow::Result<Vec<Duration>> {
    let folder = tempfile::tempdir()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let github = FakeGithub::start(
        FakeGithubOptions::default(),
        listener,
        CancellationToken::new(),
    )
    .await?;
    let maria = github.add_user("maria").await?;
    github.add_org("acme", &["maria"]).await?;
    let repository = RepoOptions::default();
    github.add_repo("acme", "widgets", repository).await?;
    let url = github
        .url()
        .replacen("http://", &format!("http://maria:{maria}@"), 1);
    let remote = format!("{url}/acme/widgets.git");
    let work = folder.path().join("work");
    let (base, head) = tokio::task::spawn_blocking(move || commits(&work, &remote)).await??;

    let token = folder.path().join("token");
    std::fs::write(&token, &maria)?;
    let endpoint = format!("--github-endpoint={}", github.url());
    let token = format!("--github-token-path={}", token.display());
    let flags = Flags::parse_from(["bench", &endpoint, &token]);
    let client = github::GithubClient::new(&flags.github, "hook")?;
    let settings = InRepoSettings {
        git_base: github.url().to_owned(),
        ..InRepoSettings::default()
    };
    let reader = InRepoReader::new(client, settings)?;
    let config = Arc::new(Config::default());
    let mut times = Vec::new();
    for _ in 0..=RUNS {
        let begin = Instant::now();
        let head = Some((7, head.as_str()));
        let jobs = reader.count_jobs("acme", "widgets", &base, head, &config);
        ensure!(jobs.await? == FILES, "not every job was read");
        times.push(begin.elapsed());
    }
    // The first run clones.
    times.remove(0);
    Ok(times)
}

/// A base with some history and files, and a head that brings the jobs.
fn commits(work: &Path, remote: &str) -> anyhow::Result<(String, String)> {
    std::fs::create_dir_all(work.join(".prow"))?;
    let git = |args: &[&str]| git(work, args);
    git(&["init", "--quiet", "--initial-branch=main"])?;
    for number in 0..50 {
        std::fs::write(work.join(format!("file-{number}.txt")), "text\n")?;
        git(&["add", "."])?;
        git(&["commit", "--quiet", "-m", "A file"])?;
    }
    let base = git(&["rev-parse", "HEAD"])?;
    for number in 0..FILES {
        let job = format!(
            "presubmits:\n- name: job-{number}\n  always_run: true\n  spec: {{containers: [{{image: alpine, command: [\"true\"]}}]}}\n"
        );
        std::fs::write(work.join(format!(".prow/{number}.yaml")), job)?;
    }
    git(&["add", "."])?;
    git(&["commit", "--quiet", "-m", "Jobs"])?;
    let head = git(&["rev-parse", "HEAD"])?;
    git(&[
        "push",
        "--quiet",
        remote,
        &format!("{base}:refs/heads/main"),
        "HEAD:refs/heads/topic",
    ])?;
    Ok((base, head))
}

fn git(folder: &Path, args: &[&str]) -> anyhow::Result<String> {
    let identity = [
        "-c",
        "user.name=bench",
        "-c",
        "user.email=bench@example.com",
    ];
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(identity)
        .args(args)
        .output()
        .context("git")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "git {args:?}: {errors}");
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
