//! `prow demo`: the whole system on one machine, on a sample repository or one of the user's.
//!
//! Seeds and prints, nothing else: the services run as they do anywhere, and hear of the pull
//! request by webhook. What a service does is never decided here.

mod config;
mod expect;
mod forge;
mod git;
mod jobs;
mod log;
mod options;
mod ports;
mod repository;
mod screen;
mod seed;
mod services;
mod source;

use std::{ffi::OsString, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context;
use common::{private, prowjob::ProwJobState, service};
use tokio_util::sync::CancellationToken;

use crate::program::{complain, runtime};
use expect::{Line, POSTSUBMITS, PRESUBMITS};
use jobs::Jobs;
use options::Options;
use repository::Repository;
use screen::Screen;
use seed::Seed;
use services::Services;
pub(crate) use source::{from_url, only_key};

/// Runs the demo with the command line after its name.
pub(crate) fn main(flags: impl Iterator<Item = OsString>) -> ExitCode {
    let options = match service::flags::parse_command::<Options>(flags) {
        Ok(options) => options,
        Err(error) => error.exit(),
    };
    service::install_crypto();
    match runtime().block_on(run(options)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            complain(&format!("prow demo: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Where the demo keeps everything; a folder of its own goes at the end.
struct Data {
    path: PathBuf,
    temporary: Option<tempfile::TempDir>,
}

impl Data {
    fn new(wanted: Option<&PathBuf>) -> anyhow::Result<Self> {
        if let Some(path) = wanted {
            private::folder(path).with_context(|| format!("--data {}", path.display()))?;
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

    /// Leaves a temporary folder in place, for somebody to find out what went wrong.
    fn keep(self) {
        if let Some(folder) = self.temporary {
            let _ = folder.keep();
        }
    }
}

async fn run(options: Options) -> anyhow::Result<bool> {
    let repo = match &options.repo {
        Some(path) => Some(Repository::open(path).await?),
        None => None,
    };
    let data = Data::new(options.data.as_ref())?;
    let log = data.path.join("log.jsonl");
    let log_breaks = log::log_to(&log)?;
    let shutdown = service::shutdown_signal();
    let (services, mut failures) = Services::start(&options, &data.path, &shutdown).await?;
    let outcome = tokio::select! {
        biased;
        Ok(error) = log_breaks => Err(anyhow::Error::from(error).context(log.display().to_string())),
        Some(error) = failures.recv() => Err(error),
        // Ctrl-C before the end: nothing failed.
        () = shutdown.cancelled() => Ok(true),
        outcome = show(&options, repo.as_ref(), &services, &shutdown) => outcome,
    };
    shutdown.cancel();
    services.stopped().await;
    if !matches!(outcome, Ok(true)) {
        screen::say(&format!("What happened is in {}", data.path.display()));
        data.keep();
    }
    outcome
}

/// Plays the contributor's part and prints what comes of it; without `--exit` it then serves
/// until `shutdown`, and goes on printing.
async fn show(
    options: &Options,
    repo: Option<&Repository>,
    services: &Services,
    shutdown: &CancellationToken,
) -> anyhow::Result<bool> {
    let work = tempfile::tempdir()?;
    let seed = Seed::new(&services.github, work.path(), repo).await?;
    let mut screen = Screen::new(jobs::follow(services.client.clone(), "default").await);
    screen.skip_past();
    screen::addresses(services, repo.map_or(&[], |repo| &repo.notes));
    let (good, open) = match repo {
        Some(_) => of_the_user(&seed, &mut screen, options.exit).await?,
        None => sample(&seed, &mut screen, options.exit).await?,
    };
    if !options.exit {
        let theirs = seed.strangers_pull_request().await?;
        screen::play(services, &seed, open, &theirs);
        tokio::select! {
            _ = screen.jobs(Duration::MAX, |_| false) => {}
            () = shutdown.cancelled() => {}
        }
    }
    Ok(good)
}

/// Whether all went as it should, and the pull request that is left open.
type Outcome = (bool, u64);

/// A pull request, its jobs, its merge, and the job that the merge starts; then a second one,
/// for the user to play with.
async fn sample(seed: &Seed, screen: &mut Screen, exit: bool) -> anyhow::Result<Outcome> {
    const PATIENCE: Duration = Duration::from_secs(60);
    let (pull, head) = seed.pull_request().await?;
    screen::opened(&pull);
    let presubmits = screen
        .jobs(PATIENCE, |jobs| expect::ended(jobs, &head, &PRESUBMITS))
        .await;
    seed.forge.merge(pull.number).await?;
    let merged = seed.main().await?;
    screen::say(&format!("\nMerged #{}", pull.number));
    let postsubmits = screen
        .jobs(PATIENCE, |jobs| expect::ended(jobs, &merged, &POSTSUBMITS))
        .await;
    let mut lines = expect::compare(&presubmits, &head, &PRESUBMITS);
    lines.extend(expect::compare(&postsubmits, &merged, &POSTSUBMITS));
    screen::table(&lines);
    let good = lines.iter().all(Line::holds);
    if exit {
        return Ok((good, pull.number));
    }
    let (pull, head) = seed.pull_request().await?;
    screen::opened(&pull);
    screen
        .jobs(PATIENCE, |jobs| expect::ended(jobs, &head, &PRESUBMITS))
        .await;
    Ok((good, pull.number))
}

/// The user's last commit as a pull request. Good when there is a job, and every required one
/// succeeded.
async fn of_the_user(seed: &Seed, screen: &mut Screen, exit: bool) -> anyhow::Result<Outcome> {
    let (pull, head) = seed.pull_request().await?;
    screen::opened(&pull);
    if screen.none_on(&head, Duration::from_secs(10)).await {
        screen::say("No job ran for this pull request.");
        for comment in seed.forge.comments(pull.number).await? {
            screen::say(&format!("\nProw says:\n{}", screen::as_shown(&comment)));
        }
        return Ok((false, pull.number));
    }
    if !exit {
        return Ok((true, pull.number));
    }
    let all_ended = |jobs: &Jobs| expect::on(jobs, &head).all(|job| job.complete);
    let ended = screen.jobs(Duration::MAX, all_ended).await;
    let mut required = expect::on(&ended, &head).filter(|job| job.required);
    Ok((
        required.all(|job| job.state == ProwJobState::Success),
        pull.number,
    ))
}
