//! Composes the digest of a failed run from what its pod stored: once, then it is read.
//!
//! ```text
//! clone-records.json, junit*.xml, logs, as far as they may be quoted
//!                     └─► common::failure_digest ─► failure.json ─► comment, check run, Deck
//! ```

pub mod markdown;
#[cfg(test)]
mod reason_tests;

use common::{
    failure_digest::{
        DigestSources, FailureDigest, QuotingPolicy, SetupFailure, build_log, compose_digest,
        is_written_by_pod, junit,
    },
    prowjob::{ProwJob, Refs},
    storage::{BucketObject, paths},
};
use futures::{StreamExt, TryStreamExt};
use podutils::clonerefs::{CloneRecord, explain_clone_failure};

use super::{
    CrierContext, destination::RunFolder, reporter::ReportError, state_change::JobStateChange,
};
use crate::decorate::CODE_DIR;

/// Most bytes of a log, decompressed, that are read to find its end. Of a longer one that is not
/// compressed only the end is read, and its lines have no numbers.
const MAX_LOG: u64 = 512 << 20;
/// Most bytes of all `JUnit` files of a run.
const MAX_REPORTS: u64 = 64 << 20;
/// Logs of a run that are read.
const MAX_CONTAINERS: usize = 8;

/// The digest of a run that failed. `finished` is its `finished.json`, empty if there is none.
///
/// It is stored once the run's own result is there: before, its pod may still be uploading. Of a
/// stored digest, what may be quoted is decided again.
pub(super) async fn load_or_compose_digest(
    ctx: &CrierContext,
    news: &JobStateChange,
    folder: &RunFolder,
    finished: &[u8],
    quoting: QuotingPolicy,
) -> Result<FailureDigest, ReportError> {
    if let Some(stored) = folder.get_small(paths::FAILURE_DIGEST).await?
        && let Some(digest) = FailureDigest::parse_stored(&stored)
    {
        return Ok(digest.apply_quoting(quoting));
    }
    let _turn = ctx.buckets.acquire_reader().await;
    let setup = find_clone_failure(folder).await?;
    let roots = checkout_dirs(&news.job);
    let tests = read_junit_reports(folder, &roots).await?;
    // Where the clone failed, the only log is the clone's.
    let logs = if quoting.allows_words() && setup.is_none() {
        scan_logs(folder, &logged_containers(news).await?, &roots).await?
    } else {
        Vec::new()
    };
    let status = news.job.status.as_ref();
    let digest = compose_digest(&DigestSources {
        state: news.job.state(),
        description: status.map_or("", |status| &status.description),
        setup: setup.as_ref(),
        quoting,
        tests: &tests,
        logs: &logs,
    });
    if is_written_by_pod(finished) {
        let json = serde_json::to_vec(&digest).expect("a digest is JSON");
        folder
            .put_json_if_absent(paths::FAILURE_DIGEST, json)
            .await?;
    }
    Ok(digest)
}

/// Why the clone failed, if it did.
async fn find_clone_failure(folder: &RunFolder) -> Result<Option<SetupFailure>, ReportError> {
    let records = folder
        .get_small(paths::CLONE_RECORDS)
        .await?
        .unwrap_or_default();
    let records: Vec<CloneRecord> = serde_json::from_slice(&records).unwrap_or_default();
    Ok(explain_clone_failure(&records).map(|failure| SetupFailure {
        summary: failure.summary,
        lines: failure.lines,
    }))
}

/// The folders of the checked-out repositories.
fn checkout_dirs(job: &ProwJob) -> Vec<String> {
    let refs = job.spec.refs.iter().take(1);
    refs.map(|refs: &Refs| refs.clone_dir(CODE_DIR)).collect()
}

async fn logged_containers(news: &JobStateChange) -> Result<Vec<String>, ReportError> {
    let whole = news.read_full_job().await?;
    let spec = whole.and_then(|job| job.spec.pod_spec.as_ref()?.to_pod_spec().ok());
    Ok(match spec {
        Some(spec) if spec.containers.len() > 1 => {
            let names = spec.containers.into_iter().map(|container| container.name);
            names.take(MAX_CONTAINERS).collect()
        }
        _ => vec![paths::TEST_CONTAINER.to_owned()],
    })
}

async fn read_junit_reports(
    folder: &RunFolder,
    roots: &[String],
) -> Result<junit::JunitReport, ReportError> {
    let mut report = junit::JunitReport::default();
    let mut left = MAX_REPORTS;
    for file in folder.list_artifacts().await? {
        let fits = file.size <= (junit::MAX_FILE as u64).min(left);
        if !fits || !junit::is_junit_report(&file.key) {
            continue;
        }
        left -= file.size;
        if let Some(object) = folder.open_object(&file.key).await? {
            let bytes = read_decompressed(object, junit::MAX_FILE).await?;
            let (before, roots) = (report, roots.to_vec());
            report = run_blocking(move || {
                let mut report = before;
                report.add_file(&bytes, &roots);
                report
            })
            .await;
        }
    }
    Ok(report)
}

/// At most the first `limit` bytes, decompressed.
async fn read_decompressed(object: BucketObject, limit: usize) -> Result<Vec<u8>, ReportError> {
    let mut stream = object.into_plain_stream();
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.try_next().await? {
        let room = limit.saturating_sub(bytes.len());
        bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() >= room {
            break;
        }
    }
    Ok(bytes)
}

async fn scan_logs(
    folder: &RunFolder,
    containers: &[String],
    roots: &[String],
) -> Result<Vec<(String, build_log::LogFindings)>, ReportError> {
    let mut all = Vec::new();
    let single = containers.len() == 1;
    for container in containers {
        let name = paths::build_log(container, containers.len());
        if let Some(tail) = read_log_tail(folder, &name).await? {
            let roots = roots.to_vec();
            let found = run_blocking(move || tail.scan_errors(&roots)).await;
            // With only one container the reader need not be told which.
            let container = if single { "" } else { container };
            all.push((container.to_owned(), found));
        }
    }
    Ok(all)
}

/// The end of a log; `None` if there is none, or if it is too long to reach its end.
async fn read_log_tail(
    folder: &RunFolder,
    name: &str,
) -> Result<Option<build_log::LogTail>, ReportError> {
    let Some(object) = folder.open_object(name).await? else {
        return Ok(None);
    };
    let is_plain = object.attributes.content_encoding.is_none();
    let (mut tail, object) = if is_plain && object.size > MAX_LOG {
        let end = folder
            .read_tail(name, build_log::MAX_TAIL_BYTES as u64)
            .await?;
        (build_log::LogTail::from_end(), end)
    } else {
        (build_log::LogTail::from_start(), object)
    };
    let mut stream = object.into_plain_stream();
    let mut read = 0;
    while let Some(chunk) = stream.next().await.transpose()? {
        read += chunk.len() as u64;
        if read > MAX_LOG {
            return Ok(None);
        }
        tail.push_chunk(&chunk);
    }
    Ok(Some(tail))
}

/// Runs work that keeps a processor busy.
async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
