//! `prow github`: the GitHub stand-in alone, at an address of a network of its own, for services
//! that run elsewhere. Only `make test-node` needs it, so it is not in the usage.

use std::{ffi::OsString, fs, net::SocketAddr, path::PathBuf, process::ExitCode};

use anyhow::Context;
use common::{private_files, service};
use local::github::{self, AppPermissions, FakeGithub, PermissionLevel, RepoOptions};
use tokio::net::TcpListener;

use crate::program::{build_runtime, print_error};

const APP: &str = "prow";
const MEMBER: &str = "you";

/// Serves a GitHub with one repository, a member of its organisation, and an App that is
/// installed there and asks for what the README says it needs.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "prow github")]
struct GithubCommandOptions {
    /// Where to listen, and what its URLs begin with.
    #[arg(long, value_name = "IP:PORT")]
    address: SocketAddr,
    /// Folder for the state, and for what is seeded: `app-id`, `private-key.pem`, and `token`, the
    /// member's.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    #[arg(long, value_name = "ORG/REPO")]
    repo: String,
    /// The URL that the App's webhooks go to.
    #[arg(long, value_name = "URL")]
    webhook: String,
    /// File with the secret that webhooks are signed with.
    #[arg(long, value_name = "FILE")]
    secret_file: PathBuf,
}

/// Runs until shutdown, with the command line after its name.
pub(crate) fn main(flags: impl Iterator<Item = OsString>) -> ExitCode {
    let options = match service::flags::parse_command::<GithubCommandOptions>(flags) {
        Ok(options) => options,
        Err(error) => error.exit(),
    };
    service::install_crypto();
    match build_runtime().block_on(serve_github(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => print_error(&format!("prow github: {error:#}")),
    }
}

async fn serve_github(options: &GithubCommandOptions) -> anyhow::Result<()> {
    let shutdown = service::shutdown_signal();
    let listener = TcpListener::bind(options.address)
        .await
        .with_context(|| format!("--address {}", options.address))?;
    let stand_in = github::FakeGithubOptions {
        data: Some(options.data.clone()),
        beyond_loopback: true,
        ..github::FakeGithubOptions::default()
    };
    let github = FakeGithub::start(stand_in, listener, shutdown.clone()).await?;
    seed_github(&github, options).await?;
    shutdown.cancelled().await;
    Ok(())
}

async fn seed_github(github: &FakeGithub, options: &GithubCommandOptions) -> anyhow::Result<()> {
    let secret = fs::read_to_string(&options.secret_file)
        .with_context(|| format!("--secret-file {}", options.secret_file.display()))?;
    let (org, repo) = options.repo.split_once('/').context("--repo: no slash")?;
    let app = github
        .add_app(APP, &options.webhook, secret.trim_end())
        .await?;
    let token = github.add_user(MEMBER).await?;
    github.add_org(org, &[MEMBER]).await?;
    github.add_repo(org, repo, RepoOptions::default()).await?;
    github.install_app(APP, org, app_permissions()).await?;
    let give =
        |name: &str, text: &str| private_files::write_private_file(&options.data.join(name), text);
    give("app-id", &app.app_id.to_string())?;
    give("private-key.pem", &app.private_key_pem)?;
    // Written last: whoever waits for it finds all of them.
    give("token", &token)?;
    Ok(())
}

fn app_permissions() -> AppPermissions {
    AppPermissions::from([
        ("contents", PermissionLevel::Write),
        ("issues", PermissionLevel::Write),
        ("members", PermissionLevel::Read),
        ("pull_requests", PermissionLevel::Write),
        ("statuses", PermissionLevel::Write),
    ])
}
