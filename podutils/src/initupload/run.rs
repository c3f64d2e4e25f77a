//! One run of initupload.

use std::process::ExitCode;

use anyhow::bail;
use common::failure_digest::{CENSOR_ERROR, CENSORED};
use common::storage::paths;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tracing::error;

use crate::JobSpec;
use crate::clonerefs::explain_clone_failure;
use crate::metadata::{FinishedMetadata, RunOutcome, StartedMetadata};
use crate::upload::{ObjectUpload, UploadTarget, Uploader};

use super::InituploadOptions;
use super::clone_records::{self, CloneResult};

/// Uploads the beginning of a run. The exit code says whether the test may start.
pub async fn run_initupload(
    options: &InituploadOptions,
    spec: &JobSpec,
    now: Timestamp,
) -> anyhow::Result<ExitCode> {
    let target = UploadTarget::new(&options.gcs, spec)?;
    let uploader = Uploader::new(target.storage.clone(), options.gcs.dry_run);
    let clone = clone_records::read_clone_records(options, spec).await?;
    let shown = clone.as_ref().and_then(|clone| clone.shown.as_ref().ok());

    let records = shown.map_or(&[][..], |shown| &shown.records);
    let started = serde_json::to_vec(&StartedMetadata::new(spec, records, now))?;
    let mut uploads = vec![ObjectUpload::from_text(
        target.object_key(paths::STARTED),
        started,
    )];
    if let Some(clone) = clone.as_ref().filter(|clone| clone.failed) {
        // The test never runs, so the clone's log is the build log.
        let finished = FinishedMetadata::new(
            spec,
            RunOutcome::Failure,
            censor_metadata(options, clone),
            now,
        );
        uploads.push(ObjectUpload::from_text(
            target.object_key(paths::BUILD_LOG),
            build_log_text(clone),
        ));
        uploads.push(ObjectUpload::from_text(
            target.object_key(paths::FINISHED),
            serde_json::to_vec(&finished)?,
        ));
    }
    if let Some(shown) = shown {
        let (log, json) = (shown.log.clone(), shown.json.clone());
        uploads.push(ObjectUpload::from_text(
            target.object_key(paths::CLONE_LOG),
            log,
        ));
        uploads.push(ObjectUpload::from_text(
            target.object_key(paths::CLONE_RECORDS),
            json,
        ));
    }
    let mut failures = uploader.upload_objects(uploads).await;
    failures.append(target.upload_alias_and_latest(&uploader, now).await);
    if let Some(summary) = failures.summary_line(&target.dir, str::to_owned) {
        bail!("{summary}");
    }
    let Some(clone) = clone else {
        return Ok(ExitCode::SUCCESS);
    };
    if let Err(reason) = &clone.shown {
        error!(reason, "nothing is shown of the clone");
    }
    if !clone.failed {
        return Ok(ExitCode::SUCCESS);
    }
    // The kubelet makes the last line the container's message, which plank shows.
    match clone
        .shown
        .as_ref()
        .ok()
        .and_then(|shown| explain_clone_failure(&shown.records))
    {
        Some(why) => error!(log = target.object_key(paths::CLONE_LOG), "{}", why.summary),
        None => error!("could not clone"),
    }
    Ok(ExitCode::FAILURE)
}

/// The build log of a run whose clone failed.
fn build_log_text(clone: &CloneResult) -> String {
    match &clone.shown {
        Ok(shown) => shown.log.clone(),
        Err(reason) => format!(
            "The clone failed. What git said is not shown, since its secrets are not known: {reason}.\n"
        ),
    }
}

fn censor_metadata(options: &InituploadOptions, clone: &CloneResult) -> Map<String, Value> {
    let is_asked = options.censoring_options.is_some();
    let censored = is_asked && clone.shown.is_ok();
    let mut metadata = Map::from_iter([(CENSORED.to_owned(), json!(censored))]);
    if let Err(reason) = &clone.shown {
        metadata.insert(CENSOR_ERROR.to_owned(), json!(reason));
    }
    metadata
}
