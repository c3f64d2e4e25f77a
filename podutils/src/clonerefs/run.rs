//! One run of clonerefs: clones all references at once and writes the records.

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

use super::credentials::CloneCredentials;
use super::git::{CloneDeadline, FetchBackoff, GitEnvironment};
use super::options::ClonerefsOptions;
use super::plan::{self, CloneStep, MergeAuthor};
use super::record::{CloneRecord, CommandRecord};
use super::redact::redact_credentials;
use super::validate::validate_refs;

/// Clones all references and writes the records, even if a clone failed.
pub async fn run_clonerefs(options: &ClonerefsOptions) -> anyhow::Result<ExitCode> {
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

async fn clone_all(options: &ClonerefsOptions) -> Vec<CloneRecord> {
    let credentials = match CloneCredentials::new(options) {
        Ok(credentials) => Arc::new(credentials),
        Err(e) => {
            return vec![failed_record(
                Refs::default(),
                "set up credentials",
                &format!("{e:#}"),
            )];
        }
    };
    if let Some(collision) = plan::find_collision(&options.src_root, &options.git_refs) {
        return vec![failed_record(
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
                clone_refs(&options, &credentials, refs).await
            })
        })
        .collect();
    // Readers expect a first record for the environment. The others are in the options' order.
    let mut records = vec![CloneRecord::default()];
    for clone in clones {
        records.push(
            clone
                .await
                .unwrap_or_else(|e| failed_record(Refs::default(), "clone", &e.to_string())),
        );
    }
    records
}

/// Clones one reference. Every failure becomes a failed record.
async fn clone_refs(
    options: &ClonerefsOptions,
    credentials: &CloneCredentials,
    refs: Refs,
) -> CloneRecord {
    if let Err(e) = validate_refs(&refs) {
        return failed_record(refs, "check the reference", &e);
    }
    let environment = match credentials.git_environment(&refs).await {
        Ok(environment) => GitEnvironment {
            deadline: CloneDeadline::default(),
            ..environment
        },
        Err(e) => return failed_record(refs, "get credentials", &format!("{e:#}")),
    };
    let options = options.clone();
    let fallback = refs.clone();
    tokio::task::spawn_blocking(move || clone_blocking(&options, &environment, refs))
        .await
        .unwrap_or_else(|e| failed_record(fallback, "clone", &e.to_string()))
}

fn clone_blocking(
    options: &ClonerefsOptions,
    environment: &GitEnvironment,
    refs: Refs,
) -> CloneRecord {
    let start = Instant::now();
    let mut record = CloneRecord {
        refs,
        ..CloneRecord::default()
    };
    let dir = plan::clone_dir(&options.src_root, &record.refs);
    record.failed = checkout_refs(
        options,
        environment,
        &record.refs,
        &dir,
        &mut record.commands,
    )
    .is_err();
    if !record.failed {
        record.final_sha = query_git(environment, &dir, &["rev-parse", "HEAD"]).unwrap_or_default();
    }
    record.duration = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
    record
}

/// Runs all steps up to the first that fails.
fn checkout_refs(
    options: &ClonerefsOptions,
    environment: &GitEnvironment,
    refs: &Refs,
    dir: &Path,
    records: &mut Vec<CommandRecord>,
) -> Result<(), ()> {
    let author = MergeAuthor {
        name: &options.git_user_name,
        email: &options.git_user_email,
    };
    for step in plan::commands_for_base_ref(refs, dir, author) {
        environment.run_step(&step, FetchBackoff::FETCH, records)?;
    }
    let timestamp = query_git(
        environment,
        dir,
        &["show", "-s", "--format=format:%ct", "HEAD"],
    )
    .and_then(|text| text.parse().ok())
    .unwrap_or_else(unix_now);
    for step in plan::commands_for_pull_refs(refs, dir, timestamp) {
        environment.run_step(&step, FetchBackoff::FETCH, records)?;
    }
    Ok(())
}

fn query_git(environment: &GitEnvironment, dir: &Path, args: &[&str]) -> Option<String> {
    let args = std::iter::once("git")
        .chain(args.iter().copied())
        .map(str::to_owned)
        .collect();
    environment.query_output(&CloneStep {
        dir: dir.to_owned(),
        env: Vec::new(),
        args,
    })
}

fn unix_now() -> i64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}

fn failed_record(refs: Refs, what: &str, error: &str) -> CloneRecord {
    let command = CommandRecord {
        command: what.to_owned(),
        error: error.to_owned(),
        ..CommandRecord::default()
    };
    CloneRecord {
        refs,
        commands: vec![command],
        failed: true,
        ..CloneRecord::default()
    }
}

fn write_records(path: &Path, records: &[CloneRecord]) -> anyhow::Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    let records: Vec<CloneRecord> = records.iter().map(redact_credentials).collect();
    fs::write(path, serde_json::to_vec(&records)?)?;
    // initupload may run as another user.
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}
