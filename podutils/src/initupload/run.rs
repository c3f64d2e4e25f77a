//! One run of initupload.

use std::process::ExitCode;

use anyhow::{Context, bail};
use common::storage::paths;
use jiff::Timestamp;
use serde_json::Map;
use tracing::error;

use crate::JobSpec;
use crate::clonerefs::{Record, explain};
use crate::metadata::{Finished, Outcome, Started};
use crate::upload::{Target, Upload, Uploader};

use super::{Options, clone_log};

/// Uploads the beginning of a run; the code says whether the test may start.
pub async fn run(options: &Options, spec: &JobSpec, now: Timestamp) -> anyhow::Result<ExitCode> {
    let target = Target::new(&options.gcs, spec)?;
    let uploader = Uploader::new(target.storage.clone(), options.gcs.dry_run);
    let (records, raw) = read_records(&options.log)?;
    let failed = records.iter().any(|record| record.failed);

    let started = serde_json::to_vec(&Started::new(spec, &records, now))?;
    let mut uploads = vec![Upload::text(target.key(paths::STARTED), started)];
    if let Some(raw) = raw {
        let log = clone_log::render(&records);
        if failed {
            // The test never runs: this is all the log there will be.
            let finished = Finished::new(spec, Outcome::Failure, Map::new(), now);
            uploads.push(Upload::text(target.key(paths::BUILD_LOG), log.clone()));
            uploads.push(Upload::text(
                target.key(paths::FINISHED),
                serde_json::to_vec(&finished)?,
            ));
        }
        uploads.push(Upload::text(target.key(paths::CLONE_LOG), log));
        uploads.push(Upload::text(target.key(paths::CLONE_RECORDS), raw));
    }
    let mut failures = uploader.upload(uploads).await;
    failures.append(target.announce(&uploader).await);
    if let Some(summary) = failures.summary(&target.dir, str::to_owned) {
        bail!("{summary}");
    }
    if let Some(failure) = explain(&records) {
        // The kubelet makes the last line the container's message, which plank shows.
        error!(log = target.key(paths::CLONE_LOG), "{}", failure.summary);
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// The records of clonerefs and the file they were in; without a log nothing was cloned.
fn read_records(log: &str) -> anyhow::Result<(Vec<Record>, Option<Vec<u8>>)> {
    if log.is_empty() {
        return Ok((Vec::new(), None));
    }
    let raw = std::fs::read(log).with_context(|| format!("reading the clone records {log}"))?;
    let records =
        serde_json::from_slice(&raw).with_context(|| format!("parsing the clone records {log}"))?;
    Ok((records, Some(raw)))
}
