//! `prow demo`: the whole system on one machine, on a sample repository or one of the user's.
//!
//! It only seeds and prints: the services run as they do elsewhere, and learn of the pull request
//! by webhook. What a service does is never decided here.

mod config;
mod contributor;
mod expectations;
mod git;
mod jobs;
mod log;
mod options;
mod ports;
mod repository;
mod sample_repo;
mod screen;
mod seed;
mod services;

use std::{ffi::OsString, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context;
use common::{private_files, prowjob::ProwJobState, service};
use tokio_util::sync::CancellationToken;

use crate::program::{build_runtime, print_error};
use expectations::{ExpectedJob, POSTSUBMITS, PRESUBMITS};
use jobs::DemoJobs;
use options::DemoOptions;
use repository::UserRepository;
pub(crate) use sample_repo::{find_only_key, parse_remote_url};
use screen::DemoScreen;
use seed::DemoSeed;
use services::DemoServices;

/// Runs the demo with the command line after its name.
pub(crate) fn main(flags: impl Iterator<Item = OsString>) -> ExitCode {
    let options = match service::flags::parse_command::<DemoOptions>(flags) {
        Ok(options) => options,
        Err(error) => error.exit(),
    };
    service::install_crypto();
    match build_runtime().block_on(run_demo(options)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            print_error(&format!("prow demo: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// The folder where the demo keeps everything. A temporary one is removed at the end.
struct DemoFolder {
    path: PathBuf,
    temporary: Option<tempfile::TempDir>,
}

impl DemoFolder {
    fn new(wanted: Option<&PathBuf>) -> anyhow::Result<Self> {
        if let Some(path) = wanted {
            private_files::ensure_private_dir(path)
                .with_context(|| format!("--data {}", path.display()))?;
            return Ok(Self {
                path: path.canonicalize()?,
                temporary: None,
            });
        }
        let folder = tempfile::Builder::new().prefix("prow-demo-").tempdir()?;
        Ok(Self {
            path: folder.path().to_owned(),
            temporary: Some(folder),
        })
    }

    /// Keeps a temporary folder, so that somebody can find out what went wrong.
    fn keep_folder(self) {
        if let Some(folder) = self.temporary {
            let _ = folder.keep();
        }
    }
}

async fn run_demo(options: DemoOptions) -> anyhow::Result<bool> {
    let repo = match &options.repo {
        Some(path) => Some(UserRepository::open(path).await?),
        None => None,
    };
    let data = DemoFolder::new(options.data.as_ref())?;
    let log = data.path.join("log.jsonl");
    let log_breaks = log::log_to(&log)?;
    let shutdown = service::shutdown_signal();
    let (services, mut failures) =
        DemoServices::start_services(&options, &data.path, &shutdown).await?;
    let outcome = tokio::select! {
        biased;
        Ok(error) = log_breaks => Err(anyhow::Error::from(error).context(log.display().to_string())),
        Some(error) = failures.recv() => Err(error),
        // Ctrl-C before the end is no failure.
        () = shutdown.cancelled() => Ok(true),
        outcome = play_demo(&options, repo.as_ref(), &services, &shutdown) => outcome,
    };
    shutdown.cancel();
    services.wait_until_stopped().await;
    if !matches!(outcome, Ok(true)) {
        screen::print_text(&format!("What happened is in {}", data.path.display()));
        data.keep_folder();
    }
    outcome
}

/// Acts as the contributor and prints the results; without `--exit` it then serves until
/// `shutdown`, and goes on printing.
async fn play_demo(
    options: &DemoOptions,
    repo: Option<&UserRepository>,
    services: &DemoServices,
    shutdown: &CancellationToken,
) -> anyhow::Result<bool> {
    let work = tempfile::tempdir()?;
    let seed = DemoSeed::new(&services.github, work.path(), repo).await?;
    let mut screen =
        DemoScreen::new(jobs::watch_prowjobs(services.client.clone(), "default").await);
    screen.skip_ended_jobs();
    screen::print_addresses(services, repo.map_or(&[], |repo| &repo.notes));
    let (good, open) = match repo {
        Some(_) => play_user_repository(&seed, &mut screen, options.exit).await?,
        None => play_sample(&seed, &mut screen, options.exit).await?,
    };
    if !options.exit {
        let theirs = seed.open_strangers_pull().await?;
        screen::print_next_steps(services, &seed, open, &theirs);
        tokio::select! {
            _ = screen.print_jobs_until(Duration::MAX, |_| false) => {}
            () = shutdown.cancelled() => {}
        }
    }
    Ok(good)
}

/// Whether everything went as expected, and the pull request that stays open.
type DemoOutcome = (bool, u64);

/// A pull request, its jobs, its merge, and the job that the merge starts; then a second pull
/// request, for the user to play with.
async fn play_sample(
    seed: &DemoSeed,
    screen: &mut DemoScreen,
    exit: bool,
) -> anyhow::Result<DemoOutcome> {
    const PATIENCE: Duration = Duration::from_secs(60);
    let (pull, head) = seed.open_pull_request().await?;
    screen::print_opened(&pull);
    let presubmits = screen
        .print_jobs_until(PATIENCE, |jobs| {
            expectations::have_jobs_ended(jobs, &head, &PRESUBMITS)
        })
        .await;
    seed.forge.merge_pull_request(pull.number).await?;
    let merged = seed.main_sha().await?;
    screen::print_text(&format!("\nMerged #{}", pull.number));
    let postsubmits = screen
        .print_jobs_until(PATIENCE, |jobs| {
            expectations::have_jobs_ended(jobs, &merged, &POSTSUBMITS)
        })
        .await;
    let mut lines = expectations::compare_jobs(&presubmits, &head, &PRESUBMITS);
    lines.extend(expectations::compare_jobs(
        &postsubmits,
        &merged,
        &POSTSUBMITS,
    ));
    screen::print_table(&lines);
    let good = lines.iter().all(ExpectedJob::is_as_expected);
    if exit {
        return Ok((good, pull.number));
    }
    let (pull, head) = seed.open_pull_request().await?;
    screen::print_opened(&pull);
    screen
        .print_jobs_until(PATIENCE, |jobs| {
            expectations::have_jobs_ended(jobs, &head, &PRESUBMITS)
        })
        .await;
    Ok((good, pull.number))
}

/// Opens a pull request of the user's last commit. The outcome is good when there is a job, and
/// every required one succeeded.
async fn play_user_repository(
    seed: &DemoSeed,
    screen: &mut DemoScreen,
    exit: bool,
) -> anyhow::Result<DemoOutcome> {
    let (pull, head) = seed.open_pull_request().await?;
    screen::print_opened(&pull);
    if screen.has_no_jobs_on(&head, Duration::from_secs(10)).await {
        screen::print_text("No job ran for this pull request.");
        for comment in seed.forge.list_comments(pull.number).await? {
            screen::print_text(&format!("\nProw says:\n{}", screen::as_shown(&comment)));
        }
        return Ok((false, pull.number));
    }
    if !exit {
        return Ok((true, pull.number));
    }
    let all_ended =
        |jobs: &DemoJobs| expectations::jobs_on_commit(jobs, &head).all(|job| job.complete);
    let ended = screen.print_jobs_until(Duration::MAX, all_ended).await;
    let mut required = expectations::jobs_on_commit(&ended, &head).filter(|job| job.required);
    Ok((
        required.all(|job| job.state == ProwJobState::Success),
        pull.number,
    ))
}
