//! Works out why a run failed, from what its pod stored: once, then it is read.
//!
//! ```text
//! clone-records.json, junit*.xml, logs, as far as they may be quoted
//!                     └─► common::digest ─► failure.json ─► comment, check run, Deck
//! ```

pub mod markdown;
#[cfg(test)]
mod reasons;

use common::{
    digest::{Digest, Quoting, Setup, Sources, compose, is_of_pod, junit, log},
    prowjob::{ProwJob, Refs},
    storage::{Object, paths},
};
use futures::{StreamExt, TryStreamExt};
use podutils::clonerefs::{Record, explain};

use super::{Context, destination::Folder, news::News, reporter::Error};
use crate::decorate::CODE;

/// Bytes of a log, decompressed, that are read to find its end. Of a longer one that is not
/// compressed only the end is read, and its lines have no numbers.
const MAX_LOG: u64 = 512 << 20;
/// Bytes of all `JUnit` files of a run.
const MAX_REPORTS: u64 = 64 << 20;
/// Logs of a run that are read.
const MAX_CONTAINERS: usize = 8;

/// The digest of a run that failed. `finished` is its `finished.json`, empty if there is none.
///
/// It is stored once the run's own result is there: before, its pod may still be uploading. A
/// stored one is not taken at its word: what may be quoted is decided again.
pub(super) async fn digest(
    ctx: &Context,
    news: &News,
    folder: &Folder,
    finished: &[u8],
    quoting: Quoting,
) -> Result<Digest, Error> {
    if let Some(stored) = folder.get(paths::FAILURE).await?
        && let Some(digest) = Digest::parse(&stored)
    {
        return Ok(digest.quoted(quoting));
    }
    let _turn = ctx.buckets.turn().await;
    let setup = setup(folder).await?;
    let roots = roots(&news.job);
    let tests = reports(folder, &roots).await?;
    // Where the clone failed, the only log is the clone's.
    let logs = if quoting.allows_words() && setup.is_none() {
        logs(folder, &containers(news).await?, &roots).await?
    } else {
        Vec::new()
    };
    let status = news.job.status.as_ref();
    let digest = compose(&Sources {
        state: news.job.state(),
        description: status.map_or("", |status| &status.description),
        setup: setup.as_ref(),
        quoting,
        tests: &tests,
        logs: &logs,
    });
    if is_of_pod(finished) {
        let json = serde_json::to_vec(&digest).expect("a digest is JSON");
        folder.put_if_absent(paths::FAILURE, json).await?;
    }
    Ok(digest)
}

/// Why the clone failed, if it did.
async fn setup(folder: &Folder) -> Result<Option<Setup>, Error> {
    let records = folder.get(paths::CLONE_RECORDS).await?.unwrap_or_default();
    let records: Vec<Record> = serde_json::from_slice(&records).unwrap_or_default();
    Ok(explain(&records).map(|failure| Setup {
        summary: failure.summary,
        lines: failure.lines,
    }))
}

/// The folders that the repositories are checked out to.
fn roots(job: &ProwJob) -> Vec<String> {
    let refs = job.spec.refs.iter().take(1);
    refs.map(|refs: &Refs| refs.clone_dir(CODE)).collect()
}

async fn containers(news: &News) -> Result<Vec<String>, Error> {
    let whole = news.whole().await?;
    let spec = whole.and_then(|job| job.spec.pod_spec.as_ref()?.typed().ok());
    Ok(match spec {
        Some(spec) if spec.containers.len() > 1 => {
            let names = spec.containers.into_iter().map(|container| container.name);
            names.take(MAX_CONTAINERS).collect()
        }
        _ => vec![paths::TEST_CONTAINER.to_owned()],
    })
}

async fn reports(folder: &Folder, roots: &[String]) -> Result<junit::Report, Error> {
    let mut report = junit::Report::default();
    let mut left = MAX_REPORTS;
    for file in folder.artifacts().await? {
        let fits = file.size <= (junit::MAX_FILE as u64).min(left);
        if !fits || !junit::is_report(&file.key) {
            continue;
        }
        left -= file.size;
        if let Some(object) = folder.object(&file.key).await? {
            let bytes = plain(object, junit::MAX_FILE).await?;
            let (before, roots) = (report, roots.to_vec());
            report = blocking(move || {
                let mut report = before;
                report.read(&bytes, &roots);
                report
            })
            .await;
        }
    }
    Ok(report)
}

/// At most the first `limit` bytes, decompressed.
async fn plain(object: Object, limit: usize) -> Result<Vec<u8>, Error> {
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

async fn logs(
    folder: &Folder,
    containers: &[String],
    roots: &[String],
) -> Result<Vec<(String, log::Findings)>, Error> {
    let mut all = Vec::new();
    let single = containers.len() == 1;
    for container in containers {
        let name = paths::build_log(container, containers.len());
        if let Some(tail) = tail(folder, &name).await? {
            let roots = roots.to_vec();
            let found = blocking(move || tail.findings(&roots)).await;
            // A reader need not be told which, where there is but one.
            let container = if single { "" } else { container };
            all.push((container.to_owned(), found));
        }
    }
    Ok(all)
}

/// The end of a log; `None` if there is none, or if it is too long to get at its end.
async fn tail(folder: &Folder, name: &str) -> Result<Option<log::Tail>, Error> {
    let Some(object) = folder.object(name).await? else {
        return Ok(None);
    };
    let is_plain = object.attributes.content_encoding.is_none();
    let (mut tail, object) = if is_plain && object.size > MAX_LOG {
        let end = folder.end(name, log::WINDOW as u64).await?;
        (log::Tail::unnumbered(), end)
    } else {
        (log::Tail::from_start(), object)
    };
    let mut stream = object.into_plain_stream();
    let mut read = 0;
    while let Some(chunk) = stream.next().await.transpose()? {
        read += chunk.len() as u64;
        if read > MAX_LOG {
            return Ok(None);
        }
        tail.push(&chunk);
    }
    Ok(Some(tail))
}

/// Runs what takes the processor for a while.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
