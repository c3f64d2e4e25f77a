//! Rebuilds a run whose `ProwJob` is gone from what it left in storage.

use bytes::{Bytes, BytesMut};
use common::prowjob::{ProwJob, ProwJobSpec, ProwJobState, ProwJobStatus, ProwJobType, Pull, Refs};
use common::storage::paths::{self, inverse::RunKey};
use common::storage::{BucketObject, ObjectAttributes, StorageError};
use futures::TryStreamExt;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::access::AccessSubject;
use crate::buckets::StorageLocation;

/// Metadata that Deck itself adds to what the pod of a hidden job uploads.
pub(crate) const HIDDEN_METADATA: &str = "deck-hidden";
/// The same for the job's tenant.
pub(crate) const TENANT_METADATA: &str = "deck-tenant";

/// What that metadata says of an object, whatever else is known of its run.
pub(crate) fn read_notes(attributes: &ObjectAttributes) -> Option<AccessSubject<'_>> {
    let hidden = attributes.metadata.contains_key(HIDDEN_METADATA);
    let tenant = attributes
        .metadata
        .get(TENANT_METADATA)
        .map_or("", String::as_str);
    (hidden || !tenant.is_empty()).then_some(AccessSubject {
        hidden,
        tenant,
        repos: &[],
    })
}

