//! One run of clonerefs: all references at once, and the records of it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use common::prowjob::Refs;
use tokio::sync::Semaphore;
use tracing::{error, info};

use super::credentials::Credentials;
use super::git::{Backoff, Deadline, Environment};
use super::options::Options;
use super::plan::{self, Author, Step};
use super::record::{Command, Record};
use super::redact::redacted;
use super::validate::validate;

/// Clones all references and writes the records, whether it went well or not.
pub async fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let records = clone_all(options).await;
    let failed = records.iter().any(|record| record.failed);
    if !options.log.is_empty() {
        write_records(Path::new(&options.log), &records)
            .with_context(|| format!("writing {}", options.log))?;
    }
    if failed {
        error!("not every reference could be cloned");
    } else {
        info!("all references are cloned");
    }
    Ok(if failed && options.fail {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

async fn clone_all(options: &Options) -> Vec<Record> {
    let credentials = match Credentials::new(options) {
        Ok(credentials) => Arc::new(credentials),
        Err(e) => {
            return vec![failed(
                Refs::default(),
                "set up credentials",
                &format!("{e:#}"),
            )];
        }
    };
    if let Some(collision) = plan::collision(&options.src_root, &options.git_refs) {
        return vec![failed(
            Refs::default(),
            "choose a folder for each reference",
            &collision,
        )];
    }
    let workers = if options.max_parallel_workers == 0 {
        options.git_refs.len()
    } else {
        options.max_parallel_workers
    };
    let turns = Arc::new(Semaphore::new(workers.max(1)));
    let clones: Vec<_> = options
        .git_refs
        .iter()
        .cloned()
        .map(|refs| {
            let (options, credentials, turns) =
                (options.clone(), credentials.clone(), turns.clone());
            tokio::spawn(async move {
                let _turn = turns.acquire_owned().await;
                clone(&options, &credentials, refs).await
            })
        })
        .collect();
    // The environment has a record of its own, as readers expect.
    let mut records = vec![Record::default()];
    for clone in clones {
        records.push(
            clone
                .await
                .unwrap_or_else(|e| failed(Refs::default(), "clone", &e.to_string())),
        );
    }
    records
}

/// In the order of the options, so that two runs have the same log.
async fn clone(options: &Options, credentials: &Credentials, refs: Refs) -> Record {
    if let Err(e) = validate(&refs) {
        return failed(refs, "check the reference", &e);
    }
    let environment = match credentials.environment(&refs).await {
        Ok(environment) => Environment {
            deadline: Deadline::default(),
            ..environment
        },
        Err(e) => return failed(refs, "get credentials", &format!("{e:#}")),
    };
    let options = options.clone();
    let fallback = refs.clone();
    tokio::task::spawn_blocking(move || clone_blocking(&options, &environment, refs))
        .await
        .unwrap_or_else(|e| failed(fallback, "clone", &e.to_string()))
}

fn clone_blocking(options: &Options, environment: &Environment, refs: Refs) -> Record {
    let start = Instant::now();
    let mut record = Record {
        refs,
        ..Record::default()
    };
    let dir = plan::clone_dir(&options.src_root, &record.refs);
    record.failed = checkout(
        options,
        environment,
        &record.refs,
        &dir,
        &mut record.commands,
    )
    .is_err();
    if !record.failed {
        record.final_sha = query(environment, &dir, &["rev-parse", "HEAD"]).unwrap_or_default();
    }
    record.duration = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
    record
}

/// The first step that fails is the last.
fn checkout(
    options: &Options,
    environment: &Environment,
    refs: &Refs,
    dir: &Path,
    records: &mut Vec<Command>,
) -> Result<(), ()> {
    let author = Author {
        name: &options.git_user_name,
        email: &options.git_user_email,
    };
    for step in plan::base(refs, dir, author) {
        environment.run(&step, Backoff::FETCH, records)?;
    }
    let timestamp = query(
        environment,
        dir,
        &["show", "-s", "--format=format:%ct", "HEAD"],
    )
    .and_then(|text| text.parse().ok())
    .unwrap_or_else(now);
    for step in plan::pulls(refs, dir, timestamp) {
        environment.run(&step, Backoff::FETCH, records)?;
    }
    Ok(())
}

fn query(environment: &Environment, dir: &Path, args: &[&str]) -> Option<String> {
    let args = std::iter::once("git")
        .chain(args.iter().copied())
        .map(str::to_owned)
        .collect();
    environment.query(&Step {
        dir: dir.to_owned(),
        env: Vec::new(),
        args,
    })
}

fn now() -> i64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}

fn failed(refs: Refs, what: &str, error: &str) -> Record {
    let command = Command {
        command: what.to_owned(),
        error: error.to_owned(),
        ..Command::default()
    };
    Record {
        refs,
        commands: vec![command],
        failed: true,
        ..Record::default()
    }
}

fn write_records(path: &Path, records: &[Record]) -> anyhow::Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    let records: Vec<Record> = records.iter().map(redacted).collect();
    fs::write(path, serde_json::to_vec(&records)?)?;
    // initupload may run as another user.
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}
