//! `started.json` and `finished.json`, which describe the start and the end of a run.

use std::collections::BTreeMap;

use common::prowjob::Refs;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::JobSpec;
use crate::censor::Censor;
use crate::clonerefs::CloneRecord;

/// `started.json`. Times are seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StartedMetadata {
    timestamp: i64,
    #[serde(skip_serializing_if = "String::is_empty")]
    pull: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    repos: BTreeMap<String, String>,
    #[serde(rename = "repo-commit", skip_serializing_if = "String::is_empty")]
    repo_commit: String,
    /// The same value as `repo_commit`: some readers use this name.
    #[serde(rename = "repo-version", skip_serializing_if = "String::is_empty")]
    repo_version: String,
}

impl StartedMetadata {
    /// The commit is the one that was checked out, if the records have it; else the requested one.
    #[must_use]
    pub fn new(spec: &JobSpec, records: &[CloneRecord], now: Timestamp) -> Self {
        let main = spec.main_refs();
        let version = main.map_or_else(String::new, |main| {
            let cloned = records
                .iter()
                .find(|r| r.refs == *main && !r.final_sha.is_empty());
            cloned.map_or_else(|| requested_revision(main), |r| r.final_sha.clone())
        });
        let pull = spec.refs.as_ref().and_then(|refs| refs.pulls.first());
        Self {
            timestamp: now.as_second(),
            pull: pull.map_or_else(String::new, |p| p.number.to_string()),
            repos: spec
                .refs
                .iter()
                .chain(&spec.extra_refs)
                .map(|r| (r.org_repo(), r.to_string()))
                .collect(),
            repo_commit: version.clone(),
            repo_version: version,
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunOutcome {
    Success,
    Failure,
    Aborted,
}

/// `finished.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct FinishedMetadata {
    timestamp: i64,
    passed: bool,
    result: &'static str,
    #[serde(skip_serializing_if = "Map::is_empty")]
    metadata: Map<String, Value>,
    #[serde(skip_serializing_if = "String::is_empty")]
    revision: String,
}

impl FinishedMetadata {
    pub(crate) fn new(
        spec: &JobSpec,
        outcome: RunOutcome,
        metadata: Map<String, Value>,
        now: Timestamp,
    ) -> Self {
        Self {
            timestamp: now.as_second(),
            passed: outcome == RunOutcome::Success,
            result: match outcome {
                RunOutcome::Success => "SUCCESS",
                RunOutcome::Failure => "FAILURE",
                RunOutcome::Aborted => "ABORTED",
            },
            metadata,
            revision: spec
                .main_refs()
                .map_or_else(String::new, requested_revision),
        }
    }
}

/// Reads the JSON object that a container left as metadata, masked; `None` if it is none.
///
/// The decoded strings are masked first, because the file may write a secret in many ways
/// (`p\u0026ss`). Then the text is masked in the form in which it will be stored.
pub(crate) fn read_masked_metadata(text: &[u8], censor: &Censor) -> Option<Map<String, Value>> {
    let masked = censor.mask_json(serde_json::from_slice(text).ok()?);
    serde_json::from_slice(&censor.mask_bytes(masked.to_string().into_bytes())).ok()
}

/// The requested revision: the pull request's commit, else the base commit, else the base ref.
#[must_use]
pub fn requested_revision(refs: &Refs) -> String {
    let pull = refs.pulls.first().map(|p| p.sha.as_str());
    [pull.unwrap_or_default(), &refs.base_sha, &refs.base_ref]
        .into_iter()
        .find(|text| !text.is_empty())
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use common::prowjob::Pull;
    use serde_json::json;

    use super::*;

    fn refs() -> Refs {
        let pulls = vec![Pull {
            number: 7,
            sha: "pull".into(),
            ..Pull::default()
        }];
        Refs {
            org: "o".into(),
            repo: "r".into(),
            base_ref: "main".into(),
            base_sha: "base".into(),
            pulls,
            ..Refs::default()
        }
    }

    fn now() -> Timestamp {
        Timestamp::from_second(1_795_348_800).unwrap()
    }

    #[test]
    fn started_tells_what_was_checked_out() {
        let extra = Refs {
            org: "o".into(),
            repo: "x".into(),
            base_ref: "dev".into(),
            ..Refs::default()
        };
        let spec = JobSpec {
            refs: Some(refs()),
            extra_refs: vec![extra],
            ..JobSpec::default()
        };
        let record = CloneRecord {
            refs: refs(),
            final_sha: "merged".into(),
            ..CloneRecord::default()
        };
        for (records, version) in [
            (vec![], "pull"),
            (vec![record], "merged"),
            (vec![CloneRecord::default()], "pull"),
        ] {
            assert_eq!(
                serde_json::to_value(StartedMetadata::new(&spec, &records, now())).unwrap(),
                json!({
                    "timestamp": 1_795_348_800, "pull": "7",
                    "repos": {"o/r": "main:base,7:pull", "o/x": "dev"},
                    "repo-commit": version, "repo-version": version,
                })
            );
        }
        let bare =
            serde_json::to_value(StartedMetadata::new(&JobSpec::default(), &[], now())).unwrap();
        assert_eq!(bare, json!({"timestamp": 1_795_348_800}));
    }

    #[test]
    fn metadata_is_masked_as_it_reads_and_as_it_is_written() {
        let censor = Censor::new(["p&ss", "say \\\"x\\\"", "90210", "\"a\":\"b\""]).unwrap();
        for (text, expected) in [
            (r#"{"t": "p\u0026ss"}"#, Some(json!({"t": "XXXX"}))),
            (
                r#"{"\u0070&ss": [{"p": 90210}]}"#,
                Some(json!({"XXXX": [{"p": "XXXXX"}]})),
            ),
            (
                r#"{"t": "I say \u0022x\u0022"}"#,
                Some(json!({"t": "I XXXXXXXXX"})),
            ),
            (
                r#"{"n": 1.50, "deep": {"b": null}}"#,
                Some(json!({"n": 1.5, "deep": {"b": null}})),
            ),
            // Its quotes are secret. Without them it is no JSON; with them it must not be stored.
            (r#"{"a": "b"}"#, None),
            ("[1]", None),
            ("{", None),
            ("", None),
        ] {
            let masked = read_masked_metadata(text.as_bytes(), &censor).map(Value::from);
            assert_eq!(masked, expected, "{text}");
        }
    }

    #[test]
    fn finished_tells_how_it_ended() {
        let spec = JobSpec {
            refs: Some(refs()),
            ..JobSpec::default()
        };
        for (outcome, passed, result) in [
            (RunOutcome::Success, true, "SUCCESS"),
            (RunOutcome::Failure, false, "FAILURE"),
            (RunOutcome::Aborted, false, "ABORTED"),
        ] {
            let metadata = Map::from_iter([("k".to_owned(), json!(1))]);
            assert_eq!(
                serde_json::to_value(FinishedMetadata::new(&spec, outcome, metadata, now()))
                    .unwrap(),
                json!({"timestamp": 1_795_348_800, "passed": passed, "result": result, "metadata": {"k": 1}, "revision": "pull"})
            );
        }
    }
}