/// Largest file that is read, in bytes.
const MAX_FILE: usize = 1 << 20;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct StoredStarted {
    timestamp: i64,
    pull: Option<String>,
    repos: std::collections::BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct StoredFinished {
    timestamp: Option<i64>,
    passed: Option<bool>,
    result: Option<String>,
}

/// The run as a `ProwJob`: the one that crier stored, or else what `started.json` and
/// `finished.json` say. `None`: there are no files of such a run.
pub(crate) async fn read_stored_run(
    place: &StorageLocation,
    run: &RunKey<'_>,
) -> Result<Option<ProwJob>, StorageError> {
    if let Some(mut own) = read_json::<ProwJob>(place, paths::PROW_JOB).await? {
        own.metadata
            .name
            .get_or_insert_with(|| run.build_id.to_owned());
        return Ok(Some(own));
    }
    let started: Option<StoredStarted> = read_json(place, paths::STARTED).await?;
    let finished: Option<StoredFinished> = read_json(place, paths::FINISHED).await?;
    if started.is_none() && finished.is_none() {
        return Ok(None);
    }
    let started = started.unwrap_or_default();
    Ok(Some(rebuild_prowjob(run, &started, finished.as_ref())))
}

/// `None` if the object is absent, too large or not JSON of this form.
async fn read_json<T: DeserializeOwned>(
    place: &StorageLocation,
    name: &str,
) -> Result<Option<T>, StorageError> {
    let bytes = read_small_file(place, name).await?;
    Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

/// Reads one of the run's files; `None` if it is absent or too large.
pub(crate) async fn read_small_file(
    place: &StorageLocation,
    name: &str,
) -> Result<Option<Bytes>, StorageError> {
    match place
        .storage
        .get_object(&format!("{}/{name}", place.key))
        .await
    {
        Ok(object) => read_decompressed(object, MAX_FILE).await,
        Err(StorageError::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// All bytes of an object, decompressed; `None` if there are more than `limit`.
pub(crate) async fn read_decompressed(
    object: BucketObject,
    limit: usize,
) -> Result<Option<Bytes>, StorageError> {
    let mut all = BytesMut::new();
    let mut pieces = object.into_plain_stream();
    while let Some(piece) = pieces.try_next().await? {
        if all.len() + piece.len() > limit {
            return Ok(None);
        }
        all.extend_from_slice(&piece);
    }
    Ok(Some(all.freeze()))
}

fn rebuild_prowjob(
    run: &RunKey<'_>,
    started: &StoredStarted,
    finished: Option<&StoredFinished>,
) -> ProwJob {
    let refs = started
        .repos
        .iter()
        .next()
        .map(|(repo, refs)| parse_refs(repo, refs));
    let job_type = match &refs {
        Some(refs) if refs.pulls.len() > 1 => ProwJobType::Batch,
        Some(refs) if !refs.pulls.is_empty() || started.pull.is_some() => ProwJobType::Presubmit,
        Some(_) => ProwJobType::Postsubmit,
        None => ProwJobType::Periodic,
    };
    let time = |seconds: i64| Timestamp::from_second(seconds).ok().map(Time);
    let (state, description) = finished_state(finished);
    let build = run.build_id.to_owned();
    let mut prowjob = ProwJob::new(
        &build,
        ProwJobSpec {
            job_type,
            job: run.job.to_owned(),
            refs,
            ..ProwJobSpec::default()
        },
    );
    prowjob.status = Some(ProwJobStatus {
        start_time: time(started.timestamp),
        completion_time: time(
            finished
                .and_then(|finished| finished.timestamp)
                .unwrap_or(started.timestamp),
        ),
        state,
        description: description.into(),
        build_id: build,
        ..ProwJobStatus::default()
    });
    prowjob
}

fn finished_state(finished: Option<&StoredFinished>) -> (ProwJobState, &'static str) {
    let Some(finished) = finished else {
        return (ProwJobState::Error, "The run left no result.");
    };
    let result = finished
        .result
        .as_deref()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let state = ProwJobState::ALL
        .into_iter()
        .find(|state| state.as_str() == result);
    let passed = if finished.passed == Some(true) {
        ProwJobState::Success
    } else {
        ProwJobState::Failure
    };
    (state.unwrap_or(passed), "")
}

/// Parses `org/repo` and the format of `PULL_REFS`: `main:sha,7:sha,8:sha:ref`.
fn parse_refs(repo: &str, text: &str) -> Refs {
    let (org, repo) = repo.rsplit_once('/').unwrap_or(("", repo));
    let mut parts = text.split(',');
    let base = parts.next().unwrap_or_default();
    let (base_ref, base_sha) = base.split_once(':').unwrap_or((base, ""));
    let pulls = parts.filter_map(|part| {
        let mut fields = part.split(':');
        let number = fields.next()?.parse().ok()?;
        Some(Pull {
            number,
            sha: fields.next().unwrap_or_default().into(),
            ..Pull::default()
        })
    });
    Refs {
        org: org.into(),
        repo: repo.into(),
        base_ref: base_ref.into(),
        base_sha: base_sha.into(),
        pulls: pulls.collect(),
        ..Refs::default()
    }
}

#[cfg(test)]
mod tests {
    use common::storage::paths::inverse::FolderKind;

    use super::*;

    const RUN: RunKey<'_> = RunKey {
        folder: "pr-logs/pull/o_r/7/unit/12",
        kind: FolderKind::Pull,
        job: "unit",
        build_id: "12",
        segment: Some("o_r"),
        pull: Some("7"),
        rest: "",
    };

    fn started(text: &str) -> StoredStarted {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn reads_what_a_run_left() {
        let started =
            started(r#"{"timestamp": 100, "pull": "7", "repos": {"o/r": "main:abc,7:def"}}"#);
        let finished: StoredFinished =
            serde_json::from_str(r#"{"timestamp": 160, "passed": false, "result": "FAILURE"}"#)
                .unwrap();
        let job = rebuild_prowjob(&RUN, &started, Some(&finished));
        assert_eq!(
            (job.state(), job.spec.job_type),
            (ProwJobState::Failure, ProwJobType::Presubmit)
        );
        let refs = job.spec.refs.as_ref().unwrap();
        assert_eq!(
            (
                refs.org.as_str(),
                refs.repo.as_str(),
                refs.base_sha.as_str()
            ),
            ("o", "r", "abc")
        );
        assert_eq!(
            (refs.pulls[0].number, refs.pulls[0].sha.as_str()),
            (7, "def")
        );
        let status = job.status.unwrap();
        assert_eq!(status.completion_time.unwrap().0.as_second(), 160);
    }

    #[test]
    fn types_and_outcomes() {
        for (repos, expected) in [
            (
                r#"{"repos": {"o/r": "main:a,1:b,2:c"}}"#,
                ProwJobType::Batch,
            ),
            (r#"{"repos": {"o/r": "main:a"}}"#, ProwJobType::Postsubmit),
            ("{}", ProwJobType::Periodic),
        ] {
            assert_eq!(
                rebuild_prowjob(&RUN, &started(repos), None).spec.job_type,
                expected,
                "{repos}"
            );
        }
        for (finished, expected) in [
            (None, ProwJobState::Error),
            (Some(r#"{"passed": true}"#), ProwJobState::Success),
            (
                Some(r#"{"passed": false, "result": "aborted"}"#),
                ProwJobState::Aborted,
            ),
            (
                Some(r#"{"passed": true, "result": "weird"}"#),
                ProwJobState::Success,
            ),
        ] {
            let parsed = finished.map(|text| serde_json::from_str::<StoredFinished>(text).unwrap());
            assert_eq!(finished_state(parsed.as_ref()).0, expected, "{finished:?}");
        }
    }
}
